//! `/c/{cache}/signing`: adding and removing signatures of many paths: what it would do first, then a
//! job that goes on without this page.

use leptos::prelude::*;
use snowbank_shared::api::Page;
use snowbank_shared::api::signing::{
    ContentRule, Job, JobAct, JobEstimate, JobState, JobWish, SIGNING_NEEDS, SkipCount,
};
use snowbank_shared::route::{Route, VouchingRoute, escape};

use crate::components::ago::ago;
use crate::components::banner::empty;
use crate::components::button::{Readiness, Weight, button_when, link_button};
use crate::components::changing::changing;
use crate::components::failure::failure_of;
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::Icon;
use crate::components::layout::{fact, facts, section, table};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::pages::signing_job;
use crate::state::derived::effect;
use crate::state::identity::identity;
use crate::state::live::live_cache;
use crate::state::navigation::{href, navigation};
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

/// The page; `ask` is the query: `job=…`, `p=…` of paths that are meant, or nothing.
pub fn page(cache: &str, ask: &str) -> AnyView {
    let live = live_cache();
    page_title(|| "Change signatures".to_owned());
    let rotation = href(&Route::Vouching(VouchingRoute::Rotation {
        cache: cache.to_owned(),
    }));
    let job = ask.strip_prefix("job=").map(str::to_owned);
    let body = match job {
        Some(id) => signing_job::shown(cache, &id),
        None => {
            let named: Vec<String> = ask
                .split('&')
                .filter_map(|pair| pair.strip_prefix("p="))
                .map(str::to_owned)
                .collect();
            view! { {form(cache, named)} {jobs(cache)} }.into_any()
        }
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Change signatures")}
                    <div class="page-actions">
                        {link_button(Weight::Plain, Some(Icon::Key), "Key rotation", rotation)}
                    </div>
                </div>
                <p class="state-sentence">
                    "Adds or removes "<code>"Sig"</code>" lines and changes no other byte of a narinfo."
                </p>
            </div>
            {absent_or_failed(live)}
            {body}
        </div>
    }
    .into_any()
}

/// What is asked for, and what it would do.
#[derive(Clone, Copy)]
struct Form {
    cache: StoredValue<String>,
    named: StoredValue<Vec<String>>,
    act: Field,
    key: Field,
    filter: Field,
    content: Field,
    unsigned: Field,
    reason: Field,
    sending: Sending,
    estimate: RwSignal<Option<JobEstimate>>,
}

impl Form {
    /// As it stands there; not tracked.
    fn wish(self) -> JobWish {
        let text = |field: Field| field.value.get_untracked().trim().to_owned();
        let paths = self.named.get_value();
        let key = text(self.key);
        JobWish {
            act: match text(self.act).as_str() {
                "strip" => JobAct::Strip,
                _ => JobAct::CounterSign,
            },
            key: (!key.is_empty()).then_some(key),
            filter: paths.is_empty().then(|| text(self.filter)),
            paths,
            content: match text(self.content).as_str() {
                "accept" => ContentRule::AcceptSignature,
                _ => ContentRule::Verify,
            },
            leave_unsigned: text(self.unsigned) == "yes",
            reason: text(self.reason),
        }
    }

    fn ready(self) -> Readiness {
        let cache = self.cache.get_value();
        self.sending
            .readiness(identity().readiness(Some(&cache), SIGNING_NEEDS))
    }

    fn path(self, rest: &str) -> String {
        format!("/caches/{}/jobs{rest}", escape(&self.cache.get_value()))
    }

    fn ask(self) {
        self.sending.send(
            "POST",
            self.path("/estimate"),
            json(&self.wish()),
            move |body| {
                self.estimate.set(body.json().ok());
            },
        );
    }

    fn begin(self) {
        let navigation = navigation();
        self.sending
            .send("POST", self.path(""), json(&self.wish()), move |body| {
                if let Ok(job) = body.json::<Job>() {
                    navigation.go(&job_route(&self.cache.get_value(), &job.id));
                }
            });
    }
}

/// The page of a job.
pub fn job_route(cache: &str, id: &str) -> Route {
    Route::Vouching(VouchingRoute::Signing {
        cache: cache.to_owned(),
        query: format!("job={id}"),
    })
}

fn options(words: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(value, word): &(&str, &str)| ((*value).to_owned(), (*word).to_owned());
    words.iter().map(owned).collect()
}

fn form(cache: &str, named: Vec<String>) -> AnyView {
    let count = named.len() as u64;
    let form = Form {
        cache: StoredValue::new(cache.to_owned()),
        named: StoredValue::new(named),
        act: Field::new("What to do", ""),
        key: Field::new(
            "Key",
            "Its name. For counter-signing it may be left empty: the key that signs what is published.",
        ),
        filter: Field::new(
            "Which paths",
            "The filters of the list of paths, as pin=prod or sig=unknown-key. Empty: the whole cache.",
        ),
        content: Field::new("Before a path is signed", ""),
        unsigned: Field::new("Where no other good signature is left", ""),
        reason: Field::new("Why", "It stays in the audit. Removing needs a reason."),
        sending: Sending::new(),
        estimate: RwSignal::new(None),
    };
    form.act.value.set("counter-sign".to_owned());
    form.content.value.set("verify".to_owned());
    form.unsigned.value.set("no".to_owned());
    // What was counted is of what stood there.
    effect(move || {
        for field in [form.act, form.key, form.filter, form.content, form.unsigned] {
            field.value.track();
        }
        form.estimate.set(None);
    });
    let which = match count {
        0 => text_field(form.filter, "text", "off"),
        count => view! {
            <p id="signing-selected">{format!("{} selected.", format::counted(count, "path", "paths"))}</p>
        }
        .into_any(),
    };
    let rules = move || {
        if form.act.value.get() == "strip" {
            select_field(
                form.unsigned,
                options(&[
                    ("no", "Leave the path as it is"),
                    ("yes", "Remove it all the same"),
                ]),
            )
        } else {
            select_field(
                form.content,
                options(&[
                    ("verify", "Read the NAR and compare its NarHash"),
                    ("accept", "Accept a valid signature by an active key"),
                ]),
            )
        }
    };
    let found = move || {
        form.estimate
            .get()
            .map(|estimate| estimated(form, &estimate))
    };
    let act = select_field(
        form.act,
        options(&[
            ("counter-sign", "Add a signature of the cache"),
            ("strip", "Remove the signatures of a key"),
        ]),
    );
    let body = view! {
        <div class="form">
            {which} {act} {text_field(form.key, "text", "off")} {changing(rules)}
            {text_field(form.reason, "text", "off")}
            <div class="page-actions">
                {button_when(Weight::Plain, None, "What would it do?", move || form.ready(), move || form.ask())}
            </div>
            {form.sending.notice()}
            {changing(found)}
        </div>
    };
    section("Begin a job", (), body)
}

fn estimated(form: Form, found: &JobEstimate) -> AnyView {
    let nothing = found.change == 0;
    let mut lines = vec![
        fact("Paths", format::count(found.total)),
        fact("Narinfos to write", format::count(found.change)),
        fact("As wanted already", format::count(found.same)),
        fact(
            "Requests",
            format!(
                "about {} GET and {} PUT",
                format::count(found.requests.get),
                format::count(found.requests.put)
            ),
        ),
        fact("NARs to read", format::size(found.read_bytes)),
        fact("Narinfos", format::size(found.write_bytes)),
    ];
    lines.extend(left_lines(&found.skipped));
    let partial = (!found.complete).then(|| {
        view! { <p>"The first index is being built: there are more paths than these."</p> }
    });
    let ready = move || match nothing {
        true => Readiness::Refused("There is nothing to change.".to_owned()),
        false => form.ready(),
    };
    view! {
        <div id="estimate">
            <p>{format!("With the key {}. Nothing was written, and nothing asked of the bucket.", found.key)}</p>
            {facts(lines)} {partial}
            {button_when(Weight::Primary, None, "Begin", ready, move || form.begin())}
        </div>
    }
    .into_any()
}

/// Paths that are left as they are, a fact for each reason.
pub fn left_lines(skipped: &[SkipCount]) -> Vec<AnyView> {
    let line = |skip: &SkipCount| {
        fact(
            "Left as they are",
            format!("{}: {}", format::count(skip.paths), skip.text),
        )
    };
    skipped.iter().map(line).collect()
}

/// What a job does, in a few words.
pub fn act_words(job: &Job) -> String {
    match job.act {
        JobAct::CounterSign => format!("Counter-sign with {}", job.key),
        JobAct::Strip => format!("Remove {}", job.key),
    }
}

fn jobs(cache: &str) -> AnyView {
    let path = format!("/caches/{}/jobs", escape(cache));
    let found = Remote::<Page<Job>>::new(move || Some(path.clone()));
    let slug = cache.to_owned();
    let list = move || match found.get() {
        None => found
            .is_waiting()
            .then(|| skeleton(3, "Asking for the jobs…")),
        Some(jobs) if jobs.items.is_empty() => Some(empty(
            "No jobs yet",
            view! { <p>"Jobs stay listed for 90 days after they end."</p> },
        )),
        Some(jobs) => {
            let rows = jobs
                .items
                .iter()
                .map(|job| row(&slug, job))
                .collect::<Vec<_>>();
            Some(table(
                "Jobs",
                "table is-roomy",
                &[
                    ("What", "grow", ""),
                    ("State", "", ""),
                    ("Changed", "number", "Narinfos that were written"),
                    ("By", "col-2", ""),
                    ("When", "col-2", ""),
                ],
                rows,
            ))
        }
    };
    let body = view! { {failure_of(found)} {changing(list)} };
    section("Jobs", (), body)
}

fn row(cache: &str, job: &Job) -> AnyView {
    let address = href(&job_route(cache, &job.id));
    let state = match job.state {
        JobState::Running => format!("running, {}", format::percent(job.looked_at, job.total)),
        state => state.text().to_owned(),
    };
    view! {
        <tr>
            <td data-label="What" class="wide">
                <a href=address>{act_words(job)}</a>
                <small>{job.selection.clone()}</small>
            </td>
            <td data-label="State">{state}</td>
            <td data-label="Changed" class="number">{format::count(job.changed)}</td>
            <td data-label="By" class="col-2">{job.by.clone()}</td>
            <td data-label="When" class="col-2">{ago(&job.at)}</td>
        </tr>
    }
    .into_any()
}

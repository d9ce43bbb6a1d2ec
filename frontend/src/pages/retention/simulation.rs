//! `/c/{cache}/gc`: rules at the left, what they would keep and remove at the right. Nothing here deletes.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::retention::{
    Plan, PlanWish, RETENTION_NEEDS, RetentionRules, Rules, SIMULATING_NEEDS, Simulation,
    USUAL_GRACE_DAYS,
};
use snowbank_shared::route::{MonitoringRoute, Route};

use super::asked::{Asked, asked_of_api, in_words};
use super::controls::{Draft, drawn};
use super::{gc_path, history, result};
use crate::components::api_button::api_button;
use crate::components::button::{Readiness, Weight, button, button_when};
use crate::components::changing::changing;
use crate::components::choice::{check, segments};
use crate::components::copy::copy_link_button;
use crate::components::dialog::dialog;
use crate::components::failure::failure_of;
use crate::components::field::{Field, text_field};
use crate::components::icon::Icon;
use crate::components::index_line::{index_banner, index_line};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::state::derived::memo;
use crate::state::identity::identity;
use crate::state::live::{LiveCache, live_cache};
use crate::state::navigation::{Navigation, absolute, navigation};
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

/// What the parts of the page share. Copy it freely.
#[derive(Clone, Copy)]
struct Retention {
    cache: StoredValue<String>,
    live: LiveCache,
    navigation: Navigation,
    /// What the address asks for.
    asked: Memo<Asked>,
    /// The rules of the cache.
    stored: Remote<RetentionRules>,
    /// The rules that are shown; `None` until those of the cache are known.
    first: Memo<Option<Rules>>,
    /// The scenario whose rules the controls set is the second.
    second_is_set: RwSignal<bool>,
    sending: Sending,
}

impl Retention {
    fn ready(self, act: Act) -> Readiness {
        let cache = self.cache.get_value();
        self.sending
            .readiness(identity().readiness(Some(&cache), act))
    }

    /// Whether the controls set the second scenario; tracked.
    fn sets_second(self) -> bool {
        self.second_is_set.get() && self.asked.with(|asked| asked.second.is_some())
    }

    /// The rules that the controls set; tracked.
    fn set_now(self) -> Option<Rules> {
        match self.sets_second() {
            true => self.asked.get().second,
            false => self.first.get(),
        }
    }

    /// Changes the address; Back leads to the page before this one.
    fn change(self, change: impl FnOnce(&mut Asked)) {
        let mut asked = self.asked.get_untracked();
        change(&mut asked);
        let route = asked.of(&self.cache.get_value());
        self.navigation.replace(&route);
    }

    /// A simulation of these rules.
    fn simulated(self, rules: impl Fn() -> Option<Rules> + 'static) -> Remote<Simulation> {
        Remote::new(move || {
            self.live.renewals.track();
            let asked = asked_of_api(&rules()?);
            Some(gc_path(
                &self.cache.get_value(),
                &format!("simulate?{asked}"),
            ))
        })
    }
}

/// The page.
pub(super) fn page(cache: &str) -> AnyView {
    let navigation = navigation();
    let asked = Memo::new(move |before: Option<&Asked>| match navigation.route() {
        Some(Route::Monitoring(MonitoringRoute::Gc { query, .. })) => Asked::parse(&query),
        // On the way to another page.
        _ => before.cloned().unwrap_or_default(),
    });
    let live = live_cache();
    let stored_path = gc_path(cache, "rules");
    let stored = Remote::<RetentionRules>::new(move || Some(stored_path.clone()));
    let retention = Retention {
        cache: StoredValue::new(cache.to_owned()),
        live,
        navigation,
        asked,
        stored,
        first: memo(move || {
            let asked = asked.get().first;
            asked.or_else(|| Some(stored.get()?.rules.clone()))
        }),
        second_is_set: RwSignal::new(false),
        sending: Sending::new(),
    };
    let slug = retention.cache;
    page_title(move || format!("Retention – {}", slug.get_value()));
    let first = retention.simulated(move || retention.first.get());
    let second = retention.simulated(move || asked.get().second);
    let draft = Draft::new();
    draft.tie(
        move || retention.set_now(),
        move |rules| {
            retention.change(|asked| match untrack(|| retention.sets_second()) {
                true => asked.second = Some(rules),
                false => asked.first = Some(rules),
            });
        },
    );
    let disabled = Signal::derive(move || {
        let found = match retention.sets_second() {
            true => second.get(),
            false => first.get(),
        };
        found.map_or_else(Vec::new, |found| found.disabled.clone())
    });
    let compares = memo(move || asked.with(|asked| asked.second.is_some()));
    let known = memo(move || retention.first.with(Option::is_some));
    let controls = move || match known.get() {
        true => Some(drawn(draft, disabled)),
        false => stored
            .error()
            .is_none()
            .then(|| skeleton(6, "Asking for the rules of this cache…")),
    };
    let shared = move || {
        let mut asked = retention.asked.get_untracked();
        asked.first = retention.first.get_untracked();
        absolute(&asked.of(&retention.cache.get_value()).to_string())
    };
    let data = move || {
        let rules = retention.first.get().unwrap_or_default();
        gc_path(
            &slug.get_value(),
            &format!("simulate?{}", asked_of_api(&rules)),
        )
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Retention")}
                    <div class="page-actions">{copy_link_button(shared)} {api_button(data)}</div>
                </div>
                <p class="state-sentence">
                    "A simulation: what rules would keep and remove. Nothing is deleted here."
                </p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {retention.sending.notice()}
            <div class="gc-layout">
                <section class="gc-controls" aria-label="Rules">
                    {failure_of(stored)}
                    {changing(move || compared(retention, draft, compares.get()))}
                    {changing(controls)}
                    {kept_rules(retention)}
                </section>
                <section class="gc-result" aria-label="Result of the simulation">
                    {failure_of(first)}
                    {failure_of(second)}
                    <p class="gc-sentence" id="gc-frees" role="status">
                        {changing(move || first.get().map(|found| result::sentence(&found)))}
                    </p>
                    <div class:is-waiting=move || first.is_waiting() && first.is_there()>
                        {changing(move || shown(retention, first, second))}
                    </div>
                    {acts(retention, first)}
                </section>
            </div>
            {changing(move || known.get().then(|| history::lists(&slug.get_value())))}
        </div>
    }
    .into_any()
}

fn shown(
    retention: Retention,
    first: Remote<Simulation>,
    second: Remote<Simulation>,
) -> Option<AnyView> {
    let cache = retention.cache.get_value();
    let compares = retention.asked.with(|asked| asked.second.is_some());
    match first.get() {
        // Without the cache's rules there is nothing to simulate.
        None => (first.error().is_none() && retention.stored.error().is_none())
            .then(|| skeleton(8, "Walking through the closures…")),
        Some(found) => {
            let second = second.get().filter(|_| compares);
            let suggested = suggestion(retention, &found);
            Some(view! { {result::of(&cache, &found, second.as_deref())} {suggested} }.into_any())
        }
    }
}

/// What comes down to the target size; nothing where none was asked for.
fn suggestion(retention: Retention, found: &Simulation) -> Option<AnyView> {
    let target = found.rules.target_size?;
    let Some(rules) = found.suggested.clone() else {
        let words = if found.after.bytes <= target {
            "These rules come down to the target size."
        } else {
            "Fewer days and revisions do not come down to the target size: names, pins, what is new and what they need are larger."
        };
        return Some(view! { <p class="gc-suggested">{words}</p> }.into_any());
    };
    let words = format!("Come down to the target size: {}.", in_words(&rules));
    let take = move || {
        let rules = rules.clone();
        retention.change(|asked| asked.first = Some(rules));
    };
    Some(
        view! {
            <div class="gc-suggested">
                <p>{words}</p>
                {button(Weight::Plain, None, "Take these rules", take)}
            </div>
        }
        .into_any(),
    )
}

/// Beginning and ending a comparison, and which scenario the controls set.
fn compared(retention: Retention, draft: Draft, compares: bool) -> AnyView {
    if !compares {
        let begin = move || {
            let rules = retention.first.get_untracked();
            draft.forget();
            retention.second_is_set.set(true);
            retention.change(|asked| {
                asked.first.clone_from(&rules);
                asked.second = rules;
            });
        };
        let ready = move || retention.ready(SIMULATING_NEEDS);
        return button_when(
            Weight::Plain,
            None,
            "Compare with a scenario B",
            ready,
            begin,
        );
    }
    let end = move || {
        draft.forget();
        retention.second_is_set.set(false);
        retention.change(|asked| asked.second = None);
    };
    view! {
        <div class="gc-compared">
            {segments(
                "The controls set",
                &["Scenario A", "Scenario B"],
                move || usize::from(retention.second_is_set.get()),
                move |at| {
                    draft.forget();
                    retention.second_is_set.set(at == 1);
                },
            )}
            {button(Weight::Plain, None, "End the comparison", end)}
        </div>
    }
    .into_any()
}

/// The rules that the cache has, and making those of scenario A its own.
fn kept_rules(retention: Retention) -> AnyView {
    let save = move || {
        let (Some(rules), Some(stored)) =
            (retention.first.get_untracked(), retention.stored.get_now())
        else {
            return;
        };
        let wish = RetentionRules {
            rules,
            ..(*stored).clone()
        };
        let path = gc_path(&retention.cache.get_value(), "rules");
        let sending = retention.sending;
        sending.send("PUT", path, json(&wish), move |_| {
            sending
                .done
                .set(Some("These are the rules of the cache now.".to_owned()));
            retention.stored.reload();
        });
    };
    let ready = move || {
        let first = retention.first.get();
        match retention.stored.get() {
            Some(stored) if first.as_ref() == Some(&stored.rules) && stored.revision > 0 => {
                Readiness::Refused("These are the rules of the cache.".to_owned())
            }
            _ => retention.ready(RETENTION_NEEDS),
        }
    };
    let words = move || {
        let stored = retention.stored.get()?;
        let by = match (&stored.by, stored.revision) {
            (_, 0) => "Nobody has set rules for this cache".to_owned(),
            (Some(by), _) => format!("The cache has these rules, set by {}", format::visible(by)),
            (None, _) => "The cache has these rules".to_owned(),
        };
        Some(format!("{by}: {}.", in_words(&stored.rules)))
    };
    view! {
        <div class="gc-kept">
            <p class="muted" id="gc-kept-rules">{changing(words)}</p>
            {button_when(Weight::Plain, None, "Save as rules of the cache", ready, save)}
        </div>
    }
    .into_any()
}

/// What can be made of the simulation.
fn acts(retention: Retention, found: Remote<Simulation>) -> AnyView {
    let open = RwSignal::new(false);
    let ready = move || match found.get() {
        None => Readiness::Refused("The simulation is not there yet.".to_owned()),
        Some(_) if found.is_waiting() => Readiness::Busy("Simulating…"),
        Some(found) => match (&found.refusal, found.frees.paths) {
            (Some(why), _) => Readiness::Refused(why.clone()),
            (None, 0) => Readiness::Refused("These rules remove nothing.".to_owned()),
            _ => retention.ready(RETENTION_NEEDS),
        },
    };
    view! {
        <div class="page-actions gc-acts">
            {button_when(Weight::Primary, Some(Icon::Plus), "Create plan…", ready, move || open.set(true))}
        </div>
        {dialog("Create a plan", open, move || plan_form(retention, found, open))}
    }
    .into_any()
}

fn plan_form(retention: Retention, found: Remote<Simulation>, open: RwSignal<bool>) -> AnyView {
    let Some(found) = found.get_now() else {
        return ().into_any();
    };
    let foreign = RwSignal::new(false);
    let others = found.foreign_paths;
    let grace = Field::new(
        "Days until NARs are deleted",
        "Machines remember narinfos for 30 days. Fewer days: they fail with “file … does not exist in binary cache” until they forget.",
    );
    let usual = retention.stored.get_now().map(|stored| stored.grace_days);
    grace
        .value
        .set(usual.unwrap_or(USUAL_GRACE_DAYS).to_string());
    let rules = StoredValue::new(found.rules.clone());
    let go = move || {
        let Ok(days) = grace.value.get_untracked().trim().parse::<u32>() else {
            grace
                .error
                .set(Some("It is a number of days, such as 30.".to_owned()));
            return;
        };
        let wish = PlanWish {
            rules: rules.get_value(),
            foreign: foreign.get_untracked(),
            grace_days: Some(days),
        };
        open.set(false);
        let cache = retention.cache.get_value();
        let path = gc_path(&cache, "plans");
        retention
            .sending
            .send("POST", path, json(&wish), move |body| {
                if let Ok(plan) = body.json::<Plan>() {
                    let id = plan.id;
                    let route = Route::Monitoring(MonitoringRoute::Plan { cache, id });
                    retention.navigation.go(&route);
                }
            });
    };
    let ready = move || match others > 0 && !foreign.get() {
        true => Readiness::Refused("Say yes above: others write to this bucket.".to_owned()),
        false => Readiness::Ready,
    };
    let foreign_box = (others > 0).then(|| {
        let words = format!(
            "{} came past this server, by s3:// or other tools. What they write while a run goes on is not announced here, and may refer to what the run removes.",
            format::counted(others, "path", "paths")
        );
        view! {
            <p>{words}</p>
            {check("I know that others write to this bucket", "", foreign)}
        }
    });
    view! {
        <p>
            <b>{format!("{} would go, {} as stored.", format::counted(found.frees.paths, "path", "paths"), format::size(found.frees.bytes))}</b>
        </p>
        <p>{format!("By these rules: {}.", in_words(&found.rules))}</p>
        <p>"A plan is a frozen list. Nothing is deleted until somebody starts it, and what is needed by then stays."</p>
        {foreign_box}
        {text_field(grace, "number", "off")}
        <div class="dialog-actions">
            {button(Weight::Plain, None, "Cancel", move || open.set(false))}
            {button_when(Weight::Primary, None, "Create the plan", ready, go)}
        </div>
    }
    .into_any()
}

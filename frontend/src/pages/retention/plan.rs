//! `/c/{cache}/gc/plans/{id}`: a frozen list of what is to go, what became needed since, and the start.

use leptos::prelude::*;
use snowbank_shared::api::Page;
use snowbank_shared::api::retention::{ListedPath, Plan, Run};
use snowbank_shared::route::{MonitoringRoute, Route, escape};

use super::asked::{Asked, in_words};
use super::history::day;
use super::listed::{left_out, paths, weight_words};
use super::{Question, found_or, framed, gc_path, question, readiness, run_route};
use crate::components::ago::ago;
use crate::components::banner::banner;
use crate::components::button::{Weight, button, button_when, link_button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::export_menu::{Exported, export_menu};
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::layout::{card, fact, facts, section};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::navigation::{href, navigation};
use crate::state::remote::Remote;
use crate::state::sending::Sending;

/// Paths of the list asked for at once.
const ROWS: usize = 100;

/// What the parts of the page share. Copy it freely.
#[derive(Clone, Copy)]
struct Planned {
    cache: StoredValue<String>,
    /// The plan's address below `/api/v1`.
    path: StoredValue<String>,
    plan: Remote<Plan>,
    sending: Sending,
}

/// The page.
pub(super) fn page(cache: &str, id: &str) -> AnyView {
    let path = gc_path(cache, &format!("plans/{}", escape(id)));
    let source = path.clone();
    let planned = Planned {
        cache: StoredValue::new(cache.to_owned()),
        path: StoredValue::new(path),
        plan: Remote::new(move || Some(source.clone())),
        sending: Sending::new(),
    };
    let plan = planned.plan;
    let sentence = move || {
        let plan = plan.get()?;
        Some(format!(
            "{} are to go. The list is frozen; what is needed by the start stays.",
            weight_words(plan.frees)
        ))
    };
    let absent = || {
        let words = view! { <p>"It expired, or there never was one of this id. What a run removed stands on the run’s page and in the audit."</p> };
        banner(Tone::Warn, "There is no such plan", words, ())
    };
    let found = found_or(
        plan,
        "Comparing the plan with what is here now…",
        absent,
        move |found| content(planned, found),
    );
    let body = view! { {planned.sending.notice()} {found} }.into_any();
    framed(cache, "Plan", changing(sentence), body)
}

fn content(planned: Planned, plan: &Plan) -> AnyView {
    let cache = planned.cache.get_value();
    view! {
        <div class="summary">
            <div class="summary-main">{since(&cache, plan)} {list(planned, plan)}</div>
            <div class="summary-side">{card("The plan", (), about(&cache, plan))} {start(planned, plan)}</div>
        </div>
    }
    .into_any()
}

fn about(cache: &str, plan: &Plan) -> AnyView {
    let simulation = Asked {
        first: Some(plan.rules.clone()),
        second: None,
    };
    let again = href(&simulation.of(cache));
    let mut lines = vec![
        fact("Id", view! { <code class="break">{plan.id.clone()}</code> }),
        fact("By", format::visible(&plan.by)),
        fact("Made", ago(&plan.at)),
        fact(
            "Expires",
            view! { {ago(&plan.expires)} " (" {day(&plan.expires)} ")" },
        ),
        fact(
            "Rules",
            view! { <a class="cell-link" href=again>{in_words(&plan.rules)}</a> },
        ),
        fact("Frees", weight_words(plan.frees)),
        fact(
            "NARs are deleted",
            match plan.grace_days {
                0 => "as soon as their narinfos are in the trash".to_owned(),
                days => format!(
                    "{} after their narinfos are in the trash",
                    format::counted(u64::from(days), "day", "days")
                ),
            },
        ),
    ];
    if plan.foreign_paths > 0 {
        let yes = match plan.foreign {
            true => "who made the plan knew of that",
            false => "who made the plan did not say yes to that",
        };
        lines.push(fact(
            "Others write here",
            format!(
                "{} came past this server; {yes}",
                format::counted(plan.foreign_paths, "path", "paths")
            ),
        ));
    }
    facts(lines)
}

/// What became needed since the plan was made.
fn since(cache: &str, plan: &Plan) -> AnyView {
    let body = if plan.since_paths == 0 {
        view! { <p>"Nothing on the list was referenced, pinned or fetched since. All of it would go."</p> }
            .into_any()
    } else {
        let words = format!(
            "{} of the list became needed since, and would stay:",
            format::counted(plan.since_paths, "path", "paths")
        );
        view! { <p><b>{words}</b></p> {left_out(cache, &plan.since, plan.since_paths)} }.into_any()
    };
    section("Since the plan was made", (), body)
}

fn list(planned: Planned, plan: &Plan) -> AnyView {
    let cache = planned.cache;
    let path = planned.path.get_value();
    let cursor = RwSignal::new(None::<String>);
    let source = path.clone();
    let found = Remote::<Page<ListedPath>>::new(move || {
        let after = cursor
            .get()
            .map(|cursor| format!("&cursor={}", escape(&cursor)));
        Some(format!(
            "{source}/paths?limit={ROWS}{}",
            after.unwrap_or_default()
        ))
    });
    let shown = move || match found.get() {
        None => found
            .is_waiting()
            .then(|| skeleton(6, "Asking for the list…")),
        Some(page) => {
            let first = cursor.get_untracked().is_some().then(|| {
                button(Weight::Plain, Some(Icon::First), "First page", move || {
                    cursor.set(None);
                })
            });
            let next = page.next.clone().map(|next| {
                button(Weight::Plain, Some(Icon::Next), "Next page", move || {
                    cursor.set(Some(next.clone()));
                })
            });
            let words = format!(
                "{} of {}",
                format::counted(page.items.len() as u64, "path", "paths"),
                format::count(page.total)
            );
            Some(
                view! {
                    {paths(&cache.get_value(), None, &page.items)}
                    <div class="table-foot">
                        <span>{words}</span>
                        <span class="page-actions">{first} {next}</span>
                    </div>
                }
                .into_any(),
            )
        }
    };
    let rows = plan.frees.paths;
    let exported = move || {
        Some(Exported {
            path: format!("{path}/paths"),
            columns: String::new(),
            rows,
        })
    };
    let body = view! { {failure_of(found)} {changing(shown)} };
    section("What is to go", export_menu(exported), body)
}

/// What becomes of the NARs, and until when it can be undone.
fn grace_words(days: u32) -> String {
    match days {
        0 => "Clients get 404 for them from then on. NARs are deleted at once after that, and then the run cannot be undone.".to_owned(),
        days => format!(
            "Clients get 404 for them from then on. NARs stay for {}, and until then the run can be undone.",
            format::counted(u64::from(days), "day", "days")
        ),
    }
}

fn start(planned: Planned, plan: &Plan) -> AnyView {
    let cache = planned.cache.get_value();
    if let Some(run) = &plan.run {
        let address = href(&run_route(&cache, run));
        let body = view! {
            <p>"A run carries it out, or has done so."</p>
            <p>{link_button(Weight::Primary, Some(Icon::Next), "Open the run", address)}</p>
        };
        return card("Started", (), body);
    }
    let open = RwSignal::new(false);
    let refusal = plan.refusal.clone();
    let ready = move || {
        let cache = planned.cache.get_value();
        readiness(refusal.as_ref(), &cache, planned.sending)
    };
    let navigation = navigation();
    let go = move || {
        let path = format!("{}/run", planned.path.get_value());
        let body = Some("{}".to_owned());
        planned.sending.send("POST", path, body, move |body| {
            if let Ok(run) = body.json::<Run>() {
                navigation.go(&run_route(&planned.cache.get_value(), &run.id));
            }
        });
    };
    let (frees, days, left) = (plan.frees, plan.grace_days, plan.since_paths);
    let preview = move || {
        let stay = (left > 0).then(|| {
            let words = format!(
                "{} became needed since and stay.",
                format::counted(left, "path", "paths")
            );
            view! { <p>{words}</p> }
        });
        let undo = grace_words(days);
        view! {
            <p><b>{format!("{}: their narinfos go into the trash.", weight_words(frees))}</b></p>
            {stay}
            <p>{undo}</p>
        }
        .into_any()
    };
    let asked = Question {
        title: "Start the run",
        verb: "Start it",
        typed: cache,
        hint: "The name of the cache.",
    };
    let gc = href(&Route::Monitoring(MonitoringRoute::gc(
        planned.cache.get_value(),
    )));
    let body = view! {
        <p>"Before each path goes it is checked again: what refers to it, pins, fetches, its narinfo."</p>
        <p>{button_when(Weight::Danger, None, "Start the run…", ready, move || open.set(true))}</p>
        <p class="muted">"Or let it expire, and " <a class="cell-link" href=gc>"simulate again"</a></p>
        {question(asked, open, preview, go)}
    };
    card("Carry it out", (), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_days_of_grace_is_not_said_to_be_undone() {
        assert!(grace_words(0).ends_with("then the run cannot be undone."));
        assert!(grace_words(1).contains("NARs stay for 1 day, "));
        assert!(grace_words(30).ends_with("until then the run can be undone."));
    }
}

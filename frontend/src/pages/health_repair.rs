//! Repairing the findings of a check: first what would be done, object by object, then exactly that;
//! and whom a missing NAR concerns.

use leptos::prelude::*;
use snowbank_shared::api::Health;
use snowbank_shared::api::repair::{Affected, Repair, RepairAct, RepairStep, RepairWish};
use snowbank_shared::route::{PinsRoute, Route, escape};

use crate::api;
use crate::components::button::{Weight, button, button_when};
use crate::components::changing::changing;
use crate::format;
use crate::state::identity::identity;
use crate::state::live::LiveCache;
use crate::state::navigation::href;
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

/// A repair as the page holds it, so that it outlives what is drawn anew.
#[derive(Clone, Copy)]
pub struct Repairing {
    cache: StoredValue<String>,
    health: Remote<Health>,
    /// What is being sent, and what became of it.
    pub sending: Sending,
    /// The dry run that is shown.
    plan: RwSignal<Option<Repair>>,
}

impl Repairing {
    /// Nothing is shown yet.
    pub fn new(cache: &str, health: Remote<Health>) -> Self {
        Self {
            cache: StoredValue::new(cache.to_owned()),
            health,
            sending: Sending::new(),
            plan: RwSignal::new(None),
        }
    }

    /// Forgets what is shown: another check was chosen.
    pub fn forget(self) {
        self.plan.set(None);
    }

    fn ask(self, check: &str, plan: Option<String>) {
        let wish = RepairWish {
            dry_run: plan.is_none(),
            plan,
        };
        let cache = self.cache.get_value();
        let address = format!(
            "{}/health/{}/repair",
            api::cache_path(&cache),
            escape(check)
        );
        self.plan.set(None);
        self.sending
            .send("POST", address, json(&wish), move |body| {
                match body.json::<Repair>() {
                    Ok(repair) if repair.dry_run => self.plan.set(Some(repair)),
                    Ok(repair) => {
                        self.sending.done.set(Some(outcome(&repair)));
                        self.health.reload();
                    }
                    Err(error) => self.sending.done.set(Some(error.what())),
                }
            });
    }
}

/// What became of a repair.
fn outcome(repair: &Repair) -> String {
    let done = format::counted(repair.done, "object was", "objects were");
    let word = match repair.act {
        RepairAct::Delete => "deleted",
        RepairAct::GiveUp => "freed of unfinished uploads",
        RepairAct::Rewrite => "written again",
        RepairAct::Hide => "put into quarantine",
    };
    let mut left = repair.steps.iter().filter_map(|step| {
        let why = step.left.as_ref()?;
        Some(format!("{}: {why}", step.object))
    });
    match left.next() {
        None => format!("{done} {word}."),
        Some(first) => format!(
            "{done} {word}. {} as it was, the first of them {first}.",
            format::counted(left.count() as u64 + 1, "stays", "stay")
        ),
    }
}

/// The way to repair the findings of a check; nothing where the server does not repair them.
pub fn repair(repairing: Repairing, check: &str) -> Option<AnyView> {
    let act = RepairAct::of(check)?;
    let of = StoredValue::new(check.to_owned());
    let ready = move || {
        let cache = repairing.cache.get_value();
        let may = identity().readiness(Some(&cache), act.needs());
        repairing.sending.readiness(may)
    };
    let shown = move || {
        let plan = repairing.plan.get()?;
        let name = StoredValue::new(plan.plan.clone());
        let weight = match act {
            RepairAct::Delete | RepairAct::Hide => Weight::Danger,
            RepairAct::GiveUp | RepairAct::Rewrite => Weight::Primary,
        };
        let go = (!plan.steps.is_empty()).then(|| {
            let go = move || repairing.ask(&of.get_value(), Some(name.get_value()));
            button_when(weight, None, "Repair as shown", ready, go)
        });
        let table = (!plan.steps.is_empty()).then(|| steps(&plan.steps));
        Some(
            view! {
                <section id="repair" aria-label="Dry run">
                    <p>{summary(&plan)}</p>
                    {table}
                    <div class="page-actions">
                        {go} {button(Weight::Plain, None, "Close", move || repairing.forget())}
                    </div>
                </section>
            }
            .into_any(),
        )
    };
    let see = move || repairing.ask(&of.get_value(), None);
    Some(
        view! {
            <div class="page-actions">
                {button_when(Weight::Plain, None, "Show what a repair would do", ready, see)}
            </div>
            {changing(shown)}
        }
        .into_any(),
    )
}

/// A dry run in words.
fn summary(plan: &Repair) -> String {
    let count = plan.steps.len() as u64;
    let bytes: u64 = plan.steps.iter().filter_map(|step| step.bytes).sum();
    let freed = match bytes {
        0 => String::new(),
        bytes => format!(" That frees {}.", format::size_short(bytes)),
    };
    let others = match (plan.others, plan.act) {
        (0, _) => String::new(),
        (others, RepairAct::Delete) => format!(
            " {} left out: younger than eight days, gone, named by now, or more than are done at once.",
            format::counted(others, "other is", "others are")
        ),
        (others, _) => format!(
            " {} left out: no longer so, or more than are done at once.",
            format::counted(others, "other is", "others are")
        ),
    };
    match count {
        0 => format!("Nothing can be repaired now.{others}"),
        count => format!(
            "Nothing was done yet. A repair would change {}.{freed}{others}",
            format::counted(count, "object", "objects")
        ),
    }
}

fn steps(steps: &[RepairStep]) -> AnyView {
    let row = |step: &RepairStep| {
        let size = step
            .bytes
            .map(|bytes| view! { <span class="muted nowrap">{format::size_short(bytes)}</span> });
        view! {
            <tr>
                <th scope="row" class="wrap finding">
                    <span class="finding-reason">{format::sentence(&step.text)}</span>
                    <span class="finding-object">
                        <code class="break">{format::visible(&step.object)}</code>
                        {size}
                    </span>
                </th>
            </tr>
        }
    };
    view! {
        <div class="table-wrap">
            <table class="table is-roomy" id="repair-steps">
                <caption class="visually-hidden">"What a repair would do"</caption>
                <thead>
                    <tr>
                        <th scope="col">"What would be done"</th>
                    </tr>
                </thead>
                <tbody>{steps.iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// Whom a missing NAR concerns: the closures that cannot be fetched whole, and pins.
pub fn affected(live: LiveCache, affected: &Affected) -> AnyView {
    let slug = live.slug();
    let roots = affected.roots.iter().map(|root| {
        let hash = root.split('-').next().unwrap_or_default().to_owned();
        let address = href(&Route::path(slug.clone(), hash));
        view! { <a class="break" href=address>{root.clone()}</a> " " }
    });
    let roots = roots.collect_view();
    let more = affected.root_count - affected.roots.len() as u64;
    let more = (more > 0).then(|| format!("and {} more", format::count(more)));
    let pins = affected.pins.iter().map(|pin| {
        let (name, revision) = pin.rsplit_once('@').unwrap_or((pin.as_str(), "1"));
        let revision = revision.parse().unwrap_or(1);
        let address = href(&Route::Pins(PinsRoute::revision(&*slug, name, revision)));
        view! { <a href=address>{pin.clone()}</a> " " }
    });
    let pins = (!affected.pins.is_empty())
        .then(|| view! { <span>"Pins that need it: " {pins.collect_view()}</span> });
    let closures = match affected.closures {
        0 => "No other closure contains it.".to_owned(),
        count => format!(
            "{} it. At the top:",
            format::counted(count, "closure contains", "closures contain")
        ),
    };
    view! {
        <span class="finding-object finding-affected">
            <span>{closures}</span>
            {roots}
            {more}
            {pins}
        </span>
    }
    .into_any()
}

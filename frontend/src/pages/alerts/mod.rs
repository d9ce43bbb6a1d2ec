//! `/c/{cache}/settings/alerts`: who is told by a webhook when a figure is too low or too high, how
//! each alert stands, and whether its messages arrive.

mod change;
mod form;
mod listed;
mod receiver;

use leptos::prelude::*;
use snowbank_shared::api::Page;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::alerts::{Alert, AlertDelivery, MOST_ALERTS, NewAlert};
use snowbank_shared::route::escape;

use crate::components::ago::clock;
use crate::components::api_button::api_button;
use crate::components::banner::{banner, empty};
use crate::components::button::{Readiness, Weight, button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::code::code_line;
use crate::components::failure::failure_of;
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::state::derived::memo;
use crate::state::identity::{Identity, identity};
use crate::state::live::live_cache;
use crate::state::navigation::with_base;
use crate::state::remote::Remote;
use crate::state::sending::Sending;

/// What the parts of the page share. Copy it freely.
#[derive(Clone, Copy)]
struct Alerts {
    cache: StoredValue<String>,
    identity: Identity,
    list: Remote<Page<Alert>>,
    sending: Sending,
    /// Alerts that were just made or given a new secret, with it: nobody is shown it again, so it stays
    /// until it was taken.
    made: RwSignal<Vec<NewAlert>>,
    /// The alert that was just tested, and how that went.
    tested: RwSignal<Option<(String, AlertDelivery)>>,
    /// The alert that a question is about: rows are drawn anew each minute, and questions stay.
    chosen: RwSignal<Option<Alert>>,
    /// Whether it is asked if that one is to go.
    removing: RwSignal<bool>,
    /// Whether that one is being changed.
    changing: RwSignal<bool>,
}

impl Alerts {
    /// Whether they can be changed; tracked.
    fn readiness(self) -> Readiness {
        let cache = self.cache.get_value();
        self.identity.readiness(Some(&cache), Act::Manage)
    }

    /// The address of one of them, or of all, below `/api/v1`.
    fn path(self, rest: &str) -> String {
        let cache = self.cache.get_value();
        format!("/caches/{}/alerts{rest}", escape(&cache))
    }

    /// Whether something can be done now: one thing at a time; tracked.
    fn ready(self) -> Readiness {
        self.sending.readiness(self.readiness())
    }

    /// Why no more can be made; tracked.
    fn full(self) -> Option<String> {
        let page = self.list.get()?;
        (page.items.len() >= MOST_ALERTS).then(|| {
            format!("This cache has {MOST_ALERTS} alerts, and that is the most: remove one first.")
        })
    }

    /// An act on an alert begins: how an earlier one went is said no more. A secret stays.
    fn begin(self) {
        self.tested.set(None);
    }

    /// A secret was taken, or has become useless.
    fn taken(self, id: &str) {
        self.made
            .update(|made| made.retain(|one| one.alert.id != id));
    }
}

/// The page.
pub fn page(cache: &str) -> AnyView {
    let title = cache.to_owned();
    page_title(move || format!("Alerts – {title}"));
    let cache = StoredValue::new(cache.to_owned());
    let (identity, clock) = (identity(), clock());
    // How they stand is looked at once a minute there too.
    let minute = memo(move || clock.now() / 60);
    let list = Remote::new(move || {
        minute.track();
        let cache = cache.get_value();
        let path = format!("/caches/{}/alerts", escape(&cache));
        identity.may(Some(&cache), Act::Manage).then_some(path)
    });
    let alerts = Alerts {
        cache,
        identity,
        list,
        sending: Sending::new(),
        made: RwSignal::new(Vec::new()),
        tested: RwSignal::new(None),
        chosen: RwSignal::new(None),
        removing: RwSignal::new(false),
        changing: RwSignal::new(false),
    };
    let known = memo(move || list.get().map(|page| page.items.clone()));
    let drawn = move || match (known.get(), alerts.readiness()) {
        (_, Readiness::Refused(why)) => banner(
            Tone::Note,
            "Alerts are shown to owners of this cache",
            view! { <p>{format::sentence(&why)}</p> },
            (),
        ),
        (None, _) => match list.error() {
            Some(_) => ().into_any(),
            None => skeleton(3, "Asking for the alerts…"),
        },
        (Some(items), _) if items.is_empty() => empty(
            "Nobody is told of anything yet",
            view! { <p>"An alert looks at one figure each minute and calls your webhook when it is too low or too high for too long. Make one below."</p> },
        ),
        (Some(items), _) => listed::table_of(alerts, &items),
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Alerts")} <div class="page-actions">{api_button(move || alerts.path(""))}</div>
                </div>
                <p class="state-sentence">
                    "Who is told by a webhook when a figure of this cache is too low or too high. A figure that is not measured never fires."
                </p>
            </div>
            {absent_or_failed(live_cache())}
            {failure_of(list)}
            {alerts.sending.notice()}
            {changing(move || shown_once(alerts))}
            {changing(move || alerts.tested.get().map(|(name, went)| listed::test_went(&name, &went)))}
            <div id="alerts">{changing(drawn)}</div>
            {listed::removal(alerts)}
            {change::dialog_of(alerts)}
            {form::card_of(alerts)}
            {receiver::card_of()}
            {files()}
        </div>
    }
    .into_any()
}

/// The secrets, this once.
fn shown_once(alerts: Alerts) -> AnyView {
    let one = |made: NewAlert| {
        let id = made.alert.id.clone();
        banner(
            Tone::Ok,
            format!("The secret of {}", format::visible(&made.alert.name)),
            view! {
                <p>"Messages of this alert are signed with it. It is shown this once: give it to the receiver now."</p>
                {code_line("Secret", made.secret)}
            },
            button(Weight::Plain, None, "I have it", move || {
                alerts.taken(&id);
            }),
        )
    };
    let made = alerts.made.get();
    made.into_iter().map(one).collect_view().into_any()
}

/// For who has Prometheus and Grafana.
fn files() -> AnyView {
    let link = |path: &str, words: &'static str| {
        view! { <a href=with_base(path) download="">{words}</a> }
    };
    view! {
        <p class="muted">
            "With Prometheus and Grafana: "
            {link("/api/v1/monitoring/alerts.yml", "alert rules over /metrics")}
            " and "
            {link("/api/v1/monitoring/dashboard.json", "a dashboard to import")}
            ", of the same figures."
        </p>
    }
    .into_any()
}

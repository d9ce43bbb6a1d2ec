//! `/c/{cache}/gc`: rules at the left, what they would keep and remove at the right. Nothing here deletes.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::retention::{RETENTION_NEEDS, RetentionRules, Rules, Simulation};
use snowbank_shared::route::{MonitoringRoute, Route};

use super::asked::{Asked, asked_of_api, in_words};
use super::controls::{Draft, drawn};
use super::{gc_path, result};
use crate::components::api_button::api_button;
use crate::components::button::{Readiness, Weight, button, button_when};
use crate::components::changing::changing;
use crate::components::choice::segments;
use crate::components::copy::copy_link_button;
use crate::components::failure::failure_of;
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
pub fn page(cache: &str) -> AnyView {
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
                    {acts(first)}
                </section>
            </div>
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
            Some(result::of(&cache, &found, second.as_deref()))
        }
    }
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
        return button(Weight::Plain, None, "Compare with a scenario B", begin);
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
fn acts(found: Remote<Simulation>) -> AnyView {
    let ready = move || match found.get() {
        None => Readiness::Refused("The simulation is not there yet.".to_owned()),
        Some(found) => Readiness::Refused(found.refusal.clone().unwrap_or_default()),
    };
    view! {
        <div class="page-actions gc-acts">
            {button_when(Weight::Primary, Some(Icon::Plus), "Create plan…", ready, || ())}
        </div>
    }
    .into_any()
}

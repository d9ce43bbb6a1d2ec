//! A time: how long ago, with the moment itself on focus and hover.

use leptos::prelude::*;
use std::time::Duration;

use crate::components::changing::changing;
use crate::format;
use crate::state::preferences::preferences;

/// Seconds since 1970, renewed twice a minute. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Clock(RwSignal<i64>);

impl Clock {
    /// Once, at the start.
    pub fn start() -> Self {
        let clock = Self(RwSignal::new(now()));
        provide_context(clock);
        set_interval(move || clock.0.set(now()), Duration::from_secs(15));
        clock
    }

    /// Now, to a quarter of a minute; tracked.
    pub fn now(self) -> i64 {
        // Between two ticks something newer than the last one may turn up.
        self.0.get().max(now() - 15)
    }
}

/// The page's clock.
///
/// # Panics
/// Outside of the application.
pub fn clock() -> Clock {
    expect_context()
}

/// Now, in seconds since 1970.
pub fn now() -> i64 {
    (js_sys::Date::now() / 1000.0) as i64
}

/// `2026-11-23 12:03:11` in the user's zone.
fn local(time: &str) -> String {
    js_sys::Date::new(&time.into())
        .to_locale_string("sv-SE", &wasm_bindgen::JsValue::UNDEFINED)
        .into()
}

/// The moment in the user's zone and in UTC.
pub fn absolute(time: &str) -> String {
    format!("{} here, {time}", local(time))
}

/// `12:03:11` in the user's zone.
pub fn time_of_day(time: &str) -> String {
    let local = js_sys::Date::new(&time.into()).to_locale_time_string("sv-SE");
    local.into()
}

/// When something was: how long ago, or the moment where the reader prefers that.
/// The other one is on hover, and the moment in UTC in the element.
pub fn ago(time: &str) -> AnyView {
    let (clock, preferences) = (clock(), preferences());
    let Some(then) = format::unix_seconds(time) else {
        return view! { <span>{time.to_owned()}</span> }.into_any();
    };
    let moment = local(time);
    let shown = move || {
        if preferences.moments.get() {
            moment.clone()
        } else {
            format::ago(then, clock.now())
        }
    };
    view! {
        <time datetime=time.to_owned() title=absolute(time)>
            {changing(shown)}
        </time>
    }
    .into_any()
}

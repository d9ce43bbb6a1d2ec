//! What is typed is asked for: the first letter at once, those that follow it quickly once the typing
//! pauses. So nobody waits for nothing, and a word that is typed in one go asks twice and not for
//! each of its letters.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use leptos::leptos_dom::helpers::{TimeoutHandle, set_timeout_with_handle};
use leptos::prelude::*;

/// Letters that come faster than this belong together.
const PAUSE: Duration = Duration::from_millis(120);

/// Calls `ask` with what is typed now, or with what it has become when the typing pauses; never after
/// the page is gone, and never with what is older than what it was called with before.
pub fn as_typed(ask: impl FnMut(String) + 'static) -> impl FnMut(String) {
    let ask = Rc::new(RefCell::new(ask));
    let waiting = StoredValue::new(None::<TimeoutHandle>);
    on_cleanup(move || {
        waiting.try_update_value(clear);
    });
    let mut last = None::<f64>;
    move |text| {
        waiting.try_update_value(clear);
        let now = js_sys::Date::now();
        let pause = last.replace(now).map(|last| now - last);
        if pause.is_none_or(|pause| pause >= PAUSE.as_secs_f64() * 1000.0) {
            ask.borrow_mut()(text);
            return;
        }
        let later = Rc::clone(&ask);
        let timer = set_timeout_with_handle(move || later.borrow_mut()(text), PAUSE).ok();
        waiting.try_set_value(timer);
    }
}

fn clear(waiting: &mut Option<TimeoutHandle>) {
    if let Some(timer) = waiting.take() {
        timer.clear();
    }
}

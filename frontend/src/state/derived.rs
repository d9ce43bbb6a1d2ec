//! Memos and effects with one copy of their machinery for each type of value,
//! not for each closure: a tenth of the program was that.

use leptos::prelude::*;

/// A value computed from signals; who reads it hears only of real changes.
pub fn memo<T: PartialEq + Send + Sync + 'static>(
    compute: impl Fn() -> T + Send + Sync + 'static,
) -> Memo<T> {
    erased_memo(Box::new(compute))
}

fn erased_memo<T: PartialEq + Send + Sync + 'static>(
    compute: Box<dyn Fn() -> T + Send + Sync>,
) -> Memo<T> {
    Memo::new(move |_| compute())
}

/// Acts now, and again whenever a signal that was read has changed.
pub fn effect(act: impl Fn() + 'static) {
    erased_effect(Box::new(act));
}

fn erased_effect(act: Box<dyn Fn()>) {
    Effect::new(move |_| act());
}

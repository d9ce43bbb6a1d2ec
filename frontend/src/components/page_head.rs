//! The head of a page: its one `h1`, which gets the focus when the page opens,
//! and the browser's title, which is announced.

use leptos::prelude::*;

use crate::components::announcer::announcer;
use crate::state::derived::effect;
use crate::state::keyboard::focus;

/// False until a first page was shown: on load the focus stays where the browser put it.
#[derive(Debug, Clone, Copy)]
pub struct Opened(StoredValue<bool>);

impl Opened {
    /// Once, at the start.
    pub fn start() {
        provide_context(Self(StoredValue::new(false)));
    }
}

/// Names the page in the browser's title and says it. Not the first page: that the browser says.
pub fn page_title(title: impl Fn() -> String + 'static) {
    erased_title(Box::new(title));
}

fn erased_title(title: Box<dyn Fn() -> String>) {
    let announcer = announcer();
    let opened: Opened = expect_context();
    Effect::new(move |before: Option<String>| {
        let title = crate::format::visible(&title());
        if before.as_ref() != Some(&title) {
            document().set_title(&format!("{title} – Snowbank"));
            if opened.0.get_value() {
                announcer.say(&title);
            }
        }
        title
    });
}

/// The heading. It takes the focus when its page was opened from another one.
pub fn heading(children: impl IntoAny + 'static) -> AnyView {
    erased_heading(children.into_any())
}

fn erased_heading(children: AnyView) -> AnyView {
    let opened: Opened = expect_context();
    effect(move || {
        if opened.0.get_value() {
            focus("main h1");
        }
        opened.0.set_value(true);
    });
    view! { <h1 tabindex="-1">{children}</h1> }.into_any()
}

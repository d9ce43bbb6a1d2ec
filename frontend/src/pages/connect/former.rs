//! Keys that a cache used once, in a file that trusts them still.

use leptos::prelude::*;
use snowbank_shared::nix_conf::merge::FormerKey;

use crate::components::banner::banner;
use crate::components::button::{Weight, button};
use crate::components::chip::Tone;

/// What the file still trusts, and the way out; `taken` is whether they go.
pub fn former_keys(left: &[FormerKey], taken: RwSignal<bool>) -> Option<AnyView> {
    if taken.get() {
        let back = button(Weight::Plain, None, "Leave old keys in", move || {
            taken.set(false);
        });
        let rest = (!left.is_empty()).then(|| {
            view! { <p>"What stands in the block of another cache stays: take it out by hand."</p> }
        });
        return Some(banner(
            Tone::Note,
            "Old keys go, from lines of others too",
            view! { <p>"Nothing else of these lines changes."</p> {rest} },
            back,
        ));
    }
    if left.is_empty() {
        return None;
    }
    let names: Vec<String> = left
        .iter()
        .map(|former| format!("{} (line {})", former.key.name(), former.origin.line))
        .collect();
    let take = button(Weight::Plain, None, "Take old keys out", move || {
        taken.set(true);
    });
    Some(banner(
        Tone::Warn,
        "The file trusts a key that the cache no longer uses",
        view! {
            <p>
                <strong class="break">{names.join(", ")}</strong>
                ". Whoever has that key can still sign for this machine. It stands in lines that are not ours, so it stays unless you say so."
            </p>
        },
        take,
    ))
}

//! The files of a path that mention another one: the server reads the archive once, and asks before
//! it does so for a large one.

use std::time::Duration;

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::{Mentions, WhyStep};
use snowbank_shared::contents::{Mention, Mentioned, address_of};
use snowbank_shared::route::{PathTab, Route};

use crate::api;
use crate::components::button::{Weight, button_when};
use crate::components::changing::changing;
use crate::components::failure::failure_now;
use crate::components::icon::{Icon, icon};
use crate::components::layout::{progress, table};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::derived::effect;
use crate::state::identity::identity;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// How often the server is asked how far it has read.
const AGAIN: Duration = Duration::from_millis(700);

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Nothing,
    Files,
    /// However large the archive is.
    Anyway,
}

/// The button, and below it the files once they are asked for.
pub fn mentions(cache: &str, hash: &str, next: &WhyStep) -> AnyView {
    let wish = RwSignal::new(Wish::Nothing);
    let path = format!(
        "{}?of={}",
        api::path_path(cache, hash, "mentions"),
        next.hash
    );
    let found = Remote::<Mentions>::new(move || match wish.get() {
        Wish::Nothing => None,
        Wish::Files => Some(path.clone()),
        Wish::Anyway => Some(format!("{path}&large=true")),
    });
    effect(move || {
        if found.get().is_some_and(|found| found.reading.is_some()) {
            set_timeout(move || found.reload(), AGAIN);
        }
    });
    let (cache, hash) = (cache.to_owned(), hash.to_owned());
    let label = format!("Find the files that mention {}", next.name);
    let body = move || match wish.get() {
        Wish::Nothing => view! {
            <button type="button" class="quiet chain-find" on:click=move |_| wish.set(Wish::Files)>
                {icon(Icon::Search)}
                {label.clone()}
            </button>
        }
        .into_any(),
        Wish::Files | Wish::Anyway => {
            let answer = found.get().map(|found| answer(&cache, &hash, &found, wish));
            view! {
                {failure_now(found)}
                {answer.or_else(|| found.error().is_none().then(|| skeleton(2, "Reading the archive…")))}
            }
            .into_any()
        }
    };
    view! { <div class="chain-why">{changing(body)}</div> }.into_any()
}

fn answer(cache: &str, hash: &str, found: &Mentions, wish: RwSignal<Wish>) -> AnyView {
    if found.asks {
        let words = format!(
            "The archive has {} unpacked, and the server reads all of it.",
            format::size(found.nar_size)
        );
        // Strangers do not have large archives read.
        let readiness = move || identity().readiness(None, Act::SeeMembers);
        let read = button_when(Weight::Plain, None, "Read it", readiness, move || {
            wish.set(Wish::Anyway);
        });
        return view! {
            <p>{words}</p>
            <p>{read}</p>
        }
        .into_any();
    }
    if let Some(reading) = found.reading {
        let words = format!(
            "Reading {}: {} read.",
            format::size(reading.whole),
            format::size(reading.read)
        );
        return progress("Read", reading.read, reading.whole, words);
    }
    if found.items.is_empty() {
        return view! {
            <p class="muted">
                "No file mentions it: the narinfo declares the reference, and the archive does not hold it."
            </p>
        }
        .into_any();
    }
    let rows = found
        .items
        .iter()
        .map(|mention| row(cache, hash, mention))
        .collect_view();
    let shown = found.items.len() as u64;
    let more = (found.total > shown).then(|| {
        let words = format!(
            "{} of {} files.",
            format::count(shown),
            format::count(found.total)
        );
        view! { <p class="muted">{words}</p> }
    });
    view! {
        {table(
            "Files that mention the next path",
            "table",
            &[
                ("File", "", ""),
                ("Where", "", ""),
                ("Times", "number", ""),
                ("Around it", "", "What stands around the first place; what is no text is a dot"),
            ],
            rows,
        )}
        {more}
    }
    .into_any()
}

fn row(cache: &str, hash: &str, mention: &Mention) -> AnyView {
    let path = mention.file.path();
    let (cache, hash) = (cache.to_owned(), hash.to_owned());
    let address = if path.is_empty() {
        href(&Route::Path {
            cache,
            hash,
            tab: PathTab::Files,
        })
    } else {
        href(&Route::File {
            cache,
            hash,
            file: address_of(&path),
        })
    };
    let name = if path.is_empty() {
        "the path itself".to_owned()
    } else {
        format::visible(&mention.file.name)
    };
    let place = match mention.place {
        Mentioned::Contents if mention.file.executable => "contents, executable",
        Mentioned::Contents => "contents",
        Mentioned::Target => "target of a symlink",
        Mentioned::Name => "its name",
    };
    view! {
        <tr>
            <th scope="row" class="wrap wide"><a class="file-name" href=address>{name}</a></th>
            <td data-label="Where">{place}</td>
            <td class="number" data-label="Times">{format::count(mention.times)}</td>
            <td class="wrap wide"><code class="break">{mention.around.clone()}</code></td>
        </tr>
    }
    .into_any()
}

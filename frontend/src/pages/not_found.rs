//! An address that is none: mistyped, cut off in an e-mail, of another version,
//! or with a filter that means nothing. Says which, and where to go on.

use leptos::prelude::*;
use snowbank_shared::route::{Route, RouteError};

use crate::components::button::{Weight, link_button};
use crate::components::icon::Icon;
use crate::components::page_head::{heading, page_title};
use crate::entry::{self, Entry};
use crate::format;
use crate::state::navigation::href;
use crate::state::session::session;

/// What can be said of an address.
#[derive(Debug, PartialEq, Eq)]
struct Advice {
    title: &'static str,
    why: String,
    /// The same page without what is wrong about it.
    instead: Option<(&'static str, String)>,
}

/// Reads the address as somebody meant it. `path` begins after the base.
fn advice(error: &RouteError, path: &str) -> Advice {
    if let RouteError::Parameter { name, value } = error {
        return Advice {
            title: "This address has a filter that means nothing",
            why: format!(
                "“{name}” cannot be “{value}”. Nothing is shown rather than the wrong thing."
            ),
            instead: Some(("Without any filter", path.to_owned())),
        };
    }
    let mut segments = path.trim_matches('/').split('/');
    let of_cache = match (segments.next(), segments.next()) {
        (Some("c"), Some(cache)) if !cache.is_empty() => Some(cache),
        _ => None,
    };
    let (Some(cache), page, rest) = (of_cache, segments.next(), segments.next()) else {
        return Advice {
            title: "No such page",
            why: "There is no page at this address. It may have been mistyped, or name a feature that this version does not have.".to_owned(),
            instead: None,
        };
    };
    let overview = Some(("Overview of the cache", format!("/c/{cache}")));
    if page != Some("p") {
        return Advice {
            title: "The cache has no such page",
            why: "It may have been mistyped, or name a feature that this version does not have."
                .to_owned(),
            instead: overview,
        };
    }
    let given = rest.unwrap_or_default();
    match entry::read(given) {
        // The path is fine: what follows it is no tab.
        Entry::Path(hash) => Advice {
            title: "A path has no such page",
            why: "It has a summary, its closure, its referrers, its signatures and its narinfo."
                .to_owned(),
            instead: Some(("Its summary", format!("/c/{cache}/p/{hash}"))),
        },
        Entry::NotAHash { letters } => Advice {
            title: "This is not a Nix hash",
            why: format!("{}.", entry::explain_not_a_hash(&letters)),
            instead: overview,
        },
        Entry::Secret => Advice {
            title: "This is not the hash of a store path",
            why: "The address holds a secret: treat it as known to others.".to_owned(),
            instead: overview,
        },
        _ => Advice {
            title: "This is not the hash of a store path",
            why: format!(
                "It has {}, and 32 are needed. It may have been cut off.",
                format::counted(
                    given.split('-').next().unwrap_or_default().chars().count() as u64,
                    "character",
                    "characters"
                )
            ),
            instead: Some(("Search for it", format!("/c/{cache}/paths?q={given}"))),
        },
    }
}

/// Says what is wrong with the address.
pub fn page(error: &RouteError) -> AnyView {
    let path = window().location().pathname().unwrap_or_default();
    let below = path.strip_prefix(&crate::state::navigation::base());
    let advice = advice(error, &format!("/{}", below.unwrap_or(&path)));
    page_title(move || advice.title.to_owned());
    let instead = advice.instead.and_then(|(word, address)| {
        let route: Route = address.parse().ok()?;
        Some(link_button(Weight::Primary, None, word, href(&route)))
    });
    let search = session().cache().map(|cache| {
        link_button(
            Weight::Plain,
            Some(Icon::Paths),
            "All paths",
            href(&Route::paths(cache)),
        )
    });
    view! {
        <div class="page">
            <div class="page-head">{heading(advice.title)} <p class="state-sentence">{advice.why}</p></div>
            <div class="page-actions">
                {instead} {search} {link_button(Weight::Plain, Some(Icon::Caches), "All caches", href(&Route::Caches))}
                {link_button(Weight::Plain, Some(Icon::Help), "Help", href(&Route::Help))}
            </div>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> (&'static str, Option<String>) {
        let error = path.parse::<Route>().expect_err("no page");
        let advice = advice(&error, path.split('?').next().unwrap_or_default());
        (advice.title, advice.instead.map(|(_, address)| address))
    }

    #[test]
    fn each_kind_of_wrong_address_is_told_apart() {
        let hash = "xynxqns12h5f1dcq1j5x3c3232454njk";
        assert_eq!(of("/nowhere"), ("No such page", None));
        assert_eq!(
            of("/c/main/nowhere"),
            ("The cache has no such page", Some("/c/main".to_owned()))
        );
        assert_eq!(
            of(&format!("/c/main/p/{hash}/nothing")),
            ("A path has no such page", Some(format!("/c/main/p/{hash}")))
        );
        assert_eq!(
            of("/c/main/p/eynxqns12h5f1dcq1j5x3c3232454njk").0,
            "This is not a Nix hash"
        );
        assert_eq!(
            of("/c/main/p/xynxqns12h5f"),
            (
                "This is not the hash of a store path",
                Some("/c/main/paths?q=xynxqns12h5f".to_owned())
            )
        );
        assert_eq!(
            of("/c/main/paths?sig=good"),
            (
                "This address has a filter that means nothing",
                Some("/c/main/paths".to_owned())
            )
        );
    }
}

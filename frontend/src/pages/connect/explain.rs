//! What an error of Nix means, and why Nix does not use a cache for a path.

use leptos::prelude::*;
use snowbank_shared::api::Cache;
use snowbank_shared::explain::{self, Cause, Place, Recognised};
use snowbank_shared::route::{
    ConnectQuery, ConnectRoute, ConnectScope, ConnectTarget, PathTab, Route,
};

use super::choose::{ChosenCaches, caches_of};
use super::head_tabs;
use super::pasted::{Pasted, masked, pasted_field, promise};
use super::why::why_not_used;
use crate::components::banner::{banner, empty};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::code::code_line;
use crate::components::copy::copy_button;
use crate::components::page_head::{heading, page_title};
use crate::state::derived::effect;
use crate::state::handed;
use crate::state::navigation::{absolute, href, navigation};

/// Characters of an error in a link at most.
const LONGEST_LINK: usize = 1500;

/// The page.
pub fn page() -> AnyView {
    page_title(|| "Explain an error".to_owned());
    let navigation = navigation();
    let pasted = Pasted::new();
    let chosen = caches_of(|_| ConnectRoute::Explain {
        error: String::new(),
    });
    // From a link, or from the search field; the latter stays out of the address.
    effect(move || {
        let linked = match navigation.route() {
            Some(Route::Connect(ConnectRoute::Explain { error })) => error,
            _ => String::new(),
        };
        let text = handed::take().unwrap_or(linked);
        if !text.is_empty() {
            pasted.take(text);
        }
    });
    let result = move || {
        if pasted.secret.with(Option::is_some) {
            return ().into_any();
        }
        explained(&pasted.text.get(), chosen)
    };
    view! {
        <div class="page connect-page">
            <div class="page-head">
                {heading("Explain an error")}
                <p class="state-sentence">
                    "Paste what Nix printed: an error, a warning, or the whole output. It is read in this tab."
                </p>
            </div>
            {head_tabs()}
            {promise()}
            <div class="merge">
                <div class="merge-in">
                    {pasted_field("What Nix printed", "One line or all of it.", 8, pasted, "explain-text")}
                </div>
                <div class="merge-out">{changing(result)}</div>
            </div>
            {why_not_used(chosen)}
        </div>
    }
    .into_any()
}

fn explained(text: &str, chosen: ChosenCaches) -> AnyView {
    if text.trim().is_empty() {
        return empty(
            "Nothing to explain yet",
            view! { <p>"Paste a message. What it means, and what to do, appears here."</p> },
        );
    }
    let found = explain::recognise(text);
    if found.is_empty() {
        let doctor = href(&Route::Connect(ConnectRoute::Doctor {
            caches: chosen.slugs.get(),
        }));
        return banner(
            Tone::Note,
            "This message is not known here",
            view! {
                <p>"It may have nothing to do with caches. Paste the lines around it too: Nix often says the reason before the error."</p>
                <p>"If it is about the configuration, the " <a href=doctor>"doctor"</a> " reads nix.conf."</p>
            },
            (),
        );
    }
    let caches = chosen.caches();
    let known: Vec<AnyView> = found.iter().map(|found| one(found, &caches)).collect();
    let shared: String = found[0].text.trim().chars().take(LONGEST_LINK).collect();
    let link = absolute(
        &Route::Connect(ConnectRoute::Explain {
            error: masked(&shared),
        })
        .to_string(),
    );
    view! {
        {known}
        <p class="with-copy-line">
            <span class="muted">"The link holds the first of these lines:"</span>
            {copy_button("Copy a link to this explanation", true, move || link.clone())}
        </p>
    }
    .into_any()
}

fn one(found: &Recognised, caches: &[Cache]) -> AnyView {
    let message = found.message;
    let causes: Vec<AnyView> = message
        .causes
        .iter()
        .map(|cause| one_cause(cause, found, caches))
        .collect();
    let title = if causes.len() == 1 {
        "What to do"
    } else {
        "Likely causes, the likeliest first"
    };
    view! {
        <section class="diagnosis" data-message=message.id>
            <div class="diagnosis-head">
                <h2>{message.says}</h2>
                <span class="diagnosis-place">{format!("line {}", found.line)}</span>
            </div>
            <pre>{crate::format::visible(&masked(&found.text))}</pre>
            <h3>{title}</h3>
            <ol class="causes">{causes}</ol>
        </section>
    }
    .into_any()
}

fn one_cause(cause: &Cause, found: &Recognised, caches: &[Cache]) -> AnyView {
    let check = (!cause.check.is_empty()).then(|| {
        let path = found.path().and_then(|path| {
            let name = path.name.clone()?;
            Some(format!("/nix/store/{}-{name}", path.hash))
        });
        let url = found.quoted.iter().find(|quoted| quoted.contains("://"));
        let url = url.map(|url| url.trim_end_matches("/nix-cache-info").to_owned());
        let mut command = cause.check.to_owned();
        if let Some(path) = path.filter(|_| command.contains("PATH")) {
            command = command.replace("PATH", &path);
        }
        if let Some(url) = url.filter(|url| is_plain(url) && command.contains("URL")) {
            command = command.replace("URL", &url);
        }
        code_line("Command", command)
    });
    let onwards = cause.place.map(|place| {
        let (word, address) = place_link(place, found, caches);
        view! { <p><a href=address>{word}</a></p> }
    });
    view! {
        <li>
            <p>{cause.words}</p>
            {check}
            {onwards}
        </li>
    }
    .into_any()
}

/// Whether a URL of a pasted text can stand in a command as it is.
fn is_plain(url: &str) -> bool {
    url.len() < 300
        && url
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b":/.-_~%+=,@".contains(&byte))
}

fn place_link(place: Place, found: &Recognised, caches: &[Cache]) -> (&'static str, String) {
    // The cache that the message names, else the only one.
    let cache = caches
        .iter()
        .find(|cache| found.text.contains(&cache.url))
        .or_else(|| caches.first().filter(|_| caches.len() == 1));
    let slugs: Vec<String> = cache.iter().map(|cache| cache.slug.clone()).collect();
    let slug = slugs.first().cloned();
    let connect = |target, scope| {
        Route::Connect(ConnectRoute::Generate(ConnectQuery {
            caches: slugs.clone(),
            target,
            scope,
            ..ConnectQuery::default()
        }))
    };
    let hash = found.path().map(|path| path.hash.to_string());
    let lookup = || Route::Lookup {
        paths: hash.iter().cloned().collect(),
    };
    let live = || {
        Route::Connect(ConnectRoute::Live {
            cache: slug.clone(),
            token: None,
        })
    };
    let (word, route) = match place {
        Place::Lines => (
            "The lines for the system's nix.conf",
            connect(ConnectTarget::default(), ConnectScope::Admin),
        ),
        Place::User => (
            "Lines for your admin and for you",
            connect(ConnectTarget::default(), ConnectScope::User),
        ),
        Place::Netrc => (
            "The netrc lines",
            connect(ConnectTarget::Netrc, ConnectScope::default()),
        ),
        Place::Doctor => (
            "Let the doctor read the file",
            Route::Connect(ConnectRoute::Doctor {
                caches: slugs.clone(),
            }),
        ),
        Place::Live => ("Watch it with a live check", live()),
        Place::Lookup => ("Look the path up", lookup()),
        Place::Health => match &slug {
            Some(slug) => ("Health of the cache", Route::health(slug.as_str())),
            None => ("The caches of this server", Route::Caches),
        },
        Place::Signatures => match (&slug, &hash) {
            (Some(slug), Some(hash)) => (
                "Who signed this path",
                Route::Path {
                    cache: slug.clone(),
                    hash: hash.clone(),
                    tab: PathTab::Signatures,
                },
            ),
            _ => ("Look the path up", lookup()),
        },
        Place::Upload => match &slug {
            Some(slug) => (
                "Upload",
                Route::Upload {
                    cache: slug.clone(),
                },
            ),
            None => ("The caches of this server", Route::Caches),
        },
    };
    (word, href(&route))
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn a_pasted_url_is_no_command() {
        assert!(is_plain("https://cache.example.com/team"));
        for url in [
            "https://x/$(reboot)",
            "https://x;y",
            "https://x y",
            "https://x'y",
        ] {
            assert!(!is_plain(url), "{url}");
        }
    }
}

//! What an error of Nix means, and why Nix does not use a cache for a path.

use leptos::prelude::*;
use snowbank_shared::api::Cache;
use snowbank_shared::explain::{self, Cause, Place, Recognised};
use snowbank_shared::pasted::{PastedPath, store_paths};
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
use crate::state::handed::handed;
use crate::state::navigation::{absolute, href, navigation};

/// Characters of an error in a link at most.
const LONGEST_LINK: usize = 1500;

/// The page.
pub fn page() -> AnyView {
    page_title(|| "Explain an error".to_owned());
    let (navigation, handed) = (navigation(), handed());
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
        let text = handed.take().unwrap_or(linked);
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
            "This message is not recognised",
            view! {
                <p>"It may have nothing to do with caches. Paste the lines around it too: Nix often says the reason before the error."</p>
                <p>"If it is about the configuration, the " <a href=doctor>"doctor"</a> " reads nix.conf."</p>
            },
            (),
        );
    }
    let caches = chosen.all();
    let known: Vec<AnyView> = found
        .iter()
        .map(|found| one(&Line::of(text, found), found, &caches))
        .collect();
    let first = Line::of(text, &found[0]);
    let shared: String = first.text.trim().chars().take(LONGEST_LINK).collect();
    view! { {known} {link_to(shared)} }.into_any()
}

/// The link that holds a line. There is none to a line with a token.
fn link_to(line: String) -> Option<AnyView> {
    if masked(&line) != line {
        return None;
    }
    let route = Route::Connect(ConnectRoute::Explain { error: line });
    let link = absolute(&route.to_string());
    let drawn = view! {
        <p class="with-copy-line">
            <span class="muted">"The link holds the first of these lines:"</span>
            {copy_button("Copy a link to this explanation", true, move || link.clone())}
        </p>
    };
    Some(drawn.into_any())
}

/// The line of a message, and what it names.
struct Line {
    text: String,
    /// The first store path of the line, else of the text.
    path: Option<PastedPath>,
    /// The first URL that the line quotes.
    url: Option<String>,
}

impl Line {
    fn of(text: &str, found: &Recognised) -> Self {
        let number = (found.line as usize).saturating_sub(1);
        let line = text.lines().nth(number).unwrap_or_default();
        let path = |text: &str| store_paths(text, 1).paths.into_iter().next();
        Self {
            path: path(line).or_else(|| path(text)),
            url: url_in(line),
            text: line.to_owned(),
        }
    }
}

/// The first URL of a line, without the quotes around it and the file behind it.
fn url_in(line: &str) -> Option<String> {
    let at = ["https://", "http://"]
        .into_iter()
        .filter_map(|scheme| line.find(scheme))
        .min()?;
    let rest = &line[at..];
    let end = rest
        .find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '`' | '’' | '”' | ','))
        .unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches("/nix-cache-info").to_owned())
}

fn one(line: &Line, found: &Recognised, caches: &[Cache]) -> AnyView {
    let entry = found.entry;
    let causes: Vec<AnyView> = entry
        .causes
        .iter()
        .map(|cause| one_cause(cause, line, caches))
        .collect();
    let title = if causes.len() == 1 {
        "What to do"
    } else {
        "Causes, the likeliest first"
    };
    view! {
        <section class="diagnosis" data-message=entry.id>
            <div class="diagnosis-head">
                <h2>{entry.says}</h2>
                <span class="diagnosis-place">{format!("line {}", found.line)}</span>
            </div>
            <pre>{crate::format::visible(&masked(&line.text))}</pre>
            <h3>{title}</h3>
            <ol class="causes">{causes}</ol>
        </section>
    }
    .into_any()
}

fn one_cause(cause: &Cause, line: &Line, caches: &[Cache]) -> AnyView {
    let check = (!cause.check.is_empty()).then(|| {
        let path = line.path.as_ref().and_then(|path| {
            let name = path.name.clone()?;
            Some(format!("/nix/store/{}-{name}", path.hash))
        });
        let mut command = cause.check.to_owned();
        if let Some(path) = path {
            command = command.replace("PATH", &path);
        }
        if let Some(url) = line.url.as_ref().filter(|url| is_plain(url)) {
            command = command.replace("URL", url);
        }
        code_line("Command", command)
    });
    let (word, address) = place_link(cause.place, line, caches);
    view! {
        <li>
            <p><strong>{cause.why}</strong></p>
            {check}
            <p>{cause.fix} " " <a href=address>{word}</a></p>
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

fn place_link(place: Place, line: &Line, caches: &[Cache]) -> (&'static str, String) {
    // The cache that the message names, else the only one.
    let cache = caches
        .iter()
        .find(|cache| line.text.contains(&cache.url))
        .or_else(|| caches.first().filter(|_| caches.len() == 1));
    let slugs: Vec<String> = cache.iter().map(|cache| cache.slug.clone()).collect();
    let slug = slugs.first().cloned();
    let connect = |target, scope| {
        Route::Connect(ConnectRoute::Generate(ConnectQuery {
            caches: slugs.clone(),
            target: Some(target),
            scope,
            ..ConnectQuery::default()
        }))
    };
    let hash = line.path.as_ref().map(|path| path.hash.to_string());
    let of_path = |tab, word: &'static str| match (&slug, &hash) {
        (Some(slug), Some(hash)) => (
            word,
            Route::Path {
                cache: slug.clone(),
                hash: hash.clone(),
                tab,
            },
        ),
        _ => (
            "Look the path up",
            Route::Lookup {
                paths: hash.iter().cloned().collect(),
            },
        ),
    };
    let of_cache = |word: &'static str, route: fn(String) -> Route| match &slug {
        Some(slug) => (word, route(slug.clone())),
        None => ("The caches of this server", Route::Caches),
    };
    let (word, route) = match place {
        Place::Generator => (
            "The lines for nix.conf",
            connect(ConnectTarget::default(), ConnectScope::Admin),
        ),
        Place::ManagedUser => (
            "Lines for your admin and for you",
            connect(ConnectTarget::default(), ConnectScope::User),
        ),
        Place::Netrc => (
            "The netrc lines",
            connect(ConnectTarget::Netrc, ConnectScope::default()),
        ),
        Place::Doctor(_) => (
            "Let the doctor read the file",
            Route::Connect(ConnectRoute::Doctor {
                caches: slugs.clone(),
            }),
        ),
        Place::LiveCheck => (
            "Watch it with a live check",
            Route::Connect(ConnectRoute::Live {
                cache: slug.clone(),
                token: None,
            }),
        ),
        Place::Lookup => (
            "Look the path up",
            Route::Lookup {
                paths: hash.iter().cloned().collect(),
            },
        ),
        Place::Health => of_cache("Health of the cache", Route::health),
        Place::Keys => of_cache("Keys of the cache", Route::of_cache),
        Place::Uploads => of_cache("Upload", |cache| Route::Upload { cache }),
        Place::About => ("About this server", Route::About),
        Place::Signatures => of_path(PathTab::Signatures, "Who signed this path"),
        Place::Raw => of_path(PathTab::Raw, "The narinfo as it lies"),
    };
    (word, href(&route))
}

#[cfg(test)]
mod tests {
    use super::{is_plain, url_in};

    #[test]
    fn the_url_of_a_line_is_read_without_its_quotes() {
        for (line, url) in [
            (
                "unable to download 'https://c/nix-cache-info': HTTP error 401",
                Some("https://c"),
            ),
            (
                "substituter http://a.example/x does not",
                Some("http://a.example/x"),
            ),
            ("no address here", None),
        ] {
            assert_eq!(url_in(line).as_deref(), url);
        }
    }

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

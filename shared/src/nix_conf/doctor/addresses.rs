//! Where things are: D18, D21 to D23, D26, D27.

use std::net::{IpAddr, Ipv6Addr};

use super::super::edit::Edit;
use super::super::effective::{DEFAULT_SUBSTITUTER, Effective, Value, comparable};
use super::case::{Case, fix, span, without};
use super::trust::host;
use super::{Kind, Place, Rule, Severity};

/// The priority of cache.nixos.org.
const UPSTREAM_PRIORITY: u32 = 40;

pub(super) fn examine(case: &mut Case<'_>) {
    netrc_file(case);
    slashes(case);
    schemes(case);
    twice(case);
    priorities(case);
}

fn netrc_file(case: &mut Case<'_>) {
    let Some(value) = case.effective.values("netrc-file").pop() else {
        return;
    };
    let Some(token) = case.token(&value) else {
        return;
    };
    if value.text.starts_with(['/', '"', '\'']) {
        return;
    }
    let why = if value.text.starts_with('~') {
        "Nix does not know what ~ means: newer versions fail, older ones look for a folder of that name."
    } else {
        "The path is looked up from wherever Nix happens to run, which is elsewhere for the daemon."
    };
    let edit = Edit {
        start: token.start,
        end: token.end(),
        text: "/etc/nix/netrc".to_owned(),
    };
    case.found(
        Rule::D18,
        Severity::Error,
        span(token),
        why,
        fix("Write /etc/nix/netrc", vec![edit]),
    );
}

/// D21: the daemon adds a `/` to what a client asks for, never to what the admin wrote.
fn slashes(case: &mut Case<'_>) {
    let allowed = match (
        case.question.kind,
        case.question.place,
        case.question.system,
    ) {
        (Kind::ShowConfig, ..) => case.effective.clone(),
        (_, Place::User, Some(system)) => Effective::of_text(system),
        _ => return,
    };
    let mut texts = allowed.texts("trusted-substituters");
    if case.question.kind != Kind::ShowConfig {
        texts.extend(allowed.texts("substituters"));
    }
    for url in case.effective.values("substituters") {
        let Some(short) = url.text.strip_suffix('/') else {
            continue;
        };
        let (Some(token), false) = (case.token(&url), texts.contains(&url.text)) else {
            continue;
        };
        if texts.iter().any(|text| text == short) {
            case.found(
                Rule::D21,
                Severity::Warning,
                span(token),
                format!(
                    "The system allows {short} without the slash at the end, and the daemon compares \
                     letter by letter: for users who are not trusted this cache is ignored."
                ),
                fix("Take the slash out", vec![Edit::delete(token.end() - 1, token.end())]),
            );
        }
    }
}

fn urls(case: &Case<'_>) -> Vec<Value> {
    let mut urls = case.effective.values("substituters");
    urls.extend(case.effective.values("trusted-substituters"));
    urls
}

/// Whether a host is reached over the open net.
fn is_public(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            let shared = address.octets()[0] == 100 && (64..128).contains(&address.octets()[1]);
            !(address.is_loopback() || address.is_private() || address.is_link_local() || shared)
        }
        Ok(IpAddr::V6(address)) => {
            let near =
                |address: &Ipv6Addr| matches!(address.segments()[0] & 0xfe00, 0xfc00 | 0xfe00);
            !(address.is_loopback() || near(&address))
        }
        Err(_) => {
            let host = bare.to_ascii_lowercase();
            let near = [
                ".local",
                ".lan",
                ".internal",
                ".localhost",
                ".home.arpa",
                ".test",
            ];
            host.contains('.') && !near.iter().any(|end| host.ends_with(end))
        }
    }
}

fn schemes(case: &mut Case<'_>) {
    let mut said = Vec::new();
    for url in urls(case) {
        let Some(token) = case.token(&url) else {
            continue;
        };
        if said.contains(&token.start) {
            continue;
        }
        said.push(token.start);
        let lower = url.text.to_ascii_lowercase();
        if lower.starts_with("http://") && host(&url.text).is_some_and(is_public) {
            let at = token.start + "http".len();
            case.found(
                Rule::D22,
                Severity::Warning,
                span(token),
                "Anybody on the way can read what is fetched, and a token that is sent along. Signatures \
                 still protect the content.",
                fix("Write https", vec![Edit::insert(at, "s".to_owned())]),
            );
        }
        if lower.starts_with("s3://") && case.question.daemon != Some(false) {
            case.found(
                Rule::D23,
                Severity::Note,
                span(token),
                "The daemon fetches as root: root needs credentials for this bucket, yours are not used. \
                 Without the right to list, what is missing looks forbidden.",
                None,
            );
        }
    }
}

fn twice(case: &mut Case<'_>) {
    let urls = case.effective.values("substituters");
    for (at, url) in urls.iter().enumerate() {
        let same = comparable(&url.text);
        let first = urls[..at]
            .iter()
            .find(|first| comparable(&first.text) == same);
        let (Some(first), Some(token)) = (first, case.token(url)) else {
            continue;
        };
        // The same letters twice are harmless, but for a line that nobody needs.
        let Some(line) = case.line(&url.origin).cloned() else {
            continue;
        };
        if is_default(&url.text) && first.origin.line == 0 {
            continue;
        }
        case.found(
            Rule::D26,
            Severity::Note,
            span(token),
            format!(
                "This is {} again: it is asked twice for what it does not have.",
                first.text
            ),
            fix("Take this one out", vec![without(&line, token)]),
        );
    }
}

fn is_default(url: &str) -> bool {
    comparable(url) == comparable(DEFAULT_SUBSTITUTER)
}

fn priorities(case: &mut Case<'_>) {
    let urls = case.effective.values("substituters");
    if !urls.iter().any(|url| is_default(&url.text)) {
        return;
    }
    // The daemon compares what a user asks for with what the admin allows letter by letter, so
    // for a user who is not trusted a URL with another priority is another cache.
    let may_change = case.question.place == Place::System
        || case.question.trusted == Some(true)
        || case.question.daemon == Some(false);
    for url in urls.iter().filter(|url| !is_default(&url.text)) {
        let Some(token) = case.token(url) else {
            continue;
        };
        let (base, query) = url.text.split_once('?').unwrap_or((&url.text, ""));
        let written = query
            .split('&')
            .find_map(|parameter| parameter.strip_prefix("priority="));
        let caches = case.question.caches;
        let known = caches
            .iter()
            .find(|cache| comparable(&cache.url) == comparable(&url.text));
        let priority = match written {
            Some(written) => written.parse().ok(),
            None => known.and_then(|cache| cache.priority),
        };
        let Some(priority) = priority.filter(|priority| *priority >= UPSTREAM_PRIORITY) else {
            continue;
        };
        let mut others: Vec<&str> = query
            .split('&')
            .filter(|parameter| !parameter.is_empty() && !parameter.starts_with("priority="))
            .collect();
        others.push("priority=30");
        let edit = Edit {
            start: token.start,
            end: token.end(),
            text: format!("{base}?{}", others.join("&")),
        };
        let why = if priority == UPSTREAM_PRIORITY {
            "Its priority is that of cache.nixos.org, 40: which of them is asked first is left to chance."
        } else {
            "It is asked after cache.nixos.org, which has priority 40: the smaller number comes first."
        };
        case.found(
            Rule::D27,
            Severity::Note,
            span(token),
            why,
            fix("Ask it first, with priority 30", vec![edit]).filter(|_| may_change),
        );
    }
}

//! Whom the machine believes: D11 to D13, D15 to D17, D20, D28, D30.

use super::super::edit::Edit;
use super::super::effective::{DEFAULT_SUBSTITUTER, Value, comparable};
use super::super::merge::compared;
use super::case::{Case, fix, span, values, without};
use super::{Kind, KnownCache, Place, Rule, Severity};
use crate::signature::{PublicKey, UPSTREAM_KEYS};

const KEYS: &str = "trusted-public-keys";

pub(super) fn examine(case: &mut Case<'_>) {
    malformed_keys(case);
    twin_names(case);
    retired_keys(case);
    foreign_keys(case);
    pairs(case);
    switches(case);
    trusted_users(case);
    user_keys(case);
}

fn name_of(key: &str) -> &str {
    key.split_once(':').map_or(key, |(name, _)| name)
}

fn is_code(text: &str) -> bool {
    // Quotes, brackets, a semicolon, a backslash: the grammar's rules say it.
    text.starts_with(['"', '\'', '[', ']', '\\']) || text.ends_with([';', '"', '\'', '\\', ']'])
}

fn malformed_keys(case: &mut Case<'_>) {
    for value in case.effective.values(KEYS) {
        let Some(token) = case.token(&value) else {
            continue;
        };
        let Err(error) = value.text.parse::<PublicKey>() else {
            continue;
        };
        if is_code(&value.text) || super::secret_in(&value.text).is_some() {
            continue;
        }
        let at_fault = case
            .findings
            .iter()
            .any(|other| other.rule == Rule::D14 && other.start == token.start);
        let line = case.line(&value.origin).cloned();
        let (false, Some(line)) = (at_fault, line) else {
            continue;
        };
        case.found(
            Rule::D13,
            Severity::Error,
            span(token),
            format!(
                "{}. One bad key in the list breaks every download.",
                sentence(&error.to_string())
            ),
            fix("Take it out", vec![without(&line, token)]),
        );
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn twin_names(case: &mut Case<'_>) {
    let keys = case.effective.values(KEYS);
    for (at, value) in keys.iter().enumerate() {
        let first = keys[..at].iter().find(|first| {
            name_of(&first.text) == name_of(&value.text)
                && compared(KEYS, &first.text) != compared(KEYS, &value.text)
        });
        let (Some(first), Some(token)) = (first, case.token(value)) else {
            continue;
        };
        let Some(line) = case.line(&value.origin).cloned() else {
            continue;
        };
        let name = name_of(&value.text);
        let place = if case.line(&first.origin).is_some() {
            format!("on line {}", first.origin.line)
        } else {
            "set before".to_owned()
        };
        case.found(
            Rule::D12,
            Severity::Error,
            span(token),
            format!(
                "There is another key {name}, {place}. Nix finds a key by its name and uses only the \
                 first: this one is never tried."
            ),
            fix("Take this one out", vec![without(&line, token)]),
        );
    }
}

fn retired_keys(case: &mut Case<'_>) {
    let keys = case.effective.values(KEYS);
    let has = |key: &PublicKey| {
        let key = key.to_string();
        keys.iter().any(|there| compared(KEYS, &there.text) == key)
    };
    for cache in case.question.caches {
        for old in cache.retired.iter().filter(|old| has(old)) {
            let value = keys
                .iter()
                .find(|there| compared(KEYS, &there.text) == old.to_string());
            let Some(token) = value.and_then(|value| case.token(value)) else {
                continue;
            };
            let line = value.and_then(|value| case.line(&value.origin)).cloned();
            let Some(line) = line else { continue };
            let lacking: Vec<String> = cache
                .keys
                .iter()
                .filter(|key| !has(key))
                .map(ToString::to_string)
                .collect();
            let (severity, label, edit) = if lacking.is_empty() {
                (
                    Severity::Note,
                    "Take the old key out",
                    without(&line, token),
                )
            } else {
                let edit = Edit {
                    start: token.start,
                    end: token.end(),
                    text: lacking.join(" "),
                };
                (Severity::Warning, "Put today's key in its place", edit)
            };
            case.found(
                Rule::D28,
                severity,
                span(token),
                format!(
                    "{} does not sign with {} any more. What is new there is signed with {}.",
                    cache.title,
                    old.name(),
                    cache
                        .keys
                        .iter()
                        .map(PublicKey::name)
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
                fix(label, vec![edit]),
            );
        }
    }
}

/// The host of a URL.
pub(super) fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?']).next()?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    (!host.is_empty()).then_some(host)
}

fn is_upstream(url: &str) -> bool {
    comparable(url) == comparable(DEFAULT_SUBSTITUTER)
}

/// The caches that are named anywhere in force, cache.nixos.org aside.
fn urls(case: &Case<'_>) -> Vec<Value> {
    let mut urls = case.effective.values("substituters");
    urls.extend(case.effective.values("trusted-substituters"));
    urls.retain(|url| !is_upstream(&url.text) && url.text.contains("://"));
    urls
}

/// D30: a well-known name with other bytes, or a key named after a host that no cache has,
/// beside a host without its key.
fn foreign_keys(case: &mut Case<'_>) {
    let mut known: Vec<PublicKey> = UPSTREAM_KEYS
        .iter()
        .filter_map(|key| key.parse().ok())
        .collect();
    for cache in case.question.caches {
        known.extend(cache.keys.iter().chain(&cache.retired).cloned());
    }
    let urls = urls(case);
    let keys = case.effective.values(KEYS);
    let host_named = |key: &str| {
        let name = name_of(key);
        let host = name.rsplit_once('-').map_or(name, |(host, _)| host);
        host.contains('.').then(|| host.to_owned())
    };
    let hosts: Vec<&str> = urls.iter().filter_map(|url| host(&url.text)).collect();
    let named: Vec<String> = keys
        .iter()
        .filter_map(|key| host_named(&key.text))
        .collect();
    for value in &keys {
        let Some(token) = case.token(value) else {
            continue;
        };
        let Ok(key) = value.text.parse::<PublicKey>() else {
            continue;
        };
        if let Some(real) = known.iter().find(|real| real.name() == key.name())
            && !known.contains(&key)
        {
            let edit = Edit {
                start: token.start,
                end: token.end(),
                text: real.to_string(),
            };
            case.found(
                Rule::D30,
                Severity::Error,
                span(token),
                format!(
                    "{} is known with other bytes than these. With them nothing that is signed by this \
                     name is accepted.",
                    key.name()
                ),
                fix("Put the known key in its place", vec![edit]),
            );
            continue;
        }
        let Some(named_after) = host_named(&value.text) else {
            continue;
        };
        let is_known = known.contains(&key);
        let belongs = hosts
            .iter()
            .any(|host| host.eq_ignore_ascii_case(&named_after));
        let orphan = hosts
            .iter()
            .find(|host| !named.iter().any(|name| name.eq_ignore_ascii_case(host)));
        if let (false, false, Some(orphan)) = (is_known, belongs, orphan)
            && case.question.place == Place::System
        {
            case.found(
                Rule::D30,
                Severity::Warning,
                span(token),
                format!(
                    "The key is named after {named_after}, and no cache here has this host. {orphan} has no \
                     key of its name. Was one of them copied from another cache's lines?"
                ),
                None,
            );
        }
    }
}

/// D11: a cache without its key, a key without its cache.
fn pairs(case: &mut Case<'_>) {
    let keys = case.effective.values(KEYS);
    let urls = urls(case);
    let has_key = |key: &PublicKey| {
        let text = key.to_string();
        keys.iter().any(|there| compared(KEYS, &there.text) == text)
    };
    let caches: Vec<KnownCache> = case.question.caches.to_vec();
    for cache in caches.iter().filter(|cache| !cache.keys.is_empty()) {
        let url = urls
            .iter()
            .find(|url| comparable(&url.text) == comparable(&cache.url));
        let believed = cache.keys.iter().chain(&cache.retired).any(has_key);
        match url {
            Some(url) if !believed && case.question.place == Place::System => {
                let at = case.token(url).zip(case.line(&url.origin).cloned());
                if let Some((token, line)) = at {
                    let keys: Vec<String> = cache.keys.iter().map(ToString::to_string).collect();
                    let new = format!("extra-{KEYS} = {}", keys.join(" "));
                    let line = case.behind(line, KEYS);
                    let edit = case.line_after(&line, &new);
                    without_key(case, token, &cache.title, fix("Add the key", vec![edit]));
                }
            }
            None if believed && case.question.place == Place::System => {
                let key = keys.iter().find(|there| {
                    cache
                        .keys
                        .iter()
                        .any(|key| compared(KEYS, &there.text) == key.to_string())
                });
                let at = key.and_then(|key| case.token(key).zip(case.line(&key.origin).cloned()));
                if let Some((token, line)) = at {
                    let line = case.behind(line, "substituters");
                    let edit =
                        case.line_after(&line, &format!("extra-substituters = {}", cache.url));
                    case.found(
                        Rule::D11,
                        Severity::Note,
                        span(token),
                        format!(
                            "The key of {} is trusted, and the cache is never asked.",
                            cache.title
                        ),
                        fix("Add the cache", vec![edit]),
                    );
                }
            }
            _ => {}
        }
    }
    unknown_pairs(case, &keys, &urls, &caches);
}

/// What can be said of caches that the console does not know: all of them without any key,
/// or keys without any cache.
fn unknown_pairs(case: &mut Case<'_>, keys: &[Value], urls: &[Value], caches: &[KnownCache]) {
    if case.question.place == Place::User || !case.effective.unseen.is_empty() {
        return;
    }
    let own = |key: &&Value| !key.text.starts_with("cache.nixos.org-1:");
    let known = |url: &str| {
        caches
            .iter()
            .any(|cache| comparable(&cache.url) == comparable(url))
    };
    if !keys.iter().any(|key| own(&key)) {
        let alone = urls
            .iter()
            .find(|url| !known(&url.text) && !url.text.contains("trusted=") && !is_code(&url.text));
        if let Some(token) = alone.and_then(|url| case.token(url)) {
            without_key(case, token, token.text, None);
        }
    }
    let listed = caches.iter().flat_map(|cache| &cache.keys);
    let listed: Vec<String> = listed.map(ToString::to_string).collect();
    if urls.is_empty() {
        let alone = keys.iter().find(|key| {
            own(key)
                && key.text.parse::<PublicKey>().is_ok()
                && !listed.contains(&compared(KEYS, &key.text))
        });
        if let Some(token) = alone.and_then(|key| case.token(key)) {
            case.found(
                Rule::D11,
                Severity::Note,
                span(token),
                format!(
                    "The key {} is trusted, and no cache beside cache.nixos.org is asked.",
                    name_of(token.text)
                ),
                None,
            );
        }
    }
}

fn without_key(
    case: &mut Case<'_>,
    token: super::super::document::Token<'_>,
    title: &str,
    fix: Option<super::Fix>,
) {
    case.found(
        Rule::D11,
        Severity::Error,
        span(token),
        format!("{title} is asked, and none of its keys is trusted: what it offers is refused and built here."),
        fix,
    );
}

fn is_yes(text: &str) -> bool {
    matches!(text, "true" | "yes" | "1")
}

/// D15 and D17: switches that open the door.
fn switches(case: &mut Case<'_>) {
    for (setting, rule) in [
        ("require-sigs", Rule::D15),
        ("accept-flake-config", Rule::D17),
    ] {
        let Some(value) = case.effective.values(setting).pop() else {
            continue;
        };
        let dangerous = match rule {
            Rule::D15 => matches!(value.text.as_str(), "false" | "no" | "0"),
            _ => is_yes(&value.text),
        };
        let (true, Some(token), Some(line)) = (
            dangerous,
            case.token(&value),
            case.line(&value.origin).cloned(),
        ) else {
            continue;
        };
        let why = match rule {
            Rule::D15 => {
                "Whatever a cache offers is taken, whoever made it. Trust the cache's key instead."
            }
            _ => {
                "Every flake that you evaluate may add caches and other settings without asking. Answer \
                 the question once for each flake instead."
            }
        };
        let edits = vec![Edit::delete(line.start, line.stop())];
        case.found(
            rule,
            Severity::Warning,
            span(token),
            why,
            fix("Take the line out", edits),
        );
    }
    let mut urls = case.effective.values("substituters");
    urls.extend(case.effective.values("trusted-substituters"));
    for url in urls {
        let parameters = url.text.split_once('?').map_or("", |(_, query)| query);
        let found = parameters
            .split('&')
            .find(|parameter| parameter.strip_prefix("trusted=").is_some_and(is_yes));
        let (Some(parameter), Some(token)) = (found, case.token(&url)) else {
            continue;
        };
        let at = token.start + token.text.find(parameter).unwrap_or(0);
        let end = at + parameter.len();
        let has_more = case.question.text[end..token.end()].starts_with('&');
        let edit = if has_more {
            Edit::delete(at, end + 1)
        } else {
            Edit::delete(at - 1, end)
        };
        case.found(
            Rule::D15,
            Severity::Warning,
            (at, end),
            "What this cache offers is taken without a signature. Trust its key instead.",
            fix("Take the parameter out", vec![edit]),
        );
    }
}

fn trusted_users(case: &mut Case<'_>) {
    for value in case.effective.values("trusted-users") {
        let (Some(token), Some(line)) = (case.token(&value), case.line(&value.origin).cloned())
        else {
            continue;
        };
        if value.text == "root" || is_code(&value.text) {
            continue;
        }
        let who = match value.text.as_str() {
            "*" => "Everybody on this machine".to_owned(),
            text if text.starts_with('@') => format!("Everybody in the group {}", &text[1..]),
            text => text.to_owned(),
        };
        case.found(
            Rule::D16,
            Severity::Warning,
            span(token),
            format!(
                "{who} can become root through the daemon. To use a cache nobody needs this: an admin \
                 adds the cache and its key to this file."
            ),
            fix("Take it out", vec![without(&line, token)]),
        );
    }
}

fn user_keys(case: &mut Case<'_>) {
    let asks = case.question.place == Place::User && case.question.kind == Kind::NixConf;
    if !asks || case.question.trusted == Some(true) || case.question.daemon == Some(false) {
        return;
    }
    let settings = Case::settings(&case.document);
    for (line, written, _) in settings
        .iter()
        .filter(|(_, _, name)| name.canonical == KEYS)
    {
        if values(line).is_empty() {
            continue;
        }
        let (severity, who) = match case.question.trusted {
            Some(_) => (Severity::Warning, "You are not a trusted user"),
            None => (Severity::Note, "If you are not a trusted user"),
        };
        let edits = vec![Edit::delete(line.start, line.stop())];
        let joint = if severity == Severity::Note { "," } else { ":" };
        case.found(
            Rule::D20,
            severity,
            span(*written),
            format!(
                "{who}{joint} the daemon passes over keys in a user's file. They have to stand in the \
                 system's nix.conf: ask an admin for the line."
            ),
            fix("Take the line out", edits),
        );
    }
}

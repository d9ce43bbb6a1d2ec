//! “Would a machine accept it?”: for one path judged here, from the bytes of its narinfo; for its
//! closure and for a whole cache by the server, which is told public keys and nothing else.

use std::fmt::Write as _;

use leptos::prelude::*;
use snowbank_shared::api::PathDetail;
use snowbank_shared::api::vouching::{Acceptance, RefusedPath};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::route::{Route, VouchingQuery, escape};
use snowbank_shared::signature::{Accepted, PublicKey, TrustSet};
use snowbank_shared::store_path::StoreDir;

use crate::api;
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip, signature_chip};
use crate::components::code::code_line;
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::layout::table;
use crate::components::size::size;
use crate::components::store_path::path_link;
use crate::format;
use crate::pages::path::PathPage;
use crate::pages::trust_set::Picker;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// The question to the server: by these keys, without the dropped ones, of a path's closure or of
/// the whole cache.
pub fn acceptance_path(cache: &str, keys: &[PublicKey], drop: &[String], path: &str) -> String {
    let mut address = format!("{}/acceptance", api::cache_path(cache));
    let mut separator = '?';
    let mut pair = |name: &str, value: &str| {
        let _ = write!(address, "{separator}{name}={}", escape(value));
        separator = '&';
    };
    for key in keys {
        pair("key", &key.to_string());
    }
    for name in drop {
        pair("drop", name);
    }
    if !path.is_empty() {
        pair("path", path);
    }
    address
}

/// The part of a path's tab.
pub fn of_path(page: PathPage) -> AnyView {
    let picker = Picker::new(page.live, None);
    let judged = move || {
        let (set, raw, detail) = (picker.set()?, page.raw.get()?, page.detail.get()?);
        let store_dir = page.live.cache.get()?.store_dir.clone();
        Some(verdict(&set, &raw, &store_dir, &detail))
    };
    let closure = Remote::<Acceptance>::new(move || {
        let keys = picker.chosen.get().ok().filter(|keys| !keys.is_empty())?;
        page.detail.get()?;
        Some(acceptance_path(
            &page.cache.get_value(),
            &keys,
            &[],
            &page.hash.get_value(),
        ))
    });
    // An answer about other keys is none about these.
    let of_closure = move || {
        let asked = picker.chosen.get().ok()?;
        let answer = closure.get()?;
        let same = TrustSet::new(asked)
            .keys()
            .iter()
            .map(ToString::to_string)
            .eq(answer
                .keys
                .iter()
                .filter(|key| !key.passed_over)
                .map(|key| key.public_key.clone()));
        Some(match same {
            true => closure_words(&page.cache.get_value(), &answer),
            false => view! { <p class="muted">"Judging the closure…"</p> }.into_any(),
        })
    };
    let command = move || {
        let keys = picker.chosen.get().ok()?;
        let (cache, detail) = (page.live.cache.get()?, page.detail.get()?);
        Some(code_line(
            "The same by Nix",
            verify_command(&cache.url, &keys, &detail.row.path, true),
        ))
    };
    let link = move || {
        let keys = picker.chosen.get().ok()?;
        Some(link_to(
            &page.cache.get_value(),
            &keys,
            &page.hash.get_value(),
        ))
    };
    view! {
        <section class="section" id="accept" aria-labelledby="accept-title">
            <div class="section-head">
                <h2 id="accept-title">"Would a machine accept it?"</h2>
                <p>"By the keys that it trusts"</p>
            </div>
            {picker.view()}
            <div id="accept-verdict" aria-live="polite">{changing(judged)}</div>
            <div id="accept-closure">{failure_of(closure)} {changing(of_closure)}</div>
            {changing(command)}
            {changing(link)}
        </section>
    }
    .into_any()
}

/// `nix store verify` with these keys, of a path or of its closure.
pub fn verify_command(url: &str, keys: &[PublicKey], path: &str, closure: bool) -> String {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let recursive = if closure { " --recursive" } else { "" };
    // A key's name may hold a quote, which would end the shell's.
    let keys = keys.join(" ").replace('\'', "'\\''");
    format!(
        "nix --extra-experimental-features nix-command store verify \\\n  --store '{url}' --no-contents --sigs-needed 1{recursive} \\\n  --option trusted-public-keys '{keys}' \\\n  {path}"
    )
}

fn link_to(cache: &str, keys: &[PublicKey], path: &str) -> AnyView {
    let query = VouchingQuery {
        keys: keys.iter().map(ToString::to_string).collect(),
        path: path.to_owned(),
        ..VouchingQuery::default()
    };
    let address = href(&Route::Vouching(query.of(cache)));
    view! {
        <p>
            <a href=address>"Link to this question"</a>
            <span class="muted">". It names the public keys."</span>
        </p>
    }
    .into_any()
}

/// Yes or no, and why, from the bytes.
fn verdict(set: &TrustSet, raw: &[u8], store_dir: &str, detail: &PathDetail) -> AnyView {
    let narinfo = store_dir
        .parse::<StoreDir>()
        .ok()
        .and_then(|dir| NarInfo::parse(raw, &dir).ok());
    let Some(narinfo) = narinfo else {
        return view! { <p>"The narinfo cannot be read here, so nothing is said."</p> }.into_any();
    };
    let (accepted, words) = reason(set, &narinfo);
    let withheld = detail.withheld.is_some() || detail.held.is_some();
    let withheld = withheld.then_some(
        " This server does not hand the path out at the moment, whatever the machine trusts.",
    );
    let word = if accepted {
        (
            Tone::Ok,
            Icon::Tick,
            "Yes",
            "A machine with these keys accepts the path.",
        )
    } else {
        (
            Tone::Bad,
            Icon::Cross,
            "No",
            "A machine with these keys refuses the path.",
        )
    };
    view! { <p>{chip(word)} " " {words} {withheld}</p> }.into_any()
}

/// Whether the path is accepted, and the reason in words.
fn reason(set: &TrustSet, narinfo: &NarInfo) -> (bool, String) {
    match set.judge(narinfo) {
        Accepted::By(name) => (true, format!("because of {}.", format::visible(&name))),
        Accepted::ByContentAddress => (
            true,
            "because it is content-addressed, and the claim holds: no signature is needed."
                .to_owned(),
        ),
        Accepted::No => (false, refusal(set, narinfo)),
    }
}

fn refusal(set: &TrustSet, narinfo: &NarInfo) -> String {
    let names: Vec<&str> = narinfo
        .signatures()
        .map(|line| line.split_once(':').map_or("", |(name, _)| name))
        .collect();
    if names.is_empty() {
        return "because nobody signed it.".to_owned();
    }
    if let Some(name) = names.iter().find(|name| set.named(name).is_some()) {
        return format!(
            "because its signature by {} does not pass the check with the key of that name which the machine trusts.",
            format::visible(name)
        );
    }
    format!(
        "because the machine trusts none of the keys that signed it: {}.",
        format::visible(&names.join(", "))
    )
}

/// “36 of 37 accepted. Rejected: mid-1.0 (only old-1).”
pub fn closure_words(cache: &str, answer: &Acceptance) -> AnyView {
    let what = match answer.path {
        Some(_) => "of its closure",
        None => "of this cache",
    };
    let sentence = format!(
        "{} of {} {what} accepted.",
        format::count(answer.accepted),
        format::counted(answer.paths, "path", "paths"),
    );
    let refused = (answer.refused > 0).then(|| refused_list(cache, answer));
    let missing = (answer.missing > 0).then(|| {
        let words = format!(
            "{} not in this cache: the machine looks for it elsewhere, and it is not judged here.",
            format::counted(answer.missing, "reference is", "references are")
        );
        view! { <p class="muted">{words}</p> }
    });
    let unchecked = (answer.unchecked > 0).then(|| {
        let words = format!(
            "{} not judged: so many signatures by keys that this server does not know are not checked at once.",
            format::counted(answer.unchecked, "path was", "paths were")
        );
        view! { <p>{words}</p> }
    });
    view! {
        <p class="accept-count"><b>{sentence}</b></p>
        {refused}
        {missing}
        {unchecked}
    }
    .into_any()
}

/// The refused paths, as many as were named.
pub fn refused_list(cache: &str, answer: &Acceptance) -> AnyView {
    let rows = answer
        .items
        .iter()
        .map(|path| refused_row(cache, path))
        .collect_view();
    let shown = answer.items.len() as u64;
    let more = (answer.refused > shown).then(|| {
        let words = format!(
            "{} of {} are shown.",
            format::count(shown),
            format::count(answer.refused)
        );
        view! { <p class="muted">{words}</p> }
    });
    view! {
        {table(
            "Refused paths",
            "table",
            &[
                ("Refused", "grow", ""),
                ("Signed by", "", ""),
                ("Worth here", "", "What its signatures are worth by the keys that this server knows"),
                ("Unpacked", "number", ""),
            ],
            rows,
        )}
        {more}
    }
    .into_any()
}

fn refused_row(cache: &str, path: &RefusedPath) -> AnyView {
    let by = match path.signers.is_empty() {
        true => "nobody".to_owned(),
        false => format::visible(&format!("only {}", path.signers.join(", "))),
    };
    view! {
        <tr>
            <th scope="row" class="grow wide">{path_link(cache, &path.hash, &path.name)}</th>
            <td data-label="Signed by" class="break">{by}</td>
            <td data-label="Worth here">{signature_chip(path.signature, None)}</td>
            <td data-label="Unpacked" class="number">{size(path.nar_size)}</td>
        </tr>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use snowbank_shared::signature::SecretKey;

    #[test]
    fn the_reason_names_what_is_missing() {
        let dir = StoreDir::default();
        let key = |name: &str, seed: u8| SecretKey::generate(name, [seed; 32]).expect("a key");
        let bare = "StorePath: /nix/store/0mg3mag909yg8pk14cjsppxs2px7iqfv-openapv-0.2.1.2\nURL: nar/x.nar\nCompression: none\nNarHash: sha256:1gas028j4n2yial0csbcxzyfswwc8jb58is2x4mrblzx3zx5721y\nNarSize: 797328\nReferences: \n";
        let unsigned = NarInfo::parse(bare.as_bytes(), &dir).expect("a narinfo");
        let line = key("team-1", 1).sign(unsigned.fingerprint().as_bytes());
        let signed =
            NarInfo::parse(format!("{bare}Sig: {line}\n").as_bytes(), &dir).expect("a narinfo");
        let trusting = |key: SecretKey| TrustSet::new([key.public_key()]);
        let said = |set: &TrustSet, narinfo: &NarInfo| reason(set, narinfo);
        assert_eq!(
            said(&trusting(key("team-1", 1)), &signed),
            (true, "because of team-1.".to_owned())
        );
        for (set, narinfo, part) in [
            (trusting(key("team-1", 2)), &signed, "does not pass"),
            (
                trusting(key("ci-1", 1)),
                &signed,
                "none of the keys that signed it: team-1",
            ),
            (trusting(key("team-1", 1)), &unsigned, "nobody signed it"),
        ] {
            let (accepted, why) = said(&set, narinfo);
            assert!(!accepted && why.contains(part), "{why}");
        }
        let quoted = verify_command(
            "http://c",
            &[key("o'brien-1", 1).public_key()],
            "/nix/store/x",
            true,
        );
        assert!(quoted.contains("o'\\''brien-1:") && quoted.contains("--recursive"));
    }
}

//! What stands beside the overview of a cache: figures, signatures, findings, keys.

use leptos::prelude::*;
use snowbank_shared::api::{Cache, CheckCount, Health, IndexState, Key, Signing};
use snowbank_shared::route::Route;

use crate::api;
use crate::components::ago::ago;
use crate::components::changing::changing;
use crate::components::chip::severity_chip;
use crate::components::copy::copy_button;
use crate::components::layout::{card, fact, facts};
use crate::components::signature_bar::signature_bar;
use crate::components::size::{size, size_or};
use crate::components::term::term;
use crate::format;
use crate::pages::caches::{hit_ratio, hit_words, visibility_word};
use crate::state::derived::memo;
use crate::state::live::LiveCache;
use crate::state::navigation::{href, with_base};
use crate::state::remote::Remote;

/// How much there is, and what is asked for.
pub fn figures_card(cache: &Cache) -> AnyView {
    let about = if cache.index.state == IndexState::Indexing {
        "≈ "
    } else {
        ""
    };
    let muted = |words: String| view! { <span class="muted">{words}</span> }.into_any();
    let ratio = cache
        .stored_bytes
        .and_then(|stored| format::ratio(cache.nar_bytes, stored))
        .map(muted);
    let recent: u64 = cache.recent.paths.iter().sum();
    let newest = cache.recent.last_added_at.as_ref();
    let newest = newest.map(|time| view! { <span class="muted">"newest " {ago(time)}</span> });
    let hits = match hit_ratio(&cache.served) {
        Some(ratio) => view! {
            <span>{ratio}</span>
            {muted(hit_words(&cache.served))}
        }
        .into_any(),
        None => view! {
            <span class="muted">"nobody has asked since the server started, " {ago(&cache.served.since)}</span>
        }
        .into_any(),
    };
    let mono = |text: &str| view! { <span class="mono">{text.to_owned()}</span> }.into_any();
    let rows = vec![
        fact("Paths", (about, format::count(cache.paths))),
        fact(
            term(
                "term-stored",
                "Stored",
                "Bytes of the NARs as they lie in the bucket, compressed, each file counted once.",
            ),
            size_or(
                cache.stored_bytes,
                "not yet: the whole bucket has not been listed",
            ),
        ),
        fact(
            term(
                "term-unpacked",
                "Unpacked",
                "Sum of the NAR sizes of all paths.",
            ),
            (about, size(cache.nar_bytes), ratio),
        ),
        fact(
            term(
                "term-objects",
                "Objects",
                "Everything that lies in the bucket under this cache's prefix, NARs and all else, and the bytes of it.",
            ),
            objects(cache),
        ),
        fact(
            term(
                "term-recent",
                "Added, 7 d",
                "Paths first seen on one of the last seven days, UTC, and their bytes unpacked.",
            ),
            (
                format::count(recent),
                (recent > 0).then(|| size(cache.recent.nar_bytes)),
                newest,
            ),
        ),
        fact(
            term(
                "term-hits",
                "Hits",
                "Narinfos found, of those that clients asked this server for. Nothing before its start was counted.",
            ),
            hits,
        ),
        fact(
            term(
                "term-sent",
                "Sent",
                "Bytes of NARs that this server sent to clients since it started.",
            ),
            size(cache.served.nar_bytes),
        ),
        fact(
            term(
                "term-priority",
                "Priority",
                "Clients ask the cache with the smaller number first. cache.nixos.org has 40.",
            ),
            cache.priority.to_string(),
        ),
        fact("Store", mono(&cache.store_dir)),
        fact("Bucket", mono(&cache.source)),
        fact("Visibility", visibility_word(cache.visibility)),
    ];
    card("Figures", (), facts(rows))
}

/// Everything in the bucket, to the last byte.
fn objects(cache: &Cache) -> AnyView {
    let (Some(count), Some(bytes)) = (cache.objects, cache.object_bytes) else {
        return view! { <span class="muted">"not yet: the whole bucket has not been listed"</span> }
            .into_any();
    };
    view! {
        <span class="objects" id="objects">
            <span>{format::count(count)}</span>
            " "
            {size(bytes)}
            " "
            <span class="muted">{format::exact_bytes(bytes)}</span>
        </span>
    }
    .into_any()
}

/// How many paths have which signature word.
pub fn signatures_card(cache: &Cache) -> AnyView {
    card(
        "Signatures",
        (),
        signature_bar(&cache.slug, &cache.signatures),
    )
}

/// What is wrong in the bucket, check by check.
pub fn findings_card(live: LiveCache) -> AnyView {
    let slug = live.slug();
    let link = href(&Route::health(slug.as_str()));
    let count = memo(move || live.cache.get().map_or(0, |cache| cache.findings));
    let known = memo(move || {
        live.index
            .with(|index| index.as_ref().is_some_and(|index| index.as_of.is_some()))
    });
    let health = Remote::<Health>::new(move || {
        (count.get() > 0).then(|| api::health_path(&slug, None, None))
    });
    let check_row = move |check: &CheckCount| {
        let route = Route::Health {
            cache: live.slug(),
            check: Some(check.check.clone()),
        };
        view! {
            <li>
                <a class="mono" href=href(&route)>{check.check.clone()}</a>
                {severity_chip(check.severity)}
                <span class="number">{format::count(check.count)}</span>
            </li>
        }
    };
    let body = move || {
        if count.get() > 0 {
            return health.get().map(|health| {
                health
                    .checks
                    .iter()
                    .map(check_row)
                    .collect_view()
                    .into_any()
            });
        }
        let words = if known.get() {
            "No problem found in the narinfos of this bucket."
        } else {
            "Not known yet: the first sweep is not complete."
        };
        Some(view! { <li class="muted">{words}</li> }.into_any())
    };
    let all = view! { <a href=link class="quiet">"All " {changing(move || format::count(count.get()))}</a> };
    card(
        "Findings",
        all,
        view! { <ul class="check-list">{changing(body)}</ul> },
    )
}

/// The keys that machines trust.
pub fn keys_card(cache: &Cache) -> AnyView {
    let list = cache.keys.iter().map(key_line).collect_view();
    let none = cache.keys.is_empty().then(|| {
        view! {
            <li class="muted">
                "None. Clients take only paths with a signature of a key they already trust, or content-addressed ones."
            </li>
        }
    });
    let signing = match cache.signing {
        Signing::CounterSign => None,
        Signing::PassThrough => Some(
            "This cache adds no signature: machines trust each contributor. A key that is revoked here stays trusted where it stands in nix.conf.",
        ),
        Signing::NoKey => Some(
            "This server has no secret key of the cache, so only what needs no signature can be uploaded.",
        ),
    };
    let signing = signing.map(|words| view! { <li class="muted">{words}</li> });
    let upstreams = (!cache.upstreams.is_empty()).then(|| {
        let route = Route::Upstreams {
            cache: cache.slug.clone(),
        };
        let words = format::counted(cache.upstreams.len() as u64, "upstream", "upstreams");
        view! { <li><a href=href(&route)>{words}</a></li> }
    });
    let file = with_base(&format!("/c/{}/keys.txt", cache.slug));
    card(
        "Public keys",
        view! { <a class="quiet" href=file>"keys.txt"</a> },
        view! { <ul class="key-list">{list} {none} {signing} {upstreams}</ul> },
    )
}

fn key_line(key: &Key) -> AnyView {
    let public = key.public_key.clone();
    view! {
        <li>
            <div class="key-line">
                <b class="mono">{key.name.clone()}</b>
                <span class="muted">{format::counted(key.paths, "path", "paths")}</span>
                {copy_button("Copy the public key", false, move || public.clone())}
            </div>
            <p class="fingerprint" title="SHA-256 of the 32 raw bytes">
                {format!("SHA256 {}", format::hex_groups(&key.fingerprint))}
            </p>
        </li>
    }
    .into_any()
}

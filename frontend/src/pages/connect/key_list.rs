//! Whom the lines that are written trust.

use leptos::prelude::*;
use snowbank_shared::api::Cache;
use snowbank_shared::api::connect::TestedCache;
use snowbank_shared::route::{Route, VouchingRoute};

use crate::format;
use crate::state::navigation::{href, with_base};

/// The keys of the chosen caches, each with its fingerprint, to be compared.
pub fn key_list(caches: &[Cache], others: &[TestedCache]) -> AnyView {
    let mut rows: Vec<AnyView> = caches
        .iter()
        .flat_map(|cache| {
            cache.keys.iter().map(move |key| {
                let name = key.name.clone();
                let name = match VouchingRoute::key(cache.slug.as_str(), &key.name) {
                    Some(page) => {
                        let address = href(&Route::Vouching(page));
                        view! { <a class="cell-link" href=address>{name}</a> }.into_any()
                    }
                    None => name.into_any(),
                };
                view! {
                    <li>
                        <b class="mono">{name}</b>
                        <span class="fingerprint">{format!("SHA256 {}", format::hex_groups(&key.fingerprint))}</span>
                        <a href=with_base(&format!("/c/{}/keys.txt", cache.slug))>"keys.txt"</a>
                    </li>
                }
                .into_any()
            })
        })
        .collect();
    rows.extend(others.iter().map(|other| {
        let name = other.key.split(':').next().unwrap_or_default().to_owned();
        view! {
            <li>
                <b class="mono">{name}</b>
                <span class="fingerprint">{format!("SHA256 {}", format::hex_groups(&other.fingerprint))}</span>
                <span class="muted">"not of this server"</span>
            </li>
        }
        .into_any()
    }));
    (!rows.is_empty())
        .then(|| {
            view! {
                <section class="section" aria-labelledby="trusted-title">
                    <div class="section-head">
                        <h2 id="trusted-title">"Whom these lines trust"</h2>
                        <p>"Compare with a fingerprint that you got another way."</p>
                    </div>
                    <ul class="key-list">{rows}</ul>
                </section>
            }
        })
        .into_any()
}

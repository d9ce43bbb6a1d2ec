//! The caches of this server against a pasted configuration: is the cache in force there, and
//! does a key of the configuration verify what it serves today?

use leptos::prelude::*;
use snowbank_shared::api::Cache;
use snowbank_shared::nix_conf::effective::{Effective, comparable};
use snowbank_shared::signature::PublicKey;

use super::choose::ChosenCaches;
use super::conflict::{Tried, Tries};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::code::code_line;
use crate::components::icon::Icon;
use crate::components::layout::{section, table};
use crate::state::derived::memo;

/// What of a configuration matters here: the substituters and the keys in force.
fn in_force(text: &str) -> (Vec<String>, Vec<String>) {
    let effective = Effective::of_text(text);
    let urls = effective.texts("substituters");
    let urls = urls.iter().map(|url| comparable(url)).collect();
    (urls, effective.texts("trusted-public-keys"))
}

/// One row for each cache. The paths that keys are tried on are asked of the server; nothing
/// of the text is.
pub fn reach(text: RwSignal<String>, chosen: ChosenCaches) -> AnyView {
    // Not drawn anew while somebody types a comment: each row asks the server.
    let force = memo(move || text.with(|text| in_force(text)));
    changing(move || drawn(&force.get(), &chosen.caches()))
}

/// The command that asks a cache who it is: its URL is one word of the shell, without its query.
fn curl(url: &str) -> String {
    let base = url.split('?').next().unwrap_or(url).trim_end_matches('/');
    format!("curl -i '{}/nix-cache-info'", base.replace('\'', "%27"))
}

fn drawn((urls, keys): &(Vec<String>, Vec<String>), caches: &[Cache]) -> AnyView {
    let keys: Vec<PublicKey> = keys.iter().filter_map(|key| key.parse().ok()).collect();
    let configured: Vec<&Cache> = caches
        .iter()
        .filter(|cache| urls.contains(&comparable(&cache.url)))
        .collect();
    if configured.is_empty() {
        return ().into_any();
    }
    let rows: Vec<AnyView> = configured.iter().map(|cache| row(cache, &keys)).collect();
    let curl: String = configured
        .iter()
        .map(|cache| format!("{}\n", curl(&cache.url)))
        .collect();
    section(
        "Caches of this server",
        (),
        view! {
            {table(
                "Caches of this server in this configuration",
                "table",
                &[("Cache", "", ""), ("Store", "", ""), ("Asked", "", ""), ("A path of it, with your keys", "", "")],
                rows,
            )}
            <p class="muted">"From the server all is well. From the machine:"</p>
            {code_line("Command", curl)}
        },
    )
}

fn row(cache: &Cache, keys: &[PublicKey]) -> AnyView {
    let tries = Tries::of_cache(Some((cache.slug.clone(), cache.store_dir.clone())));
    let keys = keys.to_vec();
    let tried = memo(move || {
        let each: Vec<Tried> = keys.iter().map(|key| tries.of(Some(key))).collect();
        let has = |wanted| each.contains(&wanted);
        if has(Tried::Verifies) {
            Tried::Verifies
        } else if has(Tried::NotYet) {
            Tried::NotYet
        } else if has(Tried::NothingToTry) {
            Tried::NothingToTry
        } else {
            Tried::DoesNot
        }
    });
    let word = move || match tried.get() {
        Tried::NotYet => view! { <span class="muted">"Trying your keys…"</span> }.into_any(),
        Tried::NothingToTry => {
            view! { <span class="muted">"No signed path to try them on"</span> }.into_any()
        }
        Tried::Verifies => chip((Tone::Ok, Icon::Tick, "Accepted", "Checked in this tab.")),
        Tried::DoesNot => chip((
            Tone::Bad,
            Icon::Cross,
            "No key of yours verifies it",
            "Checked in this tab.",
        )),
    };
    let asked = if cache.priority < 40 {
        "before cache.nixos.org (40)"
    } else if cache.priority == 40 {
        "together with cache.nixos.org (40)"
    } else {
        "after cache.nixos.org (40)"
    };
    view! {
        <tr>
            <th scope="row" class="wrap">{cache.title.clone()}</th>
            <td data-label="Store"><code>{cache.store_dir.clone()}</code></td>
            <td class="wrap" data-label="Asked">{format!("priority {}, {asked}", cache.priority)}</td>
            <td data-label="A path of it">{changing(word)}</td>
        </tr>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::curl;

    #[test]
    fn a_url_is_one_word_of_the_shell_without_its_query() {
        for (url, command) in [
            ("https://c/team", "curl -i 'https://c/team/nix-cache-info'"),
            (
                "https://c/team/?a=1&b=2",
                "curl -i 'https://c/team/nix-cache-info'",
            ),
            ("https://c/';x", "curl -i 'https://c/%27;x/nix-cache-info'"),
        ] {
            assert_eq!(curl(url), command);
        }
    }
}

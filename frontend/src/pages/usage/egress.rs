//! What was sent, by package, and what it costs at the owner's price of a GB.

use std::collections::BTreeMap;

use leptos::prelude::*;
use snowbank_shared::api::storage::Prices;
use snowbank_shared::api::usage::{UsageList, UsagePath};
use snowbank_shared::package::Package;

use super::Usage;
use super::costs::{at_price, money, prices_path};
use crate::components::layout::{section, table};
use crate::components::size::size;
use crate::format;
use crate::state::remote::Remote;

/// Packages shown at most.
const MOST: usize = 50;

/// The prices of the cache.
pub(super) fn prices(usage: Usage) -> Remote<Prices> {
    Remote::new(move || Some(prices_path(&usage.cache.get_value())))
}

/// What sending so much costs; a dash where nobody set a price.
pub(super) fn cost(prices: Option<&Prices>, bytes: u64) -> String {
    match prices {
        Some(prices) if prices.egress_gb > 0 => {
            money(&prices.currency, at_price(bytes, prices.egress_gb))
        }
        _ => "—".to_owned(),
    }
}

/// What of a package was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    name: String,
    fetches: u64,
    bytes: u64,
}

/// The packages of these paths, most bytes first. Paths without a name are one.
fn packages(paths: &[UsagePath]) -> Vec<Sent> {
    let mut sums = BTreeMap::<&str, (u64, u64)>::new();
    for path in paths {
        let name = path
            .name
            .as_deref()
            .map_or("", |name| Package::of(name).name);
        let (fetches, bytes) = sums.entry(name).or_default();
        *fetches = fetches.saturating_add(path.fetches);
        *bytes = bytes.saturating_add(path.bytes);
    }
    let mut packages: Vec<Sent> = sums
        .into_iter()
        .map(|(name, (fetches, bytes))| Sent {
            name: name.to_owned(),
            fetches,
            bytes,
        })
        .collect();
    packages.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    packages
}

/// Why there are no costs; nothing where there are, or nobody knows yet.
fn no_costs(prices: Option<&Prices>, failed: bool) -> Option<&'static str> {
    match prices {
        None => failed.then_some("The prices could not be read, so no costs are shown."),
        Some(prices) => (prices.egress_gb == 0)
            .then_some("No price of a GB sent is set: an owner sets it under Storage, at Cost."),
    }
}

/// The table; nothing where nothing was fetched. Tracks the prices.
pub(super) fn by_package(list: &UsageList<UsagePath>, prices: Remote<Prices>) -> Option<AnyView> {
    let failed = prices.error().is_some();
    let prices = prices.get();
    let prices = prices.as_deref();
    let packages = packages(&list.items);
    if packages.is_empty() {
        return None;
    }
    let rows = packages
        .iter()
        .take(MOST)
        .map(|sent| {
            let name = match sent.name.as_str() {
                "" => "name unknown".to_owned(),
                name => format::visible(name),
            };
            view! {
                <tr>
                    <th scope="row" class="grow">{name}</th>
                    <td class="number" data-label="Fetches">{format::count(sent.fetches)}</td>
                    <td class="number" data-label="Sent">{size(sent.bytes)}</td>
                    <td class="number" data-label="Cost">{cost(prices, sent.bytes)}</td>
                </tr>
            }
        })
        .collect_view();
    let columns = [
        ("Package", "grow", "All versions together"),
        ("Fetches", "number", "How often a NAR of it was asked for"),
        ("Sent", "number", "Bytes of its NARs that were sent"),
        ("Cost", "number", "At the owner's price of a GB sent"),
    ];
    let shown = packages.len().min(MOST) as u64;
    let of = format::counted(packages.len() as u64, "package", "packages");
    let cut = (list.total > list.items.len() as u64).then(|| {
        format!(
            ", counted over the {} paths of which most was sent",
            format::count(list.items.len() as u64)
        )
    });
    let words = format!(
        "{} of {of}{}",
        format::count(shown),
        cut.unwrap_or_default()
    );
    let no_costs = no_costs(prices, failed).map(|why| view! { <p class="usage-note">{why}</p> });
    let body = view! {
        {no_costs}
        {table("Egress by package", "table", &columns, rows)}
    };
    Some(section("Egress by package", view! { <p>{words}</p> }, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_package_add_up_and_cost_what_the_owner_says() {
        let path = |name: Option<&str>, fetches, bytes| UsagePath {
            hash: String::new(),
            name: name.map(str::to_owned),
            fetches,
            bytes,
            clients: 1,
            root: false,
        };
        let found = packages(&[
            path(Some("openssl-3.0.13-bin"), 1, 10),
            path(None, 2, 50),
            path(Some("openssl-3.5.1"), 3, 500),
            path(Some("jq-1.8"), 1, 50),
        ]);
        let told: Vec<_> = found
            .iter()
            .map(|sent| (&*sent.name, sent.fetches, sent.bytes))
            .collect();
        assert_eq!(told, [("openssl", 4, 510), ("", 2, 50), ("jq", 1, 50)]);
        let prices = Prices {
            currency: "$".to_owned(),
            egress_gb: 90_000,
            ..Prices::default()
        };
        assert_eq!(cost(Some(&prices), 100_000_000_000), "$ 9.00");
        assert_eq!(cost(Some(&Prices::default()), 100), "—");
        assert_eq!(cost(None, 100), "—");
        // That nobody set a price is said only where that is known.
        assert_eq!(no_costs(None, false), None);
        assert_eq!(no_costs(Some(&prices), true), None);
        let said = |prices, failed| no_costs(prices, failed).expect("words");
        assert!(said(None, true).starts_with("The prices could not be read"));
        assert!(said(Some(&Prices::default()), false).starts_with("No price"));
    }
}

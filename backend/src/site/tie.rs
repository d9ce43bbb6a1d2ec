//! Two caches of one priority: which of them a client asks first is chance.

use snowbank_shared::api::{Finding, Severity};
use snowbank_shared::cache_info::KEY;

use super::Cache;
use crate::index::Change;

/// The check of upstreams that have the priority of the cache.
pub const TIE: &str = "priority-tie";

/// Asks the upstreams for their priority, and shows in Health where one has that of the cache. While one
/// of them does not say, what was found stays.
pub async fn look(cache: &Cache) {
    let mut same = Vec::new();
    let mut silent = false;
    for (url, info) in cache.upstreams.infos().await {
        match info {
            Some(info) if info.priority == cache.priority => same.push(url.to_owned()),
            Some(_) => {}
            None => silent = true,
        }
    }
    let view = cache.index.view();
    let known = view.noted(TIE).next().map(|finding| finding.reason.clone());
    drop(view);
    if same.is_empty() {
        if known.is_some() && !silent {
            let settled = Change::Settled(TIE.to_owned(), KEY.to_owned());
            cache.index.apply(vec![settled]);
        }
        return;
    }
    let reason = format!(
        "its priority is {}, and so is that of {}: which of them a client asks first follows from the order in its nix.conf",
        cache.priority,
        same.join(", ")
    );
    if known.as_ref() != Some(&reason) {
        cache.index.apply(vec![Change::Finding(Finding {
            check: TIE.to_owned(),
            severity: Severity::Warning,
            object: KEY.to_owned(),
            line: None,
            reason,
            hash: None,
        })]);
    }
}

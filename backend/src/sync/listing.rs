//! Listing a bucket in several ranges at once.
//!
//! A listing is a chain: each page's token comes with the page before. On a store that
//! takes a tenth of a second a page, a million narinfos are minutes. But keys begin with a
//! digit of nix32, evenly spread, so the key space can be cut and the pieces listed side
//! by side. Small buckets are not cut: the first page tells.

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::bucket::{Bucket, BucketError, ListPage, ListRequest};

/// The digits that keys begin with, in their order.
const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Which part of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The root: narinfos, not the NARs.
    Root,
    /// Everything.
    Whole,
}

/// Keys after `after`, up to and including `until`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    after: Option<String>,
    until: Option<String>,
}

/// All pages, in no particular order where `parallel` is above 1. Together they hold every
/// object exactly once.
pub(super) fn pages(
    bucket: &Bucket,
    scope: Scope,
    parallel: usize,
) -> BoxStream<'static, Result<ListPage, BucketError>> {
    let bucket = bucket.clone();
    let whole = Range {
        after: None,
        until: None,
    };
    if parallel <= 1 {
        return ahead(whole_pages(&bucket, scope));
    }
    stream::once(async move {
        let mut first_pages = range_pages(&bucket, scope, whole);
        let Some(first) = first_pages.next().await else {
            return stream::empty().boxed();
        };
        let rest = match &first {
            Ok(page) if page.truncated => match page.objects.last() {
                Some(last) => {
                    let ranges = cut(scope, parallel, &last.key);
                    stream::iter(ranges)
                        .map(move |range| ahead(range_pages(&bucket, scope, range)))
                        .flatten_unordered(parallel)
                        .boxed()
                }
                // Nothing but prefixes so far: go on where we are.
                None => first_pages,
            },
            _ => stream::empty().boxed(),
        };
        stream::once(async { first }).chain(rest).boxed()
    })
    .flatten()
    .boxed()
}

/// Fetches and parses the next page while the one before is looked at.
fn ahead(
    mut pages: BoxStream<'static, Result<ListPage, BucketError>>,
) -> BoxStream<'static, Result<ListPage, BucketError>> {
    let (sender, receiver) = mpsc::channel(1);
    let fetching = AbortOnDropHandle::new(tokio::spawn(async move {
        while let Some(page) = pages.next().await {
            // Nobody takes pages any more: the sweep was given up.
            if sender.send(page).await.is_err() {
                break;
            }
        }
    }));
    stream::unfold(
        (receiver, fetching),
        |(mut receiver, fetching)| async move {
            if let Some(page) = receiver.recv().await {
                return Some((page, (receiver, fetching)));
            }
            // A listing that broke off must not pass for one that came to its end.
            match fetching.await {
                Ok(()) => None,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => std::future::pending().await,
                },
            }
        },
    )
    .boxed()
}

/// The pages from the first to the last, each asked for while the one before is parsed.
fn whole_pages(bucket: &Bucket, scope: Scope) -> BoxStream<'static, Result<ListPage, BucketError>> {
    bucket
        .list_ahead(ListRequest {
            delimiter: scope == Scope::Root,
            ..ListRequest::default()
        })
        .boxed()
}

/// The pages of a range; the last one cut where the range ends.
fn range_pages(
    bucket: &Bucket,
    scope: Scope,
    range: Range,
) -> BoxStream<'static, Result<ListPage, BucketError>> {
    let request = ListRequest {
        delimiter: scope == Scope::Root,
        start_after: range.after,
        ..ListRequest::default()
    };
    let mut ended = false;
    let until = range.until;
    bucket
        .list(request)
        .map(move |page| {
            let mut page = page?;
            if let Some(until) = &until {
                let beyond = |key: &str| key > until.as_str();
                let before = page.objects.len() + page.prefixes.len();
                page.objects.retain(|object| !beyond(&object.key));
                page.prefixes.retain(|prefix| !beyond(prefix));
                page.truncated &= before == page.objects.len() + page.prefixes.len();
            }
            Ok(page)
        })
        .take_while(move |page| {
            let go_on = !ended;
            ended = page.as_ref().map_or(true, |page| !page.truncated);
            std::future::ready(go_on)
        })
        .boxed()
}

/// What comes after `last`, cut into ranges.
fn cut(scope: Scope, parallel: usize, last: &str) -> Vec<Range> {
    let pieces = parallel.min(DIGITS.len());
    let mut borders = Vec::new();
    for piece in 0..pieces {
        let digit = char::from(DIGITS[piece * DIGITS.len() / pieces]);
        borders.push(digit.to_string());
        if scope == Scope::Whole {
            borders.push(format!("nar/{digit}"));
        }
    }
    if scope == Scope::Whole {
        // What follows the NARs is no part of their last piece.
        borders.push("nar0".to_owned());
    }
    borders.sort_unstable();
    borders.retain(|border| border.as_str() > last);
    let mut after = last.to_owned();
    let mut ranges = Vec::with_capacity(borders.len() + 1);
    for border in borders {
        ranges.push(Range {
            after: Some(std::mem::replace(&mut after, border.clone())),
            until: Some(border),
        });
    }
    ranges.push(Range {
        after: Some(after),
        until: None,
    });
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_nix32() {
        assert!(DIGITS.is_sorted());
        assert!(
            DIGITS
                .iter()
                .all(|digit| { snowbank_shared::hash::nix32::is_alphabet(*digit) })
        );
    }

    #[test]
    fn ranges_join_without_gap_or_overlap() {
        for scope in [Scope::Root, Scope::Whole] {
            for parallel in [2, 3, 8, 32, 100] {
                for last in [
                    "",
                    "0",
                    "7abc",
                    "nar/4",
                    "nar/zzz",
                    "nix-cache-info",
                    "zz",
                    "~",
                ] {
                    let ranges = cut(scope, parallel, last);
                    assert_eq!(ranges[0].after.as_deref(), Some(last));
                    assert_eq!(ranges.last().expect("one").until, None);
                    for pair in ranges.windows(2) {
                        assert_eq!(pair[0].until, pair[1].after);
                        assert!(pair[0].after < pair[0].until);
                    }
                }
            }
        }
    }
}

//! What is counted, by clocks and processes that the test makes.

use std::time::Duration;

use snowbank_shared::api::usage::UsageStep;
use snowbank_shared::store_path::StorePathHash;

use super::fetched::{short, whole_since};
use super::record::{UsageRecord, united};
use super::tally::{Day, Tally};
use super::who::MOST_DISTINCT;
use super::*;

/// Midnight of 2026-11-23.
const TODAY: i64 = 1_795_392_000;

fn hash(number: u32) -> StorePathHash {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    StorePathHash::from_bytes(bytes)
}

fn asker(address: &str) -> Asker<'static> {
    Asker {
        who: Who::at(address.parse().expect("an address")),
        agent: Some("curl/8.5.0 Nix/2.18.1"),
        took: Duration::from_micros(100),
    }
}

fn usage(instance: u64, asks_upstreams: bool) -> Usage {
    Usage::of(instance, asks_upstreams, TODAY + 1_000)
}

#[test]
fn midnight_is_the_one_that_is_meant() {
    assert_eq!(report::day_text(TODAY), "2026-11-23");
    assert_eq!(day_of(TODAY), TODAY);
}

#[test]
fn requests_are_counted_by_hour_client_and_path_and_none_twice() {
    let usage = usage(1, false);
    let (one, two) = (asker("192.0.2.1"), asker("198.51.100.1"));
    for at in [TODAY + 1_100, TODAY + 1_200, TODAY + HOUR] {
        usage.narinfo_at(at, hash(1), true, &one);
    }
    usage.narinfo_at(TODAY + HOUR, hash(2), false, &one);
    usage.narinfo_at(TODAY + HOUR + 5, hash(2), false, &two);
    usage.nar_at(TODAY + HOUR, &[hash(1)], true, &two);
    usage.nar_at(TODAY + HOUR, &[hash(1)], false, &two);
    let now = TODAY + 2 * HOUR;
    let days = usage.collected(now);
    let record = days[&TODAY].record(TODAY, "a");
    assert_eq!(record.spans, [(TODAY + 1_000, now + 1)]);
    let hours: Vec<_> = record
        .hours
        .iter()
        .map(|(hour, counts)| (*hour, counts.hits, counts.misses, counts.nar_requests))
        .collect();
    assert_eq!(hours, [(0, 2, 0, 0), (1, 1, 2, 2)]);
    let clients: Vec<_> = record
        .clients
        .iter()
        .map(|client| (client.who.to_string(), client.hits, client.misses))
        .collect();
    assert_eq!(
        clients,
        [
            ("192.0.2.0/24".to_owned(), 3, 1),
            ("198.51.100.0/24".to_owned(), 0, 1)
        ]
    );
    assert_eq!(record.clients[0].nix.as_deref(), Some("2.18.1"));
    let miss = &record.misses[0];
    assert_eq!((miss.requests, miss.clients.count()), (2, 2));
    assert_eq!((miss.first, miss.last), (TODAY + HOUR, TODAY + HOUR + 5));
    assert_eq!(miss.elsewhere, Some(false), "there is nobody to ask");
    assert_eq!(
        (record.paths[0].fetches, record.paths[0].clients.count()),
        (1, 1)
    );
    assert_eq!(days[&TODAY].fetched, [short(&hash(1))]);
    drop(days);
    // Asked again, nothing is added.
    assert_eq!(usage.collected(now)[&TODAY].record(TODAY, "a"), record);
}

#[test]
fn what_an_upstream_has_is_no_useful_miss_whenever_that_is_known() {
    let usage = usage(1, true);
    let one = asker("192.0.2.1");
    usage.narinfo_at(TODAY + HOUR, hash(1), false, &one);
    usage.narinfo_at(TODAY + HOUR, hash(2), false, &one);
    drop(usage.collected(TODAY + 2 * HOUR));
    usage.told(&hash(1), true);
    usage.told(&hash(2), false);
    usage.narinfo_at(TODAY + 2 * HOUR, hash(1), false, &one);
    let sum = usage.collected(TODAY + 3 * HOUR)[&TODAY]
        .record(TODAY, "a")
        .sum();
    assert_eq!((sum.misses, sum.elsewhere), (3, 2));
    assert_eq!(sum.shown().useful_misses, 1);
}

#[test]
fn records_of_two_processes_add_up_and_one_counts_once() {
    let (one, two) = (usage(1, false), usage(2, false));
    one.narinfo_at(TODAY + HOUR, hash(1), false, &asker("192.0.2.1"));
    two.narinfo_at(TODAY + HOUR, hash(1), false, &asker("192.0.2.9"));
    two.narinfo_at(TODAY + HOUR, hash(1), false, &asker("198.51.100.1"));
    let first = one.collected(TODAY + 2 * HOUR)[&TODAY].record(TODAY, "one");
    let second = two.collected(TODAY + 3 * HOUR)[&TODAY].record(TODAY, "two");
    let mut whole = UsageRecord::empty(TODAY);
    assert!(whole.absorb(&first, MOST_DISTINCT));
    assert!(whole.absorb(&second, MOST_DISTINCT));
    assert!(!whole.absorb(&first, MOST_DISTINCT), "it is in it");
    assert_eq!(whole.sum().misses, 3);
    assert_eq!(
        (whole.misses[0].requests, whole.misses[0].clients.count()),
        (3, 2)
    );
    assert_eq!(whole.spans, [(TODAY + 1_000, TODAY + 3 * HOUR + 1)]);
    // Without its hours it says the same of the day.
    let sum = whole.sum();
    whole.thin();
    assert_eq!((whole.sum(), whole.hours.len()), (sum, 0));
}

#[test]
fn more_clients_than_are_told_apart_are_in_the_sums() {
    let mut tally = Tally::of_hour(TODAY);
    for number in 0..60_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let who = Who::Four([a, b, c]);
        tally.client(&who, None, TODAY).hits += 1;
        tally.miss(hash(number), &who, TODAY);
        tally.counts.hits += 1;
    }
    assert_eq!((tally.clients.len(), tally.misses.len()), (50_001, 50_000));
    let mut day = Day::default();
    day.add(tally);
    assert_eq!(day.record(TODAY, "a").sum().hits, 60_000);
}

#[test]
fn spans_that_touch_are_one_and_what_lies_between_is_a_gap() {
    let spans = vec![(50, 60), (0, 10), (10, 20), (15, 18)];
    assert_eq!(united(spans.clone(), 0), [(0, 20), (50, 60)]);
    assert_eq!(united(spans, 30), [(0, 60)]);
}

#[test]
fn days_with_a_gap_are_not_wholly_measured() {
    let now = TODAY + 6 * HOUR;
    let days_ago = |days: i64| TODAY - days * DAY;
    let spans = [
        (days_ago(5) + HOUR, days_ago(3) + HOUR),
        // Five hours nobody measured.
        (days_ago(3) + 6 * HOUR, days_ago(1)),
        // Ten minutes: it was started anew.
        (days_ago(1) + 600, now),
    ];
    assert_eq!(whole_since(&spans, &[], now), Some(days_ago(2)));
    assert_eq!(whole_since(&spans, &[days_ago(1)], now), Some(TODAY));
    assert_eq!(whole_since(&spans[..2], &[], now), None, "today is not");
    assert_eq!(whole_since(&[], &[], now), None);
    let young = [(now - 60, now)];
    assert_eq!(whole_since(&young, &[], now), Some(TODAY), "since it began");
}

#[test]
fn a_range_is_of_whole_steps() {
    let range = Span::of(TODAY + 10, TODAY + HOUR + 1, UsageStep::Hour);
    assert_eq!((range.from, range.to), (TODAY, TODAY + 2 * HOUR));
    let range = Span::of(TODAY + 10, TODAY + HOUR, UsageStep::Day);
    assert_eq!((range.from, range.to), (TODAY, TODAY + DAY));
}

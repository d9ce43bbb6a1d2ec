//! Rules that come down to a size: as much as possible is kept, in the order in which people miss it least.
//!
//! Days of uploads are shortened first, then days of fetches, then revisions of pins; none of them to
//! nothing. Names stay as they are: who wrote one meant it.

use snowbank_shared::api::retention::Rules;

use super::applied::{Applied, Facts};
use super::simulate::kept;

/// Sets one number of the rules.
type Set = fn(&mut Rules, u32);

/// Rules that come down to the target size of these; `None` where they have none, come down to it
/// already, or nothing of the kind does. Simulates up to some 30 times: run it off the reactor.
pub fn suggest(facts: Facts<'_>, rules: &Rules) -> Option<Rules> {
    let target = rules.target_size?;
    let reaches = |rules: &Rules| left(facts, rules) <= target;
    if reaches(rules) {
        return None;
    }
    let mut best = rules.clone();
    let turns: [(Option<u32>, Set); 3] = [
        (rules.uploaded_days, |rules, days| {
            rules.uploaded_days = Some(days);
        }),
        (rules.fetched_days, |rules, days| {
            rules.fetched_days = Some(days);
        }),
        (rules.pins.map(u32::from), |rules, revisions| {
            rules.pins = u16::try_from(revisions).ok();
        }),
    ];
    for (now, set) in turns {
        let with = |number: u32| {
            let mut other = best.clone();
            set(&mut other, number);
            other
        };
        let Some(now) = now.filter(|now| *now > 1) else {
            continue;
        };
        let least = with(1);
        if !reaches(&least) {
            best = least;
            continue;
        }
        // The first comes down to it, the second does not.
        let (mut low, mut high) = (1, now);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if reaches(&with(middle)) {
                low = middle;
            } else {
                high = middle;
            }
        }
        return Some(with(low));
    }
    None
}

/// Bytes as stored that rules leave.
fn left(facts: Facts<'_>, rules: &Rules) -> u64 {
    let (kept, _) = kept(facts.view, &Applied::new(facts, rules));
    let removal = facts.view.removal(&kept);
    removal.bytes.saturating_sub(removal.freed())
}

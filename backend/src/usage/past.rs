//! A past that nobody counted: made up, so that a demonstration has figures to show.
//!
//! It is counted and written just as what clients do is, under an instance of its own; who makes it
//! says so to everybody ([`super::Usage::set_generated_until`]).

use std::collections::BTreeMap;

use snowbank_shared::store_path::StorePathHash;

use super::keep::{Work, write_day};
use super::tally::{Day, Tally};
use super::{Asker, DAY, HOUR, day_of};
use crate::ledger::{Ledger, LedgerError};

/// What is said to have been asked for. Moments are seconds since 1970 and come in their order.
pub struct Past {
    instance: String,
    days: BTreeMap<i64, Day>,
    open: Tally,
}

impl Past {
    /// Nothing yet; `instance` tells its records from those of processes.
    pub fn new(instance: u64) -> Self {
        Self {
            instance: format!("{instance:016x}"),
            days: BTreeMap::new(),
            open: Tally::default(),
        }
    }

    fn at(&mut self, now: i64) -> &mut Tally {
        let hour = now.div_euclid(HOUR) * HOUR;
        if self.open.hour != hour {
            self.close(hour);
        }
        &mut self.open
    }

    fn close(&mut self, next: i64) {
        let tally = std::mem::replace(&mut self.open, Tally::of_hour(next));
        if tally.hour > 0 {
            self.days.entry(day_of(tally.hour)).or_default().add(tally);
        }
    }

    /// A request for a narinfo, and whether it was there.
    pub fn narinfo(&mut self, at: i64, hash: StorePathHash, found: bool, asker: &Asker<'_>) {
        self.at(at).narinfo(at, hash, found, asker);
    }

    /// A NAR that was sent whole.
    pub fn nar(&mut self, at: i64, hash: StorePathHash, bytes: u64, asker: &Asker<'_>) {
        let tally = self.at(at);
        tally.nar(at, &[hash], true, asker);
        tally.sent(at, Some(hash), bytes, &asker.who);
    }

    /// An answer that failed with this status.
    pub fn failed(&mut self, at: i64, status: u16) {
        self.at(at).failed(status);
    }

    /// Says that the time between was measured. What is not said so is a gap.
    pub fn measured(&mut self, from: i64, to: i64) {
        let mut day = day_of(from);
        while day < to {
            let known = self.days.entry(day).or_default();
            known.measured(day, from, to);
            day += DAY;
        }
    }

    /// Whether an upstream has what was missed until now.
    pub fn told(&mut self, hash: &StorePathHash, elsewhere: bool) {
        self.close(self.open.hour);
        for day in self.days.values_mut() {
            day.told(hash, elsewhere);
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// Where the ledger takes no more; what was written until then stays.
    pub async fn write(mut self, ledger: &Ledger, slug: &str) -> Result<(), LedgerError> {
        self.close(self.open.hour);
        for (day, known) in &self.days {
            let work = Work::of(*day, known, true, &self.instance);
            write_day(ledger, slug, &self.instance, &work).await?;
        }
        Ok(())
    }
}

//! What is wrong or special in a synthetic cache, so many times exactly.
//!
//! A path has at most one defect. Which path has which is drawn before the
//! first is made, from a random stream of its own: the rest of the cache is
//! the same with and without defects, apart from the names of those that
//! change a path's hash.

use std::collections::{HashMap, HashSet};

use super::random::Random;

/// How many of each; the flags of `bench-data`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub struct DefectCounts {
    /// Paths that refer to a path that is not there.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub dangling: u64,
    /// Paths with a body whose NAR is left out (at most --nars).
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub missing_nar: u64,
    /// Paths with a body whose NarHash is another's (at most --nars).
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub wrong_nar_hash: u64,
    /// Paths whose only signature is broken by one bit.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub bad_signature: u64,
    /// Paths signed only by a key that the summary does not name.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub unknown_key: u64,
    /// Paths that are content-addressed and not signed.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub content_addressed: u64,
    /// Paths whose name has 211 characters, the most there may be.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub long_name: u64,
    /// Paths whose narinfo names the NAR of the path before.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub shared_nar: u64,
    /// Narinfos stored compressed: zstd, gzip and, where Content-Encoding can be kept, br in turn.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub encoded: u64,
    /// Narinfos with CRLF line ends, besides the paths.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub crlf: u64,
    /// Narinfos with two spaces after NarSize, besides the paths.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub odd_spacing: u64,
    /// Narinfos of zero bytes, besides the paths.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub empty: u64,
    /// Objects that are no narinfos: listings, logs, realisations, debug links and junk in turn.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub foreign: u64,
}

/// What is wrong or special about one path; see [`DefectCounts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Defect {
    Dangling,
    MissingNar,
    WrongNarHash,
    BadSignature,
    UnknownKey,
    ContentAddressed,
    LongName,
    SharedNar,
    Encoded,
}

/// Which path has which defect, and which have a body.
#[derive(Debug, Clone, Default)]
pub(super) struct Assignment {
    defects: HashMap<u64, Defect>,
    /// Every path whose index this divides has a body; 0 for none.
    body_every: u64,
    bodies: u64,
}

impl Assignment {
    /// Draws `counts` among `paths` paths, of which `bodies` have a body.
    ///
    /// # Errors
    /// More defects than there are paths (or bodies, or places) for them.
    pub(super) fn new(
        counts: &DefectCounts,
        paths: u64,
        bodies: u64,
        seed: u64,
    ) -> Result<Self, String> {
        let mut assignment = Self {
            defects: HashMap::new(),
            body_every: paths.checked_div(bodies).unwrap_or(0),
            bodies,
        };
        let mut random = Random::new(seed ^ 0x6465_6665_6374_7321);
        let with_body = [
            (Defect::MissingNar, counts.missing_nar),
            (Defect::WrongNarHash, counts.wrong_nar_hash),
        ];
        let without = [
            (Defect::Dangling, counts.dangling),
            (Defect::BadSignature, counts.bad_signature),
            (Defect::UnknownKey, counts.unknown_key),
            (Defect::ContentAddressed, counts.content_addressed),
            (Defect::LongName, counts.long_name),
            (Defect::SharedNar, counts.shared_nar),
            (Defect::Encoded, counts.encoded),
        ];
        let total = |group: &[(Defect, u64)]| {
            group
                .iter()
                .map(|(_, count)| count)
                .fold(0_u64, |a, b| a.saturating_add(*b))
        };
        if total(&with_body) > bodies {
            return Err(format!(
                "{} defects of NARs, but only {bodies} NARs (--nars)",
                total(&with_body)
            ));
        }
        // A shared NAR needs an ordinary path before it, and drawing needs room.
        let places = total(&without).saturating_add(counts.shared_nar);
        if places > (paths - bodies) / 2 {
            return Err(format!(
                "{places} places for defects of paths, but only half of the {} paths without a NAR can have one",
                paths - bodies
            ));
        }
        for (defect, count) in with_body {
            for _ in 0..count {
                let index = draw(&mut random, bodies, |slot| {
                    let index = slot * assignment.body_every;
                    (!assignment.defects.contains_key(&index)).then_some(index)
                });
                assignment.defects.insert(index, defect);
            }
        }
        let mut before_shared = HashSet::new();
        for (defect, count) in without {
            for _ in 0..count {
                let index = draw(&mut random, paths, |index| {
                    let ordinary = |index| {
                        !assignment.has_body(index) && !assignment.defects.contains_key(&index)
                    };
                    let free = ordinary(index)
                        && !before_shared.contains(&index)
                        && (defect != Defect::SharedNar || (index > 0 && ordinary(index - 1)));
                    free.then_some(index)
                });
                if defect == Defect::SharedNar {
                    before_shared.insert(index - 1);
                }
                assignment.defects.insert(index, defect);
            }
        }
        Ok(assignment)
    }

    /// What is wrong or special about a path.
    pub(super) fn of(&self, index: u64) -> Option<Defect> {
        self.defects.get(&index).copied()
    }

    /// Whether there is an archive behind a path: evenly spread over all.
    pub(super) fn has_body(&self, index: u64) -> bool {
        self.body_every > 0
            && index.is_multiple_of(self.body_every)
            && index / self.body_every < self.bodies
    }
}

/// Draws below `end` until `accept` takes one. The caller makes sure that there is one.
fn draw(random: &mut Random, end: u64, accept: impl Fn(u64) -> Option<u64>) -> u64 {
    loop {
        if let Some(index) = accept(random.below(end as usize) as u64) {
            return index;
        }
    }
}

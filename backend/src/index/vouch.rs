//! What vouches for a row: which keys' signatures pass the check, by what the index judged, and
//! whether the row needs none.

use std::fmt;
use std::str::FromStr;

use snowbank_shared::api::SignatureStatus;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StoreDir;

use super::graph::Graph;
use super::layout::Line;

/// All bits of a mask of [`close`].
pub(crate) const ALL: u64 = u64::MAX;

/// What the signatures of one key's name on one path are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Voucher<'a> {
    pub(crate) name: &'a str,
    /// One of them passes the check, whatever the key's state.
    pub(crate) passes: bool,
    /// One of them fails it.
    pub(crate) fails: bool,
}

/// A filter of paths by what vouches for them: `valid:team-1`, `only:team-1`, `invalid:team-1`,
/// `closure:team-1`, `closure`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vouch {
    /// A signature by this name passes the check.
    Valid(String),
    /// The same, and nothing else vouches for the path.
    Only(String),
    /// A signature by this name fails the check.
    Invalid(String),
    /// Its whole closure is here, each path of it signed by this name or content-addressed.
    Closure(String),
    /// Its whole closure is here.
    Whole,
}

/// Not a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoVouch;

impl FromStr for Vouch {
    type Err = NoVouch;
    fn from_str(text: &str) -> Result<Self, NoVouch> {
        if text == "closure" {
            return Ok(Self::Whole);
        }
        let (how, name) = text.split_once(':').ok_or(NoVouch)?;
        let name = name.to_owned();
        Ok(match how {
            _ if name.is_empty() => return Err(NoVouch),
            "valid" => Self::Valid(name),
            "only" => Self::Only(name),
            "invalid" => Self::Invalid(name),
            "closure" => Self::Closure(name),
            _ => return Err(NoVouch),
        })
    }
}

impl fmt::Display for Vouch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid(name) => write!(f, "valid:{name}"),
            Self::Only(name) => write!(f, "only:{name}"),
            Self::Invalid(name) => write!(f, "invalid:{name}"),
            Self::Closure(name) => write!(f, "closure:{name}"),
            Self::Whole => f.write_str("closure"),
        }
    }
}

/// Whether a verdict says that the check was passed.
pub(crate) const fn passes(verdict: SignatureStatus) -> bool {
    matches!(
        verdict,
        SignatureStatus::Valid | SignatureStatus::ValidRetired | SignatureStatus::ValidRevoked
    )
}

impl Graph {
    /// Who signed a row, each name once, by name.
    pub(crate) fn vouchers(&self, row: u32) -> Vec<Voucher<'_>> {
        let signers = &self.layout(row).signers;
        let verdicts = &self.judged(row).verdicts;
        let mut vouchers: Vec<Voucher<'_>> = signers
            .iter()
            .zip(verdicts)
            .map(|(name, &verdict)| Voucher {
                name,
                passes: passes(verdict),
                fails: verdict == SignatureStatus::Invalid,
            })
            .collect();
        vouchers.sort_unstable_by_key(|voucher| voucher.name);
        vouchers.dedup_by(|next, kept| {
            let same = next.name == kept.name;
            if same {
                kept.passes |= next.passes;
                kept.fails |= next.fails;
            }
            same
        });
        vouchers
    }

    /// Whether the row is content-addressed and its claim holds: clients ask for no signature.
    pub(crate) fn needs_none(&self, row: u32) -> bool {
        match self.judged(row).status {
            SignatureStatus::NotNeeded => true,
            // The better word hides it.
            SignatureStatus::Valid => self.claims_content(row),
            _ => false,
        }
    }

    fn claims_content(&self, row: u32) -> bool {
        let lines = self.layout(row).lines.as_deref();
        if lines.is_some_and(|lines| !lines.contains(&Line::Literal)) {
            return false;
        }
        let mut text = Vec::new();
        self.push_narinfo(row, &mut text);
        let claims = text.starts_with(b"CA:") || text.windows(4).any(|window| window == b"\nCA:");
        claims
            && self
                .parsed(&text)
                .is_some_and(|narinfo| narinfo.is_content_addressed())
    }

    /// The narinfo that a text is, by this graph's store directory.
    pub(crate) fn parsed(&self, text: &[u8]) -> Option<NarInfo> {
        let store_dir: StoreDir = self.store_dir.parse().ok()?;
        NarInfo::parse(text, &store_dir).ok()
    }

    /// Whether a row passes a filter that looks at the row alone.
    pub(crate) fn is_vouched(&self, row: u32, vouch: &Vouch) -> bool {
        let named = |name: &str| {
            let vouchers = self.vouchers(row);
            vouchers.into_iter().find(|voucher| voucher.name == name)
        };
        match vouch {
            Vouch::Valid(name) => named(name).is_some_and(|voucher| voucher.passes),
            Vouch::Invalid(name) => named(name).is_some_and(|voucher| voucher.fails),
            Vouch::Only(name) => {
                let vouchers = self.vouchers(row);
                let mut passing = vouchers.iter().filter(|voucher| voucher.passes);
                passing.next().is_some_and(|first| first.name == name)
                    && passing.next().is_none()
                    && !self.needs_none(row)
            }
            Vouch::Closure(name) => {
                named(name).is_some_and(|voucher| voucher.passes) || self.needs_none(row)
            }
            Vouch::Whole => true,
        }
    }

    /// The live rows that pass a filter about closures, one bit a row.
    pub(crate) fn whole_closures(&self, vouch: &Vouch) -> Vec<u64> {
        let mut masks = vec![0; self.rows() as usize];
        for row in self.all_live() {
            masks[row as usize] = u64::from(self.is_vouched(row, vouch));
        }
        self.close(&mut masks, true);
        let mut bits = vec![0; masks.len().div_ceil(64)];
        for (row, mask) in masks.iter().enumerate() {
            bits[row / 64] |= (mask & 1) << (row % 64);
        }
        bits
    }

    /// Takes from each live row the bits that a path of its closure lacks. With `whole`, what this
    /// cache lacks has no bits; else it does not count.
    pub(crate) fn close(&self, masks: &mut [u64], whole: bool) {
        let mut most = 0;
        for row in self.all_live() {
            most |= masks[row as usize];
            let targets = self.targets(row);
            if whole && targets.iter().any(|&code| self.resolve(code).is_none()) {
                masks[row as usize] = 0;
            }
        }
        // Bits only go, so this ends: in circles, too.
        let mut open: Vec<u32> = self
            .all_live()
            .filter(|&row| masks[row as usize] != most)
            .collect();
        while let Some(row) = open.pop() {
            let mask = masks[row as usize];
            self.each_referrer(row, |referrer| {
                let left = masks[referrer as usize] & mask;
                if left != masks[referrer as usize] {
                    masks[referrer as usize] = left;
                    open.push(referrer);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Vouch;

    #[test]
    fn filters_by_what_vouches_are_read_back() {
        for text in [
            "valid:team-1",
            "only:a b",
            "invalid:x",
            "closure:team-1",
            "closure",
        ] {
            let vouch: Vouch = text.parse().expect(text);
            assert_eq!(vouch.to_string(), text);
        }
        for text in ["", "valid", "valid:", "good:team-1", "closure:"] {
            assert!(text.parse::<Vouch>().is_err(), "{text}");
        }
    }
}

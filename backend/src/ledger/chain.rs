//! Whether the segments of a journal are whole, in order, and as they were written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::journal::{Place, Segment};
use super::memory::Head;

/// A segment as it was read.
#[derive(Debug, Clone)]
pub(super) struct ReadSegment {
    pub(super) instance: Box<str>,
    pub(super) number: u64,
    pub(super) content: Result<Content, String>,
}

/// A segment that opened.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) segment: Arc<Segment>,
    /// The SHA-256 of its JSON, in hex: of what was sealed, so that a new key changes nothing.
    pub(super) hash: String,
}

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// The chain, such as `audit/INSTANCE`.
    pub chain: String,
    /// The segment's number.
    pub number: u64,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Break {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "chain broken at {}/{}: {}",
            self.chain, self.number, self.what
        )
    }
}

/// Where the links between segments are broken. `heads` are ends that must be there, `whole`
/// whether every chain must begin at 0.
pub(super) fn breaks(
    place: &Place,
    segments: &[ReadSegment],
    heads: &BTreeMap<Box<str>, Head>,
    whole: bool,
) -> Vec<Break> {
    let mut chains: BTreeMap<&str, BTreeMap<u64, &ReadSegment>> = BTreeMap::new();
    for segment in segments {
        let chain = chains.entry(&segment.instance).or_default();
        chain.insert(segment.number, segment);
    }
    let mut breaks = Vec::new();
    for (instance, chain) in &chains {
        let name = place.chain(instance);
        let mut broken = |number: u64, what: String| {
            breaks.push(Break {
                chain: name.clone(),
                number,
                what,
            });
        };
        let mut expected = if whole {
            0
        } else {
            chain.keys().next().copied().unwrap_or_default()
        };
        let mut previous: Option<String> = (expected == 0).then(String::new);
        for (number, segment) in chain {
            if *number != expected {
                broken(expected, format!("{} segments are gone", number - expected));
                previous = None;
            }
            expected = number + 1;
            match &segment.content {
                Err(what) => {
                    broken(*number, what.clone());
                    previous = None;
                }
                Ok(content) => {
                    if previous.is_some_and(|previous| previous != content.segment.previous) {
                        broken(*number, "the segment before it is another one".to_owned());
                    }
                    previous = Some(content.hash.clone());
                }
            }
        }
    }
    if !whole {
        return breaks;
    }
    for (name, head) in heads {
        let Some(instance) = name.strip_prefix(&place.prefix()) else {
            continue;
        };
        let last = chains
            .get(instance)
            .and_then(|chain| chain.last_key_value());
        let what = match last {
            None => "the whole chain is gone".to_owned(),
            Some((number, _)) if *number < head.number => {
                format!("it ended at {} and ends at {number} now", head.number)
            }
            Some(_) => {
                let at_head = chains[instance].get(&head.number);
                match at_head.map(|segment| &segment.content) {
                    Some(Ok(content)) if content.hash != head.hash => {
                        "another segment was seen in its place".to_owned()
                    }
                    _ => continue,
                }
            }
        };
        breaks.push(Break {
            chain: name.to_string(),
            number: head.number,
            what,
        });
    }
    breaks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(instance: &str, numbers: std::ops::Range<u64>) -> Vec<ReadSegment> {
        let hash = |number: u64| format!("hash {number}");
        numbers
            .map(|number| ReadSegment {
                instance: instance.into(),
                number,
                content: Ok(Content {
                    segment: Arc::new(Segment {
                        number,
                        previous: number.checked_sub(1).map(hash).unwrap_or_default(),
                        entries: Vec::new(),
                    }),
                    hash: hash(number),
                }),
            })
            .collect()
    }

    fn found(segments: &[ReadSegment], head: u64) -> Vec<u64> {
        let heads = BTreeMap::from([(
            "audit/a".into(),
            Head {
                number: head,
                hash: format!("hash {head}"),
            },
        )]);
        let breaks = breaks(&Place::Audit, segments, &heads, true);
        breaks.iter().map(|it| it.number).collect()
    }

    #[test]
    fn a_whole_chain_has_no_break() {
        assert!(found(&chain("a", 0..5), 4).is_empty());
        // Longer than what was seen: another replica's memory is behind.
        assert!(found(&chain("a", 0..5), 2).is_empty());
    }

    #[test]
    fn gaps_cut_ends_and_other_segments_are_found_where_they_are() {
        let mut gap = chain("a", 0..5);
        gap.remove(2);
        assert_eq!(found(&gap, 4), [2]);
        assert_eq!(found(&chain("a", 1..5), 4), [0]);
        assert_eq!(found(&chain("a", 0..3), 4), [4]);
        assert_eq!(found(&[], 4), [4]);
        let mut altered = chain("a", 0..5);
        altered[3].content = Err("it does not verify".to_owned());
        assert_eq!(found(&altered, 4), [3]);
        let mut other = chain("a", 0..5);
        if let Ok(content) = &mut other[3].content {
            content.hash = "another".to_owned();
        }
        assert_eq!(found(&other, 4), [4]);
    }

    #[test]
    fn a_day_alone_may_begin_anywhere() {
        let breaks = breaks(&Place::Audit, &chain("a", 3..6), &BTreeMap::new(), false);
        assert!(breaks.is_empty());
    }
}

//! The steps of an upload by name, so that a test can kill the server at each of them.
//!
//! `SNOWBANK_TEST_STOP_AT=receipt` lets the first upload that comes to that step stand still there
//! for ever, `receipt:3` the third; the server logs that it does. What it leaves behind when it is
//! killed then is what a power cut at that moment leaves. The variable is read once, when the
//! server starts; without it a step costs one comparison.
//!
//! ```text
//!  PUT nar/…      begun ─ first-part ─ verified ─ parts ─ completed
//!  PUT …narinfo   judged ─ links ─ listing ─ receipt ─ narinfo ─ shown
//!  the same again merged ─ rewritten
//!  PUT log/…      log
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The bucket knows of an upload in parts and has none.
    Begun,
    /// The bucket has one part.
    FirstPart,
    /// All bytes came and are good; the last part or the small object was not sent.
    Verified,
    /// The bucket has every part, and no object.
    Parts,
    /// The archive is an object; nobody was told and nothing is remembered.
    Completed,
    /// A narinfo may be published; nothing of it was written.
    Judged,
    /// The debug links are written.
    Links,
    /// The listing is written.
    Listing,
    /// The receipt is written.
    Receipt,
    /// The narinfo is written, and the index knows nothing of it.
    Narinfo,
    /// The index shows it; nobody was told.
    Shown,
    /// A narinfo that is there gains signatures; it is not written.
    Merged,
    /// It is written, and the index shows the one before.
    Rewritten,
    /// A log is written; nobody was told.
    Log,
}

impl Step {
    const ALL: [Self; 14] = [
        Self::Begun,
        Self::FirstPart,
        Self::Verified,
        Self::Parts,
        Self::Completed,
        Self::Judged,
        Self::Links,
        Self::Listing,
        Self::Receipt,
        Self::Narinfo,
        Self::Shown,
        Self::Merged,
        Self::Rewritten,
        Self::Log,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::FirstPart => "first-part",
            Self::Verified => "verified",
            Self::Parts => "parts",
            Self::Completed => "completed",
            Self::Judged => "judged",
            Self::Links => "links",
            Self::Listing => "listing",
            Self::Receipt => "receipt",
            Self::Narinfo => "narinfo",
            Self::Shown => "shown",
            Self::Merged => "merged",
            Self::Rewritten => "rewritten",
            Self::Log => "log",
        }
    }
}

/// The step at which an upload is to stand still. Usually none.
#[derive(Debug, Clone, Default)]
pub(super) struct StopAt(Option<Arc<Planned>>);

#[derive(Debug)]
struct Planned {
    step: Step,
    /// Which upload that comes there, from 1.
    nth: u64,
    came: AtomicU64,
}

impl StopAt {
    /// What the environment asks for.
    pub(super) fn from_environment() -> Self {
        let Ok(text) = std::env::var("SNOWBANK_TEST_STOP_AT") else {
            return Self::default();
        };
        let planned = parse(&text);
        if planned.is_none() {
            tracing::error!(
                "SNOWBANK_TEST_STOP_AT names no step of an upload, and none will stand still"
            );
        }
        Self(planned.map(Arc::new))
    }

    /// An upload comes to this step.
    pub(super) async fn reached(&self, step: Step) {
        let Some(planned) = self.0.as_ref().filter(|planned| planned.step == step) else {
            return;
        };
        if planned.came.fetch_add(1, Ordering::Relaxed) + 1 == planned.nth {
            tracing::warn!(
                step = step.name(),
                "an upload stands still for ever, as SNOWBANK_TEST_STOP_AT asks"
            );
            std::future::pending::<()>().await;
        }
    }
}

fn parse(text: &str) -> Option<Planned> {
    let (name, nth) = match text.split_once(':') {
        Some((name, nth)) => (name, nth.parse().ok().filter(|nth| *nth > 0)?),
        None => (text, 1),
    };
    let step = Step::ALL.into_iter().find(|step| step.name() == name)?;
    Some(Planned {
        step,
        nth,
        came: AtomicU64::new(0),
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_upload_that_was_asked_for_stands_still_and_no_other() {
        let stop = StopAt(parse("receipt:2").map(Arc::new));
        let goes_on = |stop: &StopAt, step| stop.reached(step).now_or_never().is_some();
        assert!(goes_on(&stop, Step::Narinfo));
        assert!(goes_on(&stop, Step::Receipt), "the first");
        assert!(goes_on(&stop, Step::Narinfo));
        assert!(!goes_on(&stop, Step::Receipt), "the second");
        assert!(goes_on(&stop, Step::Receipt), "the third");
        assert!(goes_on(&StopAt::default(), Step::Receipt));
    }

    #[test]
    fn every_step_has_a_name_and_nothing_else_is_one() {
        for step in Step::ALL {
            assert_eq!(parse(step.name()).map(|planned| planned.step), Some(step));
        }
        for bad in ["", "receipts", "receipt:", "receipt:0", "receipt:x"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}

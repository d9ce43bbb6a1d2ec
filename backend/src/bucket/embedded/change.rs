//! On what conditions an object changes, and why it does not.

use std::io;

use rustix::io::Errno;

use super::version::Version;

/// What must hold of the present object for a write or removal to happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    #[default]
    Always,
    /// There is none.
    Absent,
    /// There is one.
    Present,
    /// There is one with this entity tag.
    Matches(String),
    /// There is none with this entity tag.
    Differs(String),
}

/// Why an object was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The condition did not hold.
    #[error("the condition does not hold for the present object")]
    ConditionFailed,
    /// The condition speaks of an object that is not there.
    #[error("there is no such object")]
    NoObject,
    /// A file stands where the key needs a folder, or a folder where it needs a file.
    #[error("\"{part}\" is {found}, and in a folder a name cannot be both a file and a folder")]
    Clash {
        /// The path that stands in the way.
        part: String,
        /// What it is.
        found: &'static str,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Errno> for ChangeError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// Judges a condition against the present object.
///
/// # Errors
/// [`ChangeError::ConditionFailed`] or [`ChangeError::NoObject`].
pub fn check(condition: &Condition, present: Option<&Version>) -> Result<(), ChangeError> {
    let tag = present.map(Version::etag);
    match (condition, tag) {
        (Condition::Always, _)
        | (Condition::Absent | Condition::Differs(_), None)
        | (Condition::Present, Some(_)) => Ok(()),
        (Condition::Matches(wanted), Some(tag)) if *wanted == tag => Ok(()),
        (Condition::Differs(unwanted), Some(tag)) if *unwanted != tag => Ok(()),
        (Condition::Matches(_) | Condition::Present, None) => Err(ChangeError::NoObject),
        (Condition::Absent | Condition::Matches(_) | Condition::Differs(_), Some(_)) => {
            Err(ChangeError::ConditionFailed)
        }
    }
}

//! How long the live check waits.

use std::time::Duration;

use super::ConfigError;
use super::reader::Table;

/// The periods of the live check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LivePeriods {
    /// After the narinfo: a machine that has not fetched the NAR by then does not trust the key.
    pub quiet: Duration,
    /// After the start: who has not asked by then is not configured.
    pub silence: Duration,
}

impl Default for LivePeriods {
    fn default() -> Self {
        Self {
            quiet: Duration::from_secs(5),
            silence: Duration::from_secs(60),
        }
    }
}

impl LivePeriods {
    pub(super) fn read(mut table: Table) -> Result<Self, ConfigError> {
        let mut periods = Self::default();
        let second = Duration::from_secs(1);
        if let Some(given) = table.take("quiet")? {
            periods.quiet = given.duration(second, 60 * second)?;
        }
        if let Some(given) = table.take("silence")? {
            periods.silence = given.duration(second, 600 * second)?;
        }
        table.finish()?;
        Ok(periods)
    }
}

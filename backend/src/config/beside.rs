//! What others write about a bucket, and where it lies: access logs and inventories.

use super::place::read_place;
use super::reader::Table;
use super::{ConfigError, Source, take};

/// Access logs of a cache's bucket, or of a CDN before it.
#[derive(Debug, Clone)]
pub struct AccessLogs {
    /// Where they lie; the prefix is what their names begin with, as the log service has it.
    pub source: Source,
    /// How they are written.
    pub format: LogFormat,
    /// What the CDN asks.
    pub origin: LogOrigin,
}

/// How access logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// S3 server access logs.
    S3,
    /// Standard logs of CloudFront.
    Cloudfront,
}

/// What a CDN asks for what it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOrigin {
    /// The bucket.
    Bucket,
    /// This server, which counts that itself.
    Server,
}

/// Reads where inventories lie; an empty table is none.
pub(super) fn read_inventory(mut table: Table) -> Result<Option<Source>, ConfigError> {
    let (place, _) = read_place(&mut table)?;
    table.finish()?;
    place
}

impl AccessLogs {
    /// Reads the table; an empty one is none.
    pub(super) fn read(mut table: Table) -> Result<Option<Self>, ConfigError> {
        let key = table.key().to_owned();
        let (place, _) = read_place(&mut table)?;
        let format = take(&mut table, "format", |given| {
            given.word(&[("s3", LogFormat::S3), ("cloudfront", LogFormat::Cloudfront)])
        })?;
        let origin = take(&mut table, "origin", |given| {
            given.word(&[("bucket", LogOrigin::Bucket), ("server", LogOrigin::Server)])
        })?;
        table.finish()?;
        let Some(source) = place? else {
            return match format.is_some() || origin.is_some() {
                false => Ok(None),
                true => Err(ConfigError::Missing {
                    key: format!("{key}.bucket"),
                    needed: "the name of the bucket that the logs lie in (or `folder`)".into(),
                }),
            };
        };
        let format = format.ok_or(ConfigError::Missing {
            key: format!("{key}.format"),
            needed: "how the logs are written: `s3` or `cloudfront`".into(),
        })?;
        if format == LogFormat::S3 && origin == Some(LogOrigin::Server) {
            return Err(ConfigError::Conflict(format!(
                "`{key}.origin` is `server`, which a CDN asks: logs of a bucket are written by the bucket"
            )));
        }
        Ok(Some(Self {
            source,
            format,
            origin: origin.unwrap_or(LogOrigin::Bucket),
        }))
    }
}

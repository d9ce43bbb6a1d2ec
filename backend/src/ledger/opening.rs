//! Opening a state area: whose it is, what may be done there, and why not.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;

use super::format::{self, FORMAT, Format, FormatError};
use super::refresh::RECORDS;
use super::seal::{SealError, Sealer};
use super::store::When;
use super::upkeep::Due;
use super::write::fresh_id;
use super::{Area, Ledger, LedgerError, lock};
use crate::bucket::{BucketError, BucketErrorKind, Capabilities};

/// What the ledger can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The area is being opened.
    Opening {
        /// What went wrong at the last try.
        problem: Option<String>,
    },
    /// Read and written.
    Open,
    /// Read, and not written by this process.
    ReadOnly(ReadOnly),
    /// Nothing is believed and nothing written.
    Refused(Refusal),
}

/// Why this process does not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadOnly {
    /// A newer version writes here.
    NewerFormat,
    /// The credentials may not write.
    NoPermission(String),
    /// The store ignores conditional writes, and another server writes.
    OtherWriter(String),
    /// The store ignores conditional writes, and it is not yet sure that no other writes.
    AwaitingPen,
    /// The store ignores conditional writes, and another took this process for dead.
    PenLost,
}

/// Why the area is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Anybody can read it.
    OpenToAnyone,
    /// It is sealed under another secret.
    OtherSecret(String),
    /// A newer version reads here.
    NewerFormat,
    /// It is another server's.
    OtherServer {
        /// The server that this data folder belonged to.
        ours: String,
        /// The server whose area it is.
        theirs: String,
    },
    /// `format.json` is gone or is not ours.
    Format(String),
    /// The area is empty, and was not.
    Emptied,
    /// A new area, which the credentials may not write.
    NoPermission(String),
    /// The store ignores conditional writes, and this process writes already.
    SecondWriter(String),
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening { problem: None } => f.write_str("the state area is being opened"),
            Self::Opening {
                problem: Some(problem),
            } => {
                write!(f, "the state area cannot be opened yet: {problem}")
            }
            Self::Open => f.write_str("the state area is open"),
            Self::ReadOnly(reason) => write!(f, "the state is read-only here: {reason}"),
            Self::Refused(reason) => write!(f, "the state area is not used: {reason}"),
        }
    }
}

impl fmt::Display for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewerFormat => f.write_str(
                "a newer version of Snowbank writes there; bring this server to that version",
            ),
            Self::OtherWriter(url) => write!(
                f,
                "its store ignores conditional writes, so that one server writes: {url}"
            ),
            Self::AwaitingPen => f.write_str(
                "its store ignores conditional writes, so that one server writes; waiting until it is sure that no other does",
            ),
            Self::PenLost => f.write_str(
                "its store ignores conditional writes, and another server took over while this one did not answer; restart it",
            ),
            Self::NoPermission(error) => write!(
                f,
                "these credentials may not write it ({error}); allow it, or name another place with [state]"
            ),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenToAnyone => f.write_str(
                "anybody can read it without credentials; name a private bucket with [state] bucket, or deny \
                 s3:GetObject on its prefix to everybody else in the bucket's policy",
            ),
            Self::OtherSecret(what) => write!(
                f,
                "{what}; put the secret that it was sealed with back into the secret file, as a further line, and start again"
            ),
            Self::NewerFormat => f.write_str(
                "only a newer version of Snowbank can read it; bring this server to that version",
            ),
            Self::OtherServer { ours, theirs } => write!(
                f,
                "it belongs to the server {theirs}, and this data folder to {ours}; check [state], or start with a data folder of its own"
            ),
            Self::Format(what) => write!(
                f,
                "its format.json {what}; put it back from a backup of the bucket"
            ),
            Self::Emptied => f.write_str(
                "it is empty, and this server's was not; check [state] and the bucket. To begin anew, remove the folder `ledger` from the data folder",
            ),
            Self::SecondWriter(instance) => write!(
                f,
                "its store ignores conditional writes, so that only one server may write, and {instance} does; \
                 set state.writer to that server's URL here, or stop it"
            ),
            Self::NoPermission(error) => write!(
                f,
                "there is none yet, and it cannot be made ({error}); allow writing below its prefix, or name another bucket with [state] bucket"
            ),
        }
    }
}

/// Why an area could not be opened for now, or at all.
enum Trouble {
    Later(String),
    Refused(Refusal),
}

impl From<BucketError> for Trouble {
    fn from(error: BucketError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<LedgerError> for Trouble {
    fn from(error: LedgerError) -> Self {
        Self::Later(error.to_string())
    }
}

impl Ledger {
    /// Opens, then looks again and again, until the ledger is closed.
    pub(super) async fn live(self) {
        let stop = self.0.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.open_and_follow() => {}
        }
    }

    async fn open_and_follow(&self) {
        loop {
            match self.open_once().await {
                Ok(phase) => {
                    tracing::info!(location = self.location(), %phase, "the ledger");
                    if phase == Phase::ReadOnly(ReadOnly::AwaitingPen) {
                        let pen = self.clone();
                        let stop = self.0.stop.clone();
                        self.0.tasks.spawn(async move {
                            tokio::select! {
                                () = stop.cancelled() => {}
                                () = pen.hold_pen() => {}
                            }
                        });
                    }
                    self.0.phase.send_replace(phase);
                    break;
                }
                Err(Trouble::Later(problem)) => {
                    let again = Phase::Opening {
                        problem: Some(problem),
                    };
                    self.say(&again);
                    tokio::time::sleep(self.0.params.pace.retry).await;
                }
                Err(Trouble::Refused(reason)) => {
                    self.say(&Phase::Refused(reason));
                    // Most of it is mended outside, and shows by itself.
                    tokio::time::sleep(self.0.params.pace.retry * 4).await;
                }
            }
        }
        self.follow().await;
    }

    /// Looks in time, for ever.
    async fn follow(&self) {
        let pace = self.0.params.pace;
        let mut failing = false;
        let mut due = Due::default();
        loop {
            tokio::time::sleep(pace.look).await;
            let looked = tokio::time::timeout(pace.lost, self.look()).await;
            let error = match looked {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("looking took too long".to_owned()),
            };
            match error {
                Some(error) if !failing => {
                    tracing::warn!(%error, "the ledger cannot be read");
                    failing = true;
                }
                None if failing => {
                    tracing::info!("the ledger can be read again");
                    failing = false;
                }
                _ => {}
            }
            self.upkeep(&mut due).await;
            self.remember();
        }
    }

    /// Says what is the matter, once.
    pub(super) fn say(&self, phase: &Phase) {
        let changed = self.0.phase.send_if_modified(|known| {
            let differs = known != phase;
            known.clone_from(phase);
            differs
        });
        if changed {
            tracing::warn!(location = self.location(), %phase, "the ledger");
        }
    }

    async fn open_once(&self) -> Result<Phase, Trouble> {
        let store = &self.0.params.store;
        let secret = &self.0.params.secret;
        let format = match store.get(format::KEY).await? {
            Some(stored) => self.read_format(&stored.bytes)?,
            None => self.make_format().await?,
        };
        let ours = lock(&self.0.memory).server.clone();
        if !ours.is_empty() && ours != format.server {
            return Err(Trouble::Refused(Refusal::OtherServer {
                ours,
                theirs: format.server,
            }));
        }
        if format.read > FORMAT {
            return Err(Trouble::Refused(Refusal::NewerFormat));
        }
        if store.open_to_anyone(format::KEY).await? {
            return Err(Trouble::Refused(Refusal::OpenToAnyone));
        }
        let mut phase = Phase::Open;
        let mut capabilities = Capabilities {
            create_if_absent: false,
            replace_if_unchanged: false,
        };
        if format.write > FORMAT {
            phase = Phase::ReadOnly(ReadOnly::NewerFormat);
        } else {
            match store.probe(&format!("probe/{}", self.instance())).await {
                Ok(found) => capabilities = found,
                Err(error) if is_denied(&error) => {
                    phase = Phase::ReadOnly(ReadOnly::NoPermission(error.to_string()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        {
            let mut memory = lock(&self.0.memory);
            memory.dirty |= memory.server != format.server;
            memory.server.clone_from(&format.server);
        }
        let area = Area {
            sealer: Sealer::new(secret.clone(), &format.server),
            server: format.server,
            capabilities,
        };
        if phase == Phase::Open && !area.heeds_conditions() {
            phase = Phase::ReadOnly(match &self.0.params.writer {
                Some(url) => ReadOnly::OtherWriter(url.clone()),
                None => ReadOnly::AwaitingPen,
            });
        }
        // A second opening of the same process finds the first one's area.
        let _ = self.0.open.set(area);
        // What the others remember comes before the first listing, so that it is held against it.
        self.learn().await?;
        tokio::time::timeout(Duration::from_secs(60), self.look())
            .await
            .map_err(|_| Trouble::Later("reading it took too long".to_owned()))??;
        Ok(phase)
    }

    /// Looks again at who may read and write the area: a newer version may have come, somebody
    /// may have opened the bucket to everybody, or closed it again.
    pub(super) async fn look_at_area(&self) {
        let store = &self.0.params.store;
        let now = self.0.phase.borrow().clone();
        // Others come of the pen, or need a restart.
        let by_area = matches!(
            now,
            Phase::Open | Phase::ReadOnly(ReadOnly::NewerFormat) | Phase::Refused(_)
        );
        let Ok(Some(stored)) = store.get(format::KEY).await else {
            return;
        };
        let found = match self.read_format(&stored.bytes) {
            Err(Trouble::Refused(refusal)) => Phase::Refused(refusal),
            Err(Trouble::Later(_)) => return,
            Ok(format) if format.read > FORMAT => Phase::Refused(Refusal::NewerFormat),
            Ok(format) if Some(format.server.as_str()) != self.server() => {
                Phase::Refused(Refusal::OtherServer {
                    ours: self.server().unwrap_or_default().to_owned(),
                    theirs: format.server,
                })
            }
            Ok(format) => match store.open_to_anyone(format::KEY).await {
                Err(_) => return,
                Ok(true) => Phase::Refused(Refusal::OpenToAnyone),
                Ok(false) if format.write > FORMAT => Phase::ReadOnly(ReadOnly::NewerFormat),
                Ok(false) => Phase::Open,
            },
        };
        if by_area && !matches!(now, Phase::Refused(Refusal::SecondWriter(_))) {
            self.say(&found);
        }
    }

    fn read_format(&self, bytes: &[u8]) -> Result<Format, Trouble> {
        let store = &self.0.params.store;
        let read = Format::read(bytes, store.prefix(), &self.0.params.secret);
        read.map(|(format, _)| format).map_err(|error| {
            Trouble::Refused(match error {
                FormatError::NotOurs(what) => Refusal::Format(format!("is not ours: {what}")),
                FormatError::Seal(error @ SealError::UnknownKey { .. }) => {
                    Refusal::OtherSecret(error.to_string())
                }
                FormatError::Seal(error) => Refusal::Format(format!("was altered: {error}")),
            })
        })
    }

    /// Makes a new area, where there is none and never was one.
    async fn make_format(&self) -> Result<Format, Trouble> {
        let store = &self.0.params.store;
        if !store.list(RECORDS).await?.is_empty() {
            let what = "is gone, and there are records".to_owned();
            return Err(Trouble::Refused(Refusal::Format(what)));
        }
        if !lock(&self.0.memory).server.is_empty() {
            return Err(Trouble::Refused(Refusal::Emptied));
        }
        if let Some(doubt) = &self.0.params.doubt {
            return Err(Trouble::Later(doubt.clone()));
        }
        let denied = |error: BucketError| match is_denied(&error) {
            true => Trouble::Refused(Refusal::NoPermission(error.to_string())),
            false => error.into(),
        };
        // Something that may be seen, before anything that may not.
        let probe = format!("probe/{}", self.instance());
        let text = Bytes::from_static(b"snowbank looks whether strangers can read this\n");
        store
            .put(&probe, text, &When::Always)
            .await
            .map_err(denied)?;
        let seen = store.open_to_anyone(&probe).await;
        store.delete(&probe).await?;
        if seen? {
            return Err(Trouble::Refused(Refusal::OpenToAnyone));
        }
        let server = fresh_id().map_err(LedgerError::from)?;
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let bytes = Format::new(&server, now)
            .to_bytes(store.prefix(), &self.0.params.secret)
            .map_err(LedgerError::from)?;
        match store.put(format::KEY, bytes.into(), &When::Absent).await {
            Ok(_) => {}
            Err(error) if error.kind() == BucketErrorKind::PreconditionFailed => {}
            Err(error) => return Err(denied(error)),
        }
        // Another replica may have been faster: what lies there counts.
        match store.get(format::KEY).await? {
            Some(stored) => self.read_format(&stored.bytes),
            None => Err(Trouble::Later(
                "format.json was written and is not there".to_owned(),
            )),
        }
    }

    /// Writes what is remembered, where something was learnt.
    pub(super) fn remember(&self) {
        let Some(path) = &self.0.params.memory else {
            return;
        };
        let memory = {
            let mut memory = lock(&self.0.memory);
            if !std::mem::take(&mut memory.dirty) {
                return;
            }
            memory.clone()
        };
        if let Err(error) = memory.write(path) {
            lock(&self.0.memory).dirty = true;
            tracing::warn!(file = %path.display(), %error, "what the ledger remembers could not be written");
        }
    }
}

fn is_denied(error: &BucketError) -> bool {
    matches!(
        error.kind(),
        BucketErrorKind::AccessDenied { .. } | BucketErrorKind::BadCredentials
    )
}

//! What other caches have: asked when somebody looks for a path that is not here.
//!
//! One small GET of the narinfo at each upstream that the cache's configuration names, under
//! the rules of [`crate::outbound`]. Several who ask for one path share one request, answers
//! are remembered, and only so many requests are under way or waiting: a visitor cannot make
//! this server flood another one. Who only looks has a small share of that, so that visitors
//! do not keep uploads from being judged. An upstream that does not answer makes the answer
//! *unknown*, never *absent*.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, join_all};
use http::StatusCode;
use snowbank_shared::api::{Presence, UpstreamAnswer};
use snowbank_shared::cache_info::{self, CacheInfo};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::{PublicKey, Signature};
use snowbank_shared::store_path::{StoreDir, StorePathHash};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Semaphore;

use crate::config::UpstreamMode;
use crate::outbound::{Outbound, OutboundError};

/// How long a caller waits; the question goes on and its answer is remembered.
const PATIENCE: Duration = Duration::from_secs(6);
/// Requests under way at once for who only looks.
const LOOKING_AT_ONCE: usize = 2;
/// Requests under way and waiting at most for who only looks: one whole look-up.
const MOST_LOOKING: usize = 200;
/// Requests under way at once for uploads.
const UPLOADING_AT_ONCE: usize = 6;
/// Requests under way and waiting at most for uploads.
const MOST_UPLOADING: usize = 800;
/// Answers remembered at most.
const MOST_REMEMBERED: usize = 50_000;

/// How long an answer is believed. Paths that are there stay; what is missing may come.
const fn remembered(presence: Presence) -> Duration {
    match presence {
        Presence::Present => Duration::from_secs(3600),
        Presence::Absent => Duration::from_secs(300),
        Presence::Unknown => Duration::from_secs(10),
    }
}

/// The upstreams of one cache.
pub struct Upstreams(Arc<Asking>);

struct Asking {
    upstreams: Vec<Upstream>,
    store_dir: StoreDir,
    outbound: Outbound,
    answers: Mutex<HashMap<(usize, StorePathHash), Asked>>,
    looking: Share,
    uploading: Share,
}

/// For whom a question is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Who only looks: anybody who may read the cache.
    Looking,
    /// An upload, which waits for the answer.
    Uploading,
}

/// How many questions may be under way, and waiting.
struct Share {
    slots: Semaphore,
    waiting: AtomicUsize,
    most: usize,
}

impl Share {
    fn new(at_once: usize, most: usize) -> Self {
        Self {
            slots: Semaphore::new(at_once),
            waiting: AtomicUsize::new(0),
            most,
        }
    }
}

/// A cache that has what this one lacks.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Its substituter URL.
    pub url: String,
    /// The keys by which its signatures are believed.
    pub keys: Vec<PublicKey>,
    /// What becomes of an upload that it has too.
    pub mode: UpstreamMode,
}

/// What one upstream says of a path.
#[derive(Debug, Clone)]
pub struct Held {
    /// The upstream's URL, as configured.
    pub url: String,
    /// What it has.
    pub holding: Holding,
}

/// What an upstream has of a path, by its narinfo.
#[derive(Debug, Clone)]
pub enum Holding {
    /// The path, described by this narinfo, which a key of the upstream has signed.
    Signed(Arc<NarInfo>),
    /// The path, without a signature that we can check.
    Unsigned,
    /// Nothing.
    Absent,
    /// It did not say, for this reason.
    Unknown(String),
}

/// An answer, with the narinfo that it is taken from.
#[derive(Debug, Clone)]
struct Looked {
    answer: UpstreamAnswer,
    narinfo: Option<Arc<NarInfo>>,
}

impl From<UpstreamAnswer> for Looked {
    fn from(answer: UpstreamAnswer) -> Self {
        Self {
            answer,
            narinfo: None,
        }
    }
}

type Answering = Shared<BoxFuture<'static, Looked>>;

struct Asked {
    answer: Answering,
    at: Instant,
    whose: For,
}

impl Asked {
    /// Under way, or answered a while ago at most.
    fn is_fresh(&self) -> bool {
        match self.answer.peek() {
            None => true,
            Some(looked) => self.at.elapsed() < remembered(looked.answer.presence),
        }
    }

    /// Whether it is soon answered for these too: an upload does not wait in the visitors' queue.
    fn serves(&self, whose: For) -> bool {
        whose == For::Looking || self.whose == For::Uploading || self.answer.peek().is_some()
    }
}

impl Upstream {
    /// Whether what it has is not uploaded here.
    pub fn is_virtual(&self) -> bool {
        self.mode == UpstreamMode::Virtual
    }
}

impl Upstreams {
    /// These upstreams, whose paths lie in this store directory.
    pub fn new(upstreams: Vec<Upstream>, store_dir: StoreDir, outbound: Outbound) -> Self {
        Self(Arc::new(Asking {
            upstreams,
            store_dir,
            outbound,
            answers: Mutex::default(),
            looking: Share::new(LOOKING_AT_ONCE, MOST_LOOKING),
            uploading: Share::new(UPLOADING_AT_ONCE, MOST_UPLOADING),
        }))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.upstreams.is_empty()
    }

    /// Their URLs, in the order of the configuration.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.0
            .upstreams
            .iter()
            .map(|upstream| upstream.url.as_str())
    }

    /// Asks every upstream for a path, in the order of the configuration, for who only looks.
    /// Takes a few seconds at most.
    pub async fn ask(&self, hash: StorePathHash) -> Vec<UpstreamAnswer> {
        let numbers = 0..self.0.upstreams.len();
        let answers = numbers.map(|number| self.answer(number, hash, For::Looking));
        let looked = join_all(answers).await;
        looked.into_iter().map(|looked| looked.answer).collect()
    }

    /// The upstreams, in the order of the configuration.
    pub fn all(&self) -> &[Upstream] {
        &self.0.upstreams
    }

    /// Whether one of them has what is then not uploaded here.
    pub fn any_virtual(&self) -> bool {
        self.0.upstreams.iter().any(Upstream::is_virtual)
    }

    /// What each says of itself, by its URL; `None` where it did not answer with what Nix could read.
    /// Asks all at once: for who asks seldom.
    pub async fn infos(&self) -> Vec<(&str, Option<CacheInfo>)> {
        let asked = self.0.upstreams.iter().map(async |upstream| {
            let url = format!("{}/{}", upstream.url.trim_end_matches('/'), cache_info::KEY);
            let info = match self.0.outbound.get(&url).await {
                Ok(bytes) => CacheInfo::parse(&bytes).ok(),
                Err(error) => {
                    tracing::debug!(url, %error, "an upstream does not say what it is");
                    None
                }
            };
            (&*upstream.url, info)
        });
        join_all(asked).await
    }

    /// What every upstream that has keys says of a path, for an upload. Others cannot be checked.
    pub async fn holdings(&self, hash: StorePathHash) -> Vec<Held> {
        self.holdings_of(hash, |_| true).await
    }

    /// The same, of those that are chosen.
    pub async fn holdings_of(
        &self,
        hash: StorePathHash,
        chosen: impl Fn(&Upstream) -> bool,
    ) -> Vec<Held> {
        self.held(hash, For::Uploading, chosen).await
    }

    /// What [`holdings`](Self::holdings) tells, for who only looks.
    pub async fn holdings_to_show(&self, hash: StorePathHash) -> Vec<Held> {
        self.held(hash, For::Looking, |_| true).await
    }

    async fn held(
        &self,
        hash: StorePathHash,
        whose: For,
        chosen: impl Fn(&Upstream) -> bool,
    ) -> Vec<Held> {
        let asked = self.0.upstreams.iter().enumerate();
        let asked = asked.filter(|(_, upstream)| !upstream.keys.is_empty() && chosen(upstream));
        let answers = asked.map(|(number, upstream)| async move {
            let looked = self.answer(number, hash, whose).await;
            Held {
                url: upstream.url.clone(),
                holding: holding(looked, &upstream.keys),
            }
        });
        join_all(answers).await
    }

    async fn answer(&self, number: usize, hash: StorePathHash, whose: For) -> Looked {
        let Some(asked) = self.join(number, hash, whose) else {
            return self
                .0
                .unknown(number, "too many questions are waiting")
                .into();
        };
        tokio::time::timeout(PATIENCE, asked)
            .await
            .unwrap_or_else(|_| self.0.unknown(number, "it has not answered yet").into())
    }

    /// Joins the question, or begins it. On a task of its own: who leaves does not end it for
    /// the others.
    fn join(&self, number: usize, hash: StorePathHash, whose: For) -> Option<Answering> {
        let mut answers = self
            .0
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = answers.get(&(number, hash))
            && asked.is_fresh()
            && asked.serves(whose)
        {
            return Some(asked.answer.clone());
        }
        let share = self.0.share(whose);
        if share.waiting.load(Ordering::Relaxed) >= share.most {
            return None;
        }
        if answers.len() >= MOST_REMEMBERED {
            answers.retain(|_, asked| asked.is_fresh());
            if answers.len() >= MOST_REMEMBERED {
                answers.clear();
            }
        }
        share.waiting.fetch_add(1, Ordering::Relaxed);
        let asking = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            let share = asking.share(whose);
            let _slot = share.slots.acquire().await;
            let answer = asking.look(number, hash).await;
            share.waiting.fetch_sub(1, Ordering::Relaxed);
            answer
        });
        let asking = Arc::clone(&self.0);
        let answer = async move {
            task.await
                .unwrap_or_else(|_| asking.unknown(number, "asking it failed").into())
        };
        let answer = answer.boxed().shared();
        let asked = Asked {
            answer: answer.clone(),
            at: Instant::now(),
            whose,
        };
        answers.insert((number, hash), asked);
        Some(answer)
    }
}

impl Asking {
    const fn share(&self, whose: For) -> &Share {
        match whose {
            For::Looking => &self.looking,
            For::Uploading => &self.uploading,
        }
    }

    async fn look(&self, number: usize, hash: StorePathHash) -> Looked {
        let url = format!(
            "{}/{hash}.narinfo",
            self.upstreams[number].url.trim_end_matches('/')
        );
        let bytes = match self.outbound.get(&url).await {
            Ok(bytes) => bytes,
            // An S3 bucket that cannot be listed says 403 of what it does not have, and Nix
            // takes that for a miss too.
            Err(OutboundError::Status {
                status: StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN,
                ..
            }) => {
                return self.of(number, Presence::Absent).into();
            }
            Err(error) => return self.unknown(number, &error.to_string()).into(),
        };
        match NarInfo::parse(&bytes, &self.store_dir) {
            Ok(narinfo) if narinfo.store_path().hash() == hash => Looked {
                answer: UpstreamAnswer {
                    name: Some(narinfo.store_path().name().to_owned()),
                    nar_size: Some(narinfo.nar_size()),
                    file_size: narinfo.file_size(),
                    ..self.of(number, Presence::Present)
                },
                narinfo: Some(Arc::new(narinfo)),
            },
            _ => self
                .unknown(number, "it answered with what is not this path's narinfo")
                .into(),
        }
    }

    fn of(&self, number: usize, presence: Presence) -> UpstreamAnswer {
        UpstreamAnswer {
            url: self.upstreams[number].url.clone(),
            presence,
            reason: None,
            name: None,
            nar_size: None,
            file_size: None,
            checked_at: OffsetDateTime::now_utc()
                .replace_nanosecond(0)
                .ok()
                .and_then(|now| now.format(&Rfc3339).ok())
                .unwrap_or_default(),
        }
    }

    fn unknown(&self, number: usize, reason: &str) -> UpstreamAnswer {
        UpstreamAnswer {
            reason: Some(reason.to_owned()),
            ..self.of(number, Presence::Unknown)
        }
    }
}

/// What an answer is worth: only what the upstream signed is its word.
fn holding(looked: Looked, keys: &[PublicKey]) -> Holding {
    let narinfo = match (looked.answer.presence, looked.narinfo) {
        (Presence::Absent, _) => return Holding::Absent,
        (_, Some(narinfo)) => narinfo,
        (_, None) => return Holding::Unknown(looked.answer.reason.unwrap_or_default()),
    };
    let fingerprint = narinfo.fingerprint();
    let signed = narinfo.signatures().any(|text| {
        text.parse::<Signature>().is_ok_and(|parts| {
            keys.iter().any(|key| {
                key.name() == parts.key_name()
                    && key.verifies(fingerprint.as_bytes(), parts.bytes())
            })
        })
    });
    if signed {
        Holding::Signed(narinfo)
    } else {
        Holding::Unsigned
    }
}

//! Taking uploads: what arrives is verified, then published; nothing else is.
//!
//! ```text
//!                       PUT nar/…                                   PUT HASH.narinfo
//!  nix copy ──▶ receive ─┬─▶ parts of an uncompleted upload         judge: strict form, the archive's
//!                        │      completed only when all is well      facts, references, signature or
//!                        └─▶ examine, on a thread: FileHash,         content address, upstream
//!                             decompress, NAR form, NarHash,            │
//!                             listing, what it names ──▶ facts ────────▶│
//!                                                                    publish: .ls, receipt, counter-
//!                                                                    signature, narinfo, index
//! ```
//!
//! **Who.** A token or session that may upload, checked before a byte of the body is read and again
//! at the moment of publishing. The key that signed must be the uploader's own, active, and for this
//! cache, name and size ([`crate::auth::Contributor`]); a key that an upstream of the cache's
//! configuration is known by will do as well, and so will a content address of SHA-256, whose content
//! was hashed here.
//!
//! **Who plans first** gets a session ([`session`]): it says what will happen before a byte is sent,
//! takes large archives in parts, goes on after what broke, and ends in a receipt.
//!
//! **A NAR in transit** does not exist: up to 8 MiB it is in memory, beyond that in an upload that is
//! not completed. It is completed when its hash is its name and its form is right. Without a narinfo
//! it is nobody's; only its uploader is told that it is there ([`Intake::held`]), and only their narinfo
//! may name it ([`ownership`]). What was found out
//! about it is remembered ([`pending`]); what was forgotten, or lies in the bucket already, is found
//! out again from the bucket.
//!
//! **A narinfo is written last**, only where there is none, and the index shows it before the answer.
//! For a path that is there with the same NAR a PUT adds the signatures that verify, and changes no
//! other byte; with another NAR it is 409 and the first stays.
//!
//! Of that one a report stays, with the files in which the two differ ([`conflict`]).
//!
//! **What waits.** The cache's policy ([`policy`]) may want people or other builders to agree, an
//! upstream may not answer, a reference may wait itself: then the answer is 200 too, readers get 404,
//! and the ledger keeps the narinfo ([`waiting`]) until it is published, by the same judgement and the
//! same way as any other, or decided otherwise.
//!
//! **Upstreams.** What one of them has signed under the same path has to be the same. What a virtual one
//! has is not taken at all ([`elsewhere`]); what a path refers to may lie there, or on one that the
//! policy names ([`upstream`]).
//!
//! **Whose signature.** The cache adds its own to what it publishes, or by its policy none
//! ([`SigningMode`]); one that should and has no key publishes only what needs none. What others wrote
//! into the bucket never gets one here.
//!
//! **Answers** are 200, or a 4xx with one line of less than 1 kB, which Nix shows to its user
//! (PROTOCOL.md §11). A bucket that fails is a 424, not a 5xx: old clients would send the rest of
//! an exhausted body until somebody hangs up.
//!
//! **Bounds.** Bytes by the cache's `max_nar_size`, its `max_bytes` ([`quota`]) and 2,000 times what came; uploads
//! at once by [`UPLOADS`]; decoders at work by the number of cores less one: a thread that waits for its
//! client does not count. Windows of decoders are bounded by [`codec`].
//!
//! **A kill** between any two steps leaves nothing half to be seen; [`step`] names them, and a test
//! kills the server at each.

mod body;
mod check;
pub mod codec;
pub mod conflict;
mod content;
mod elsewhere;
mod examine;
mod judge;
mod log_owner;
mod narinfo;
mod ownership;
mod pending;
mod policy;
mod publish;
mod quota;
mod realisation;
mod receive;
mod refusal;
mod session;
mod side;
mod sink;
mod skipped;
mod standing;
mod step;
mod stored;
mod upstream;
pub mod waiting;

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HeaderValue,
};
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::Incoming;
use tokio::sync::Semaphore;

pub use check::{Checked, Checker};
pub use elsewhere::may_be_asked;
pub use policy::{SigningMode, UploadPolicy};
pub use refusal::Refusal;
pub use session::{
    GRACE, HeadState, LIFE, MOST_IN_CACHE, MOST_OPEN, PathRecord, SessionError, SessionHead,
    UploadRecord, count_open,
};
pub use skipped::{SkippedRecord, skipped};

use crate::auth::{self, Act, Caller, Stranger};
use crate::site::{Cache, Site};
use crate::substituter::key::{self, Wanted};
use crate::web::{Body, RequestId, Response, headers};
use body::Upload;
use examine::Gate;
use pending::Pending;
use quota::Held;
use session::Sessions;
use sink::UnderWay;
use skipped::Noted;
use standing::Standing;
use step::StopAt;
use waiting::Tries;

/// Uploads at once, of all caches: each holds a thread and two parts of 8 MiB at most.
pub const UPLOADS: usize = 32;

/// What takes uploads. Cloning is cheap.
#[derive(Clone)]
pub struct Intake(Arc<Inner>);

struct Inner {
    site: Arc<Site>,
    /// Archives that arrived and no narinfo names yet.
    pending: Pending,
    /// Room for archives that come.
    arriving: Held,
    /// Room for paths that are published.
    publishing: Held,
    /// Threads that decode at this moment.
    gate: Gate,
    /// Uploads under way.
    uploads: Arc<Semaphore>,
    /// When what waits is looked at again.
    tries: Tries,
    /// What upstreams have and nobody has to send.
    skipped: Noted,
    /// Held by who reads all receipts of a cache.
    receipts: tokio::sync::Mutex<()>,
    /// Comparisons of builds, one at a time.
    comparisons: Arc<Semaphore>,
    /// One hold of it for each that waits or is made.
    comparing: Arc<()>,
    /// Uploads in parts that are not completed and somebody here works on.
    under_way: UnderWay,
    /// Sessions, beside their records.
    sessions: Sessions,
    /// Where a test wants one to stand still.
    stop_at: StopAt,
}

/// Who sends something, to which cache.
struct Sender<'a> {
    cache: &'a Arc<Cache>,
    request: &'a Parts,
    caller: Caller,
    id: RequestId,
    client: IpAddr,
}

impl Sender<'_> {
    /// Whose uploads these are: the member's, whichever token they use, or the machine's.
    fn owner(&self) -> String {
        owner(&self.caller)
    }

    /// The same, without the request.
    fn standing(&self) -> Standing<'_> {
        let token = match &self.caller {
            Caller::Token(token) => Some(token),
            Caller::Member(_) | Caller::Stranger(_) => None,
        };
        Standing {
            cache: self.cache,
            owner: self.owner(),
            token: token.map(|token| token.id.clone()),
            trust_rule: token.and_then(|token| token.rule.clone()),
            member: self.caller.name().map(str::to_owned),
            actor: self.caller.actor(),
            request: self.id.to_string(),
            client: Some(self.client),
        }
    }
}

/// Whose uploads a caller's are: `member:…`, whichever token they use; `machine:RULE:SUBJECT` of a
/// machine, which gets a new token for each job; `token:ID` where nobody else is known behind it.
pub fn owner(caller: &Caller) -> String {
    match caller {
        Caller::Member(member) => format!("member:{}", member.name),
        Caller::Token(token) => match &token.owner {
            Some(owner) => format!("member:{owner}"),
            None => match (&token.rule, &token.machine) {
                (Some(rule), Some(machine)) => format!("machine:{rule}:{machine}"),
                _ => format!("token:{}", token.id),
            },
        },
        Caller::Stranger(_) => "stranger".to_owned(),
    }
}

impl Intake {
    /// For the caches of a site.
    pub fn new(site: &Arc<Site>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Inner {
            site: Arc::clone(site),
            pending: Pending::default(),
            arriving: Held::default(),
            publishing: Held::default(),
            gate: Gate::new(cores.saturating_sub(1).max(1)),
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            tries: Tries::default(),
            skipped: Noted::default(),
            receipts: tokio::sync::Mutex::default(),
            comparisons: Arc::new(Semaphore::new(1)),
            comparing: Arc::new(()),
            under_way: UnderWay::default(),
            sessions: Sessions::default(),
            stop_at: StopAt::from_environment(),
        }))
    }

    /// The answer to the question that `nix copy` and the form ask before they send an archive, where the caller
    /// has put it and no narinfo names it yet. `None`: others decide.
    pub fn held(&self, cache: &Cache, rest: &str, request: &Parts) -> Option<Response> {
        let said = |name| request.headers.contains_key(name);
        if request.method != Method::HEAD || !(said(AUTHORIZATION) || said(COOKIE)) {
            return None;
        }
        let Some(Wanted::Nar(key)) = key::parse(rest) else {
            return None;
        };
        let caller = self.0.site.access.caller(&request.headers);
        permitted(cache, &caller).ok()?;
        let owner = owner(&caller);
        let slug = cache.slug.as_str();
        let size = match self.0.pending.of(slug, &key, &owner) {
            Some(facts) => facts.file_size,
            None => waiting::size_of_nar(&self.0.site.ledger, slug, &key, &owner)?,
        };
        let mut response = headers::line(StatusCode::OK, Body::Sized(size));
        let fields = response.headers_mut();
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        fields.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-nix-nar"),
        );
        Some(response)
    }

    /// Answers a PUT below `/{cache}/`; `rest` is the path behind that, as sent.
    pub async fn put(
        &self,
        cache: &Arc<Cache>,
        rest: &str,
        request: &Parts,
        body: Incoming,
        id: RequestId,
        client: IpAddr,
    ) -> Response {
        let mut upload = Upload::new(body, request);
        let answer = self.answer(cache, rest, request, &mut upload, id, client);
        let answer = Box::pin(answer).await;
        self.note_in_session(
            cache,
            request,
            key::parse(rest).as_ref(),
            answer.as_ref().err(),
        );
        match answer {
            Ok(line) => headers::line(StatusCode::OK, line),
            Err(refusal) => {
                // So that the client reads the answer, and not a broken connection.
                upload.drain();
                tracing::info!(
                    request_id = id.as_str(),
                    cache = %cache.slug,
                    code = refusal.code,
                    reason = refusal.text,
                    "an upload was refused"
                );
                refusal.answer()
            }
        }
    }

    async fn answer(
        &self,
        cache: &Arc<Cache>,
        rest: &str,
        request: &Parts,
        upload: &mut Upload,
        id: RequestId,
        client: IpAddr,
    ) -> Result<String, Refusal> {
        let site = &self.0.site;
        let wanted = key::parse(rest).ok_or_else(|| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                "bad-key",
                "a binary cache has no object of that name",
            )
        })?;
        site.access
            .from_our_page(request)
            .map_err(|foreign| Refusal::forbidden("foreign-origin", foreign.to_string()))?;
        let caller = site.access.patient_caller(&request.headers).await;
        permitted(cache, &caller)?;
        let _turn = match &caller {
            Caller::Token(token) => site.access.turns.turn(&token.id).await,
            _ => None,
        };
        let sender = Sender {
            cache,
            request,
            caller,
            id,
            client,
        };
        match wanted {
            Wanted::Nar(key) => self.nar(&sender, &key, upload).await?,
            Wanted::Narinfo(hash) => return self.narinfo(&sender, hash, upload).await,
            Wanted::Side(kind, key) => self.side(&sender, kind, &key, upload).await?,
            Wanted::CacheInfo => self.cache_info(&sender, upload).await?,
            Wanted::Cache => {
                return Err(Refusal::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "bad-key",
                    "name the object to put",
                ));
            }
        }
        Ok(String::new())
    }

    /// Whether an archive without a narinfo is wanted all the same: its narinfo waits, or is still to
    /// come. Who sweeps up what nothing names asks here first.
    pub fn wants_nar(&self, cache: &str, key: &str) -> bool {
        self.0.pending.knows(cache, key) || waiting::wants_nar(&self.0.site.ledger, cache, key)
    }
}

/// Whether the caller may put something into the cache.
fn permitted(cache: &Cache, caller: &Caller) -> Result<(), Refusal> {
    let Err(refusal) = auth::may(caller, Act::Upload, cache.on()) else {
        return Ok(());
    };
    let who = match (&refusal, caller) {
        (auth::Refusal::WhoAreYou, Caller::Stranger(stranger)) => match stranger {
            Stranger::Unavailable => {
                return Err(Refusal::dependency(
                    "who may upload cannot be looked up at the moment: try again",
                ));
            }
            Stranger::Expired => "your token has expired",
            Stranger::Ended => "your token was ended, or its owner may not upload any more",
            Stranger::Unknown => "nobody here was given that token",
            Stranger::NoCredential => "no token came with it",
        },
        _ => {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "not-allowed",
                format!(
                    "this token may not upload to the cache {}: make one with the verb push, by a Contributor of it",
                    cache.slug
                ),
            ));
        }
    };
    Err(Refusal::new(
        StatusCode::UNAUTHORIZED,
        "no-token",
        format!(
            "uploading needs a token, and {who}: make one on the page me/tokens and put its lines into your netrc file"
        ),
    ))
}

/// The coding of a body that is small enough to be decoded whole.
fn content_encoding(request: &Parts) -> Option<&str> {
    request.headers.get(CONTENT_ENCODING)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::TokenCaller;

    #[test]
    fn a_machine_is_the_same_whichever_token_it_got() {
        let of = |id: &str, member: Option<&str>, rule: Option<&str>| {
            owner(&Caller::token(TokenCaller {
                id: id.to_owned(),
                owner: member.map(str::to_owned),
                machine: member.is_none().then(|| "repo:team/app".to_owned()),
                rule: rule.map(str::to_owned),
                verbs: Vec::new(),
                caches: None,
                owner_grants: None,
                expires_at: 0,
            }))
        };
        assert_eq!(of("a", None, Some("ci")), "machine:ci:repo:team/app");
        assert_eq!(of("a", None, Some("ci")), of("b", None, Some("ci")));
        assert_ne!(of("a", None, Some("ci")), of("a", None, Some("other")));
        assert_eq!(of("a", None, None), "token:a");
        assert_eq!(of("a", Some("alice"), None), "member:alice");
    }
}

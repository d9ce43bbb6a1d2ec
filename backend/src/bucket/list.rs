//! Listing, page by page, and never believing a listing that cannot be true.
//!
//! Everything that is removed from an index is removed because a listing did not have it.
//! So a listing that broke off must not pass for a short one: a page that says it is
//! truncated and gives no token, a token that repeats, keys that repeat or go backwards, a
//! count that differs from the entries are all [`BucketErrorKind::Corrupt`].

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;
use tokio_util::task::AbortOnDropHandle;

use super::read::collect_within;
use super::sign::encode_query;
use super::transport::Target;
use super::wire::{self, ListAnswer};
use super::{Bucket, BucketError, BucketErrorKind, ObjectMeta, Operation};

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Keys that begin with this, relative to the handle's prefix.
    pub prefix: String,
    /// Roll up everything below a `/` into common prefixes.
    pub delimiter: bool,
    /// Keys after this one, relative to the handle's prefix.
    pub start_after: Option<String>,
    /// Keys on a page at most; `None`: what the store likes, on AWS 1,000.
    pub max_keys: Option<u16>,
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPage {
    /// Objects in the order of their keys' bytes.
    pub objects: Vec<ObjectMeta>,
    /// What a delimiter rolled up, each ending with `/`.
    pub prefixes: Vec<String>,
    /// Whether more follows.
    pub truncated: bool,
}

/// Answers of more bytes than this are no page of 1,000 keys.
const PAGE_BYTES: usize = 16 << 20;

/// Pages in a row that may be empty: some stores skip over deleted keys that way.
const EMPTY_PAGES: u32 = 1000;

/// Where a listing stands.
struct Cursor {
    request: ListRequest,
    token: Option<String>,
    /// Whether the next page is asked for before the one that came is looked at.
    ahead: bool,
    begun: Option<Begun>,
    last_key: Option<String>,
    last_prefix: Option<String>,
    empty_pages: u32,
    done: bool,
}

/// A page that was asked for with the token of the page before, which nobody has looked at yet.
struct Begun {
    token: String,
    body: AbortOnDropHandle<Result<Bytes, BucketError>>,
}

impl Bucket {
    /// Lists, one page at a time; the next is asked for when the stream is polled.
    ///
    /// # Errors
    /// The stream ends with the first error. See [`BucketErrorKind`]; what contradicts
    /// itself is [`BucketErrorKind::Corrupt`].
    pub fn list(
        &self,
        request: ListRequest,
    ) -> impl Stream<Item = Result<ListPage, BucketError>> + Send + use<> {
        self.list_from(request, false)
    }

    /// As [`list`](Self::list), for who goes on to the end: a page is asked for as soon as the
    /// one before has come, so that the store works while that one is parsed and looked at.
    /// The requests are the same. Needs a runtime.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn list_ahead(
        &self,
        request: ListRequest,
    ) -> impl Stream<Item = Result<ListPage, BucketError>> + Send + use<> {
        self.list_from(request, true)
    }

    fn list_from(
        &self,
        request: ListRequest,
        ahead: bool,
    ) -> impl Stream<Item = Result<ListPage, BucketError>> + Send + use<> {
        let cursor = Cursor {
            request,
            token: None,
            ahead,
            begun: None,
            last_key: None,
            last_prefix: None,
            empty_pages: 0,
            done: false,
        };
        stream::try_unfold((self.clone(), cursor), |(bucket, mut cursor)| async move {
            if cursor.done {
                return Ok(None);
            }
            let page = bucket.list_page(&mut cursor).await?;
            Ok(Some((page, (bucket, cursor))))
        })
    }

    async fn list_page(&self, cursor: &mut Cursor) -> Result<ListPage, BucketError> {
        let prefix = format!("{}{}", self.inner.prefix, cursor.request.prefix);
        let body = match cursor.begun.take() {
            Some(begun) => self.begun_page(begun, &prefix).await?,
            None => {
                let query = self.query(&cursor.request, cursor.token.as_deref(), &prefix);
                self.page_body(&prefix, &query).await?
            }
        };
        let begun = match cursor.ahead {
            true => self.begin_next(&cursor.request, &prefix, &body),
            false => None,
        };
        let corrupt = |detail: String| {
            self.inner.counts.failed(Operation::List);
            self.error(Operation::List, &prefix, BucketErrorKind::Corrupt, detail)
        };
        let answer = wire::list(&body).map_err(corrupt)?;
        let corrupt =
            |detail: String| self.error(Operation::List, &prefix, BucketErrorKind::Corrupt, detail);
        let truncated = cursor.accept(&answer, &prefix).map_err(corrupt)?;
        // What was read off in haste counts only where it is what the page says.
        cursor.begun =
            begun.filter(|begun| truncated && cursor.token.as_ref() == Some(&begun.token));
        let own = |absolute: String| {
            let key = absolute.strip_prefix(&self.inner.prefix)?;
            // A folder's own marker has no name in the folder.
            if key.is_empty() || self.is_hidden(&absolute) {
                return None;
            }
            Some(match self.inner.prefix.is_empty() {
                true => absolute,
                false => key.to_owned(),
            })
        };
        Ok(ListPage {
            objects: answer
                .objects
                .into_iter()
                .filter_map(|listed| {
                    Some(ObjectMeta {
                        key: own(listed.key)?,
                        size: listed.size,
                        last_modified: listed.last_modified,
                        etag: listed.etag,
                        mark: None,
                    })
                })
                .collect(),
            prefixes: answer.prefixes.into_iter().filter_map(own).collect(),
            truncated,
        })
    }

    /// Asks for the page that follows a body, where the body names one.
    fn begin_next(&self, request: &ListRequest, prefix: &str, body: &[u8]) -> Option<Begun> {
        let token = wire::next_token(body)?;
        let query = self.query(request, Some(&token), prefix);
        let (bucket, prefix) = (self.clone(), prefix.to_owned());
        let body = tokio::spawn(async move { bucket.page_body(&prefix, &query).await });
        Some(Begun {
            token,
            body: AbortOnDropHandle::new(body),
        })
    }

    /// The body of a page that was asked for before.
    async fn begun_page(&self, begun: Begun, prefix: &str) -> Result<Bytes, BucketError> {
        match begun.body.await {
            Ok(body) => body,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that ends gives up a task that nobody aborted.
                Err(_) => Err(self.error(
                    Operation::List,
                    prefix,
                    BucketErrorKind::Other,
                    "the program is ending",
                )),
            },
        }
    }

    /// The query, its names sorted as the signature wants them.
    pub(super) fn query(&self, request: &ListRequest, token: Option<&str>, prefix: &str) -> String {
        let mut query = String::with_capacity(128);
        let mut add = |name: &str, value: &str| {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(name);
            query.push('=');
            query.push_str(&encode_query(value));
        };
        if let Some(token) = token {
            add("continuation-token", token);
        }
        if request.delimiter {
            add("delimiter", "/");
        }
        add("encoding-type", "url");
        add("list-type", "2");
        if let Some(most) = request.max_keys {
            add("max-keys", &most.to_string());
        }
        if !prefix.is_empty() {
            add("prefix", prefix);
        }
        if let (Some(after), None) = (&request.start_after, token) {
            add("start-after", &format!("{}{after}", self.inner.prefix));
        }
        query
    }

    /// A page as the store sends it.
    async fn page_body(&self, prefix: &str, query: &str) -> Result<Bytes, BucketError> {
        self.attempt(Operation::List, |_| self.page_body_once(prefix, query))
            .await
    }

    async fn page_body_once(&self, prefix: &str, query: &str) -> Result<Bytes, BucketError> {
        let target = Target::Listing { prefix, query };
        let exchange = async {
            let response = self
                .inner
                .transport
                .send(Operation::List, target, http::HeaderMap::new())
                .await?;
            self.hold(Operation::List, prefix, response.into_body(), PAGE_BYTES)
                .await
        };
        collect_within(exchange, self.inner.limits.small_timeout)
            .await
            .unwrap_or_else(|seconds| {
                Err(self.error(
                    Operation::List,
                    prefix,
                    BucketErrorKind::Timeout,
                    format!("a page took more than {seconds} s"),
                ))
            })
    }
}

impl Cursor {
    /// Checks a page against what came before; says whether more follows.
    fn accept(&mut self, answer: &ListAnswer, prefix: &str) -> Result<bool, String> {
        let entries = answer.objects.len() + answer.prefixes.len();
        if answer
            .key_count
            .is_some_and(|count| count != entries as u64)
        {
            return Err(format!(
                "the page has {entries} entries and says {}",
                answer.key_count.unwrap_or_default()
            ));
        }
        ordered(
            &mut self.last_key,
            answer.objects.iter().map(|object| object.key.as_str()),
            prefix,
        )?;
        ordered(
            &mut self.last_prefix,
            answer.prefixes.iter().map(String::as_str),
            prefix,
        )?;
        let truncated = answer
            .truncated
            .ok_or("the page does not say whether it is the last")?;
        if !truncated {
            self.done = true;
            return Ok(false);
        }
        let token = answer
            .next_token
            .as_ref()
            .filter(|token| !token.is_empty())
            .ok_or("the listing is truncated and gives no token to go on")?;
        if self.token.as_ref() == Some(token) {
            return Err("the listing gives the same token again".to_owned());
        }
        self.empty_pages = if entries == 0 {
            self.empty_pages + 1
        } else {
            0
        };
        if self.empty_pages > EMPTY_PAGES {
            return Err(format!("more than {EMPTY_PAGES} empty pages in a row"));
        }
        self.token = Some(token.clone());
        Ok(true)
    }
}

/// Keys must lie under the prefix and go strictly up, over all pages.
fn ordered<'a>(
    last: &mut Option<String>,
    keys: impl Iterator<Item = &'a str>,
    prefix: &str,
) -> Result<(), String> {
    let mut previous: Option<&str> = last.as_deref();
    for key in keys {
        if !key.starts_with(prefix) {
            return Err(format!("it lists `{key}`, which was not asked for"));
        }
        match previous {
            Some(previous) if previous == key => return Err(format!("it lists `{key}` twice")),
            Some(previous) if previous > key => {
                return Err(format!("it goes backwards from `{previous}` to `{key}`"));
            }
            _ => previous = Some(key),
        }
    }
    if let Some(previous) = previous
        && last.as_deref() != Some(previous)
    {
        *last = Some(previous.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::wire::Listed;
    use super::*;

    fn cursor() -> Cursor {
        Cursor {
            request: ListRequest::default(),
            token: None,
            ahead: false,
            begun: None,
            last_key: None,
            last_prefix: None,
            empty_pages: 0,
            done: false,
        }
    }

    fn answer(keys: &[&str], next: Option<&str>) -> ListAnswer {
        ListAnswer {
            objects: keys
                .iter()
                .map(|key| Listed {
                    key: (*key).to_owned(),
                    ..Listed::default()
                })
                .collect(),
            truncated: Some(next.is_some()),
            next_token: next.map(str::to_owned),
            ..ListAnswer::default()
        }
    }

    #[test]
    fn a_sound_listing_passes() {
        let mut cursor = cursor();
        assert_eq!(cursor.accept(&answer(&["a", "b"], Some("1")), ""), Ok(true));
        assert_eq!(cursor.accept(&answer(&[], Some("2")), ""), Ok(true));
        assert_eq!(cursor.accept(&answer(&["ba"], None), ""), Ok(false));
        assert!(cursor.done);
    }

    #[test]
    fn a_listing_that_cannot_be_true_is_refused() {
        let first = answer(&["a", "b"], Some("1"));
        let no_token = ListAnswer {
            truncated: Some(true),
            ..ListAnswer::default()
        };
        let silent = ListAnswer::default();
        let miscounted = ListAnswer {
            key_count: Some(5),
            ..answer(&["c"], None)
        };
        for bad in [
            answer(&["b"], None),
            answer(&["aa"], None),
            answer(&["c", "c"], None),
            answer(&["c"], Some("1")),
            no_token,
            silent,
            miscounted,
        ] {
            let mut cursor = cursor();
            cursor.accept(&first, "").expect("the first page");
            assert!(cursor.accept(&bad, "").is_err(), "{bad:?}");
        }
        assert!(cursor().accept(&answer(&["x/a"], None), "y/").is_err());
    }

    #[test]
    fn a_store_that_never_comes_to_an_end_is_left() {
        let mut cursor = cursor();
        let refused = (0..5000).find(|n| {
            let token = n.to_string();
            cursor.accept(&answer(&[], Some(&token)), "").is_err()
        });
        assert_eq!(refused, Some(i32::try_from(EMPTY_PAGES).expect("small")));
    }
}

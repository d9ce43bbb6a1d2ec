//! Which S3 operation a request is, told from its method, path and query, and how often each came.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// An S3 operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation { $($(#[$doc])* $name,)* }

        impl Operation {
            /// All operations.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

operations! {
    /// ListObjects or ListObjectsV2.
    List,
    /// GetObject.
    Get,
    /// HeadObject.
    Head,
    /// PutObject.
    Put,
    /// CopyObject.
    Copy,
    /// DeleteObject.
    Delete,
    /// DeleteObjects.
    DeleteMany,
    /// CreateMultipartUpload.
    CreateUpload,
    /// UploadPart.
    UploadPart,
    /// UploadPartCopy.
    CopyPart,
    /// CompleteMultipartUpload.
    CompleteUpload,
    /// AbortMultipartUpload.
    AbortUpload,
    /// ListParts.
    ListParts,
    /// ListMultipartUploads.
    ListUploads,
    /// HeadBucket.
    HeadBucket,
    /// CreateBucket.
    CreateBucket,
    /// ListBuckets.
    ListBuckets,
    /// GetBucketLocation.
    Location,
    /// Anything else.
    Other,
}

/// What a request asks for, as far as its head tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The operation.
    pub operation: Operation,
    /// The object key, or for listings the prefix; empty where there is none.
    pub key: String,
}

impl Target {
    /// Reads the head of a path-style request.
    pub fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let path = uri.path().strip_prefix('/').unwrap_or(uri.path());
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let query = uri.query().unwrap_or("");
        let has = |name: &str| parameter(query, name).is_some();
        let copy = headers.contains_key("x-amz-copy-source");
        let operation = match (method, key.is_empty()) {
            (&Method::GET, true) if bucket.is_empty() => Operation::ListBuckets,
            (&Method::GET, true) if has("location") => Operation::Location,
            (&Method::GET, true) if has("uploads") => Operation::ListUploads,
            (&Method::GET, true)
                if [
                    "versioning",
                    "acl",
                    "policy",
                    "lifecycle",
                    "object-lock",
                    "versions",
                ]
                .into_iter()
                .any(has) =>
            {
                Operation::Other
            }
            (&Method::GET, true) => Operation::List,
            (&Method::HEAD, true) => Operation::HeadBucket,
            (&Method::PUT, true) => Operation::CreateBucket,
            (&Method::POST, true) if has("delete") => Operation::DeleteMany,
            (&Method::GET, false) if has("uploadId") => Operation::ListParts,
            (&Method::GET, false) if has("tagging") || has("acl") || has("attributes") => {
                Operation::Other
            }
            (&Method::GET, false) => Operation::Get,
            (&Method::HEAD, false) => Operation::Head,
            (&Method::PUT, false) if has("partNumber") && copy => Operation::CopyPart,
            (&Method::PUT, false) if has("partNumber") => Operation::UploadPart,
            (&Method::PUT, false) if copy => Operation::Copy,
            (&Method::PUT, false) => Operation::Put,
            (&Method::POST, false) if has("uploads") => Operation::CreateUpload,
            (&Method::POST, false) if has("uploadId") => Operation::CompleteUpload,
            (&Method::DELETE, false) if has("uploadId") => Operation::AbortUpload,
            (&Method::DELETE, false) => Operation::Delete,
            _ => Operation::Other,
        };
        let key = if operation == Operation::List {
            parameter(query, "prefix").unwrap_or("")
        } else {
            key
        };
        Self {
            operation,
            key: percent_decode_str(key).decode_utf8_lossy().into_owned(),
        }
    }
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (found == name).then_some(value)
    })
}

/// How many requests of each operation came.
#[derive(Debug)]
pub struct Counters([AtomicU64; Operation::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Counters {
    /// Counts one.
    pub fn add(&self, operation: Operation) {
        self.0[operation as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many of one operation so far.
    pub fn get(&self, operation: Operation) -> u64 {
        self.0[operation as usize].load(Ordering::Relaxed)
    }

    /// All that came at least once.
    pub fn all(&self) -> BTreeMap<Operation, u64> {
        Operation::ALL
            .iter()
            .map(|operation| (*operation, self.get(*operation)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// Begins again at zero.
    pub fn reset(&self) {
        for counter in &self.0 {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn operations_are_told_apart() {
        let copy = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-amz-copy-source"),
            HeaderValue::from_static("/b/k"),
        )]);
        let none = HeaderMap::new();
        for (method, uri, headers, operation, key) in [
            ("GET", "/", &none, Operation::ListBuckets, ""),
            (
                "GET",
                "/b?list-type=2&prefix=nar%2F",
                &none,
                Operation::List,
                "nar/",
            ),
            ("GET", "/b/", &none, Operation::List, ""),
            ("GET", "/b?location=", &none, Operation::Location, ""),
            ("GET", "/b?uploads=", &none, Operation::ListUploads, ""),
            ("HEAD", "/b", &none, Operation::HeadBucket, ""),
            ("PUT", "/b", &none, Operation::CreateBucket, ""),
            ("POST", "/b?delete=", &none, Operation::DeleteMany, ""),
            ("GET", "/b/a%20b/c", &none, Operation::Get, "a b/c"),
            ("HEAD", "/b/c", &none, Operation::Head, "c"),
            ("PUT", "/b/c", &none, Operation::Put, "c"),
            ("PUT", "/b/c", &copy, Operation::Copy, "c"),
            (
                "PUT",
                "/b/c?partNumber=1&uploadId=x",
                &none,
                Operation::UploadPart,
                "c",
            ),
            (
                "PUT",
                "/b/c?partNumber=1&uploadId=x",
                &copy,
                Operation::CopyPart,
                "c",
            ),
            ("POST", "/b/c?uploads=", &none, Operation::CreateUpload, "c"),
            (
                "POST",
                "/b/c?uploadId=x",
                &none,
                Operation::CompleteUpload,
                "c",
            ),
            (
                "DELETE",
                "/b/c?uploadId=x",
                &none,
                Operation::AbortUpload,
                "c",
            ),
            ("GET", "/b/c?uploadId=x", &none, Operation::ListParts, "c"),
            ("DELETE", "/b/c", &none, Operation::Delete, "c"),
        ] {
            let method: Method = method.parse().unwrap();
            let target = Target::of(&method, &uri.parse().unwrap(), headers);
            assert_eq!(
                (target.operation, target.key.as_str()),
                (operation, key),
                "{method} {uri}"
            );
        }
    }
}

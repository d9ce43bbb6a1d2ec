//! What every store has to do for Snowbank.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use snowbank::bucket::encoding::{Coding, Decoded};
use snowbank::bucket::{
    Bucket, BucketConfig, BucketErrorKind, ByteRange, CredentialSource, Credentials, ETag,
    ListPage, ListRequest, Operation, PutOptions,
};

/// A store under test: an empty bucket somewhere.
pub trait Store {
    /// How to reach it.
    fn config(&self) -> BucketConfig;
    /// Whether it looks at signatures.
    fn checks_signatures(&self) -> bool;
}

/// Runs the whole suite. Each part works below a prefix of its own.
pub async fn run(store: &dyn Store) {
    round_trip(&below(store, "round-trip").await).await;
    odd_keys(&below(store, "odd-keys").await).await;
    listing(&below(store, "listing").await).await;
    isolation(store).await;
    ranges(&below(store, "ranges").await).await;
    small_objects(&below(store, "small").await).await;
    streaming(&below(store, "streaming").await).await;
    multipart(&below(store, "multipart").await).await;
    conditional(&below(store, "conditional").await).await;
    copying(&below(store, "copying").await).await;
    presigned(&below(store, "presigned").await).await;
    many_at_once(&below(store, "many").await).await;
    failures(store).await;
}

async fn below(store: &dyn Store, prefix: &str) -> Bucket {
    println!("- {prefix}");
    let config = BucketConfig {
        prefix: prefix.to_owned(),
        ..store.config()
    };
    Bucket::connect(&config).await.expect("a handle")
}

async fn put(bucket: &Bucket, key: &str, bytes: impl Into<Bytes>) {
    bucket
        .put(key, bytes.into(), &PutOptions::default())
        .await
        .unwrap_or_else(|error| panic!("{error}"));
}

async fn whole(bucket: &Bucket, key: &str) -> Bytes {
    let object = bucket
        .get(key)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    object.body.collect(usize::MAX).await.expect("a body")
}

async fn pages(bucket: &Bucket, request: ListRequest) -> Vec<ListPage> {
    let pages = bucket.list(request).try_collect().await;
    pages.unwrap_or_else(|error| panic!("{error}"))
}

async fn keys(bucket: &Bucket, request: ListRequest) -> Vec<String> {
    let pages = pages(bucket, request).await;
    let objects = pages.into_iter().flat_map(|page| page.objects);
    objects.map(|object| object.key).collect()
}

async fn round_trip(bucket: &Bucket) {
    let options = PutOptions {
        content_type: Some("text/x-nix-narinfo".to_owned()),
        ..PutOptions::default()
    };
    let before = time::OffsetDateTime::now_utc() - Duration::from_secs(2);
    let bytes = Bytes::from_static(b"StorePath: x\n");
    let written = bucket.put("a.narinfo", bytes.clone(), &options).await;
    let written = written.expect("written");
    let object = bucket.get("a.narinfo").await.expect("there");
    assert_eq!(object.meta.key, "a.narinfo");
    assert_eq!(object.length, Some(13));
    assert_eq!(object.content_type.as_deref(), Some("text/x-nix-narinfo"));
    assert_eq!(object.content_encoding, None);
    assert_eq!(object.meta.etag, written.etag);
    assert!(object.meta.last_modified.expect("a time") >= before);
    let head_of_get = object.meta.clone();
    assert_eq!(object.body.collect(100).await.expect("a body"), bytes);
    let head = bucket.head("a.narinfo").await.expect("there");
    assert_eq!(head, head_of_get);
    let listed = pages(bucket, ListRequest::default()).await;
    assert_eq!(listed[0].objects, [head], "listing and headers agree");

    put(bucket, "a.narinfo", "changed").await;
    let changed = bucket.head("a.narinfo").await.expect("there");
    assert_eq!(changed.size, 7);
    assert_ne!(changed.etag, written.etag);

    bucket.delete("a.narinfo").await.expect("deleted");
    bucket.delete("a.narinfo").await.expect("again");
    for error in [
        bucket.get("a.narinfo").await.expect_err("gone"),
        bucket.get_small("a.narinfo", 9).await.expect_err("gone"),
        bucket.head("a.narinfo").await.expect_err("gone"),
    ] {
        assert!(error.is_not_found(), "{error}");
        assert!(
            error.to_string().contains("round-trip/a.narinfo"),
            "{error}"
        );
    }
    put(bucket, "empty", Bytes::new()).await;
    assert_eq!(whole(bucket, "empty").await, "");
}

async fn odd_keys(bucket: &Bucket) {
    let odd = [
        "log/0c4a-gtk+3.24?x=1.drv",
        "realisations/sha256:0a1b!out.doi",
        "a b",
        "plus+and%41",
        "ümläut/雪",
        "quote'\"<&>",
        "tilde~-._",
        ".x/..y",
    ];
    for key in odd {
        put(bucket, key, key).await;
        assert_eq!(whole(bucket, key).await, key);
        assert_eq!(bucket.head(key).await.expect(key).key, key);
    }
    let listed: BTreeSet<_> = keys(bucket, ListRequest::default())
        .await
        .into_iter()
        .collect();
    assert_eq!(listed, odd.iter().map(|key| (*key).to_owned()).collect());
    for key in [
        "",
        "/a",
        "a//b",
        "a/",
        "../a",
        "a/./b",
        "a\nb",
        &"x".repeat(1100),
    ] {
        for error in [
            bucket.get(key).await.expect_err(key),
            bucket.delete(key).await.expect_err(key),
        ] {
            assert_eq!(error.kind(), BucketErrorKind::InvalidKey, "{key}");
        }
    }
}

async fn listing(bucket: &Bucket) {
    let mut expected: Vec<String> = (0..23).map(|n| format!("k{n:02}")).collect();
    expected.extend((0..5).map(|n| format!("nar/{n}")));
    for key in &expected {
        put(bucket, key, key.clone()).await;
    }
    for max_keys in [None, Some(1), Some(7), Some(1000)] {
        let request = ListRequest {
            max_keys,
            ..ListRequest::default()
        };
        assert_eq!(
            keys(bucket, request.clone()).await,
            expected,
            "{max_keys:?}"
        );
        let rolled = pages(
            bucket,
            ListRequest {
                delimiter: true,
                ..request
            },
        )
        .await;
        let objects: Vec<_> = rolled.iter().flat_map(|page| &page.objects).collect();
        assert_eq!(objects.len(), 23);
        let prefixes: Vec<_> = rolled.iter().flat_map(|page| &page.prefixes).collect();
        assert_eq!(prefixes, ["nar/"]);
        assert!(!rolled.last().expect("one").truncated);
    }
    for max_keys in [None, Some(2)] {
        let after = ListRequest {
            start_after: Some("k20".to_owned()),
            prefix: "k".to_owned(),
            max_keys,
            ..ListRequest::default()
        };
        assert_eq!(keys(bucket, after).await, ["k21", "k22"]);
    }
    let below = ListRequest {
        prefix: "nar/".to_owned(),
        ..ListRequest::default()
    };
    assert_eq!(keys(bucket, below).await.len(), 5);
    let nothing = ListRequest {
        prefix: "absent".to_owned(),
        ..ListRequest::default()
    };
    assert_eq!(keys(bucket, nothing).await, Vec::<String>::new());
}

async fn isolation(store: &dyn Store) {
    println!("- isolation");
    let handle = |prefix: &str, hidden: &[&str]| BucketConfig {
        prefix: prefix.to_owned(),
        hidden: hidden.iter().map(|prefix| (*prefix).to_owned()).collect(),
        ..store.config()
    };
    let outer = handle("iso", &["iso/inner/", "iso/.snowbank/"]);
    let outer = Bucket::connect(&outer).await.expect("a handle");
    let inner = Bucket::connect(&handle("iso/inner", &[]))
        .await
        .expect("a handle");
    let state = Bucket::connect(&handle("iso/.snowbank", &[]))
        .await
        .expect("a handle");
    put(&outer, "a", "outer").await;
    put(&inner, "a", "inner").await;
    put(&state, "secret", "state").await;
    assert_eq!(keys(&outer, ListRequest::default()).await, ["a"]);
    assert_eq!(keys(&inner, ListRequest::default()).await, ["a"]);
    let rolled = ListRequest {
        delimiter: true,
        ..ListRequest::default()
    };
    assert_eq!(
        pages(&outer, rolled).await[0].prefixes,
        Vec::<String>::new()
    );
    for key in ["inner/a", ".snowbank/secret"] {
        assert!(outer.get(key).await.expect_err(key).is_not_found());
        assert!(outer.head(key).await.expect_err(key).is_not_found());
        let written = outer.put(key, Bytes::new(), &PutOptions::default()).await;
        assert!(written.expect_err(key).is_not_found());
        assert!(outer.copy("a", key).await.expect_err(key).is_not_found());
    }
    assert_eq!(whole(&inner, "a").await, "inner");
    assert_eq!(whole(&state, "secret").await, "state");
}

async fn ranges(bucket: &Bucket) {
    put(bucket, "digits", "0123456789").await;
    for (range, expected, first) in [
        (ByteRange::From(4), "456789", 4),
        (ByteRange::Between(2, 5), "2345", 2),
        (ByteRange::Between(8, 100), "89", 8),
        (ByteRange::Last(3), "789", 7),
    ] {
        let object = bucket
            .get_range("digits", range, None)
            .await
            .expect("a part");
        let part = object.range.expect("a range");
        assert_eq!((part.first, part.total), (first, 10));
        assert_eq!(object.meta.size, 10);
        assert_eq!(object.length, Some(expected.len() as u64));
        assert_eq!(object.body.collect(10).await.expect("a body"), expected);
    }
    let beyond = bucket.get_range("digits", ByteRange::From(10), None).await;
    assert_eq!(
        beyond.expect_err("beyond").kind(),
        BucketErrorKind::RangeNotSatisfiable
    );
    let etag = bucket
        .head("digits")
        .await
        .expect("there")
        .etag
        .expect("a tag");
    let same = bucket
        .get_range("digits", ByteRange::From(1), Some(&etag))
        .await;
    same.expect("unchanged");
    let other = ETag::new("\"00000000000000000000000000000000\"");
    let changed = bucket
        .get_range("digits", ByteRange::From(1), Some(&other))
        .await;
    assert_eq!(
        changed.expect_err("changed").kind(),
        BucketErrorKind::PreconditionFailed
    );
}

fn encoded(coding: Coding, text: &[u8]) -> Bytes {
    match coding {
        Coding::Zstd => zstd::encode_all(text, 3).expect("in memory").into(),
        Coding::Gzip => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(text).expect("in memory");
            gzip.finish().expect("in memory").into()
        }
        Coding::Brotli => {
            let mut out = Vec::new();
            let mut brotli = brotli::CompressorWriter::new(&mut out, 4096, 5, 20);
            brotli.write_all(text).expect("in memory");
            drop(brotli);
            out.into()
        }
    }
}

async fn small_objects(bucket: &Bucket) {
    let text = "StorePath: /nix/store/x\n".repeat(20);
    for coding in [Coding::Zstd, Coding::Gzip, Coding::Brotli] {
        let stored = encoded(coding, text.as_bytes());
        let options = PutOptions {
            content_encoding: Some(coding.as_str().to_owned()),
            ..PutOptions::default()
        };
        bucket
            .put("said", stored.clone(), &options)
            .await
            .expect("written");
        let object = bucket.get_small("said", 4096).await.expect("decoded");
        assert_eq!(object.bytes, text);
        assert_eq!(object.encoding, Decoded::Encoded(coding));
        assert_eq!(
            object.meta.size,
            stored.len() as u64,
            "the size is that stored"
        );
        let streamed = bucket.get("said").await.expect("there");
        assert_eq!(streamed.content_encoding.as_deref(), Some(coding.as_str()));
        assert_eq!(streamed.body.collect(4096).await.expect("a body"), stored);
        if coding != Coding::Brotli {
            put(bucket, "lost", stored).await;
            let object = bucket.get_small("lost", 4096).await.expect("sniffed");
            assert_eq!(object.bytes, text);
            assert_eq!(object.encoding, Decoded::Sniffed(coding));
        }
        let error = bucket.get_small("said", 300).await.expect_err("too large");
        assert_eq!(error.kind(), BucketErrorKind::TooLarge);
    }
    let broken = PutOptions {
        content_encoding: Some("zstd".to_owned()),
        ..PutOptions::default()
    };
    let noise = Bytes::from_static(b"\x28\xb5\x2f\xfd\xff\xff\xff");
    bucket.put("broken", noise, &broken).await.expect("written");
    let error = bucket.get_small("broken", 4096).await.expect_err("broken");
    assert_eq!(error.kind(), BucketErrorKind::Corrupt);
}

async fn streaming(bucket: &Bucket) {
    let bytes: Bytes = (0..20_u32 << 18).flat_map(u32::to_le_bytes).collect();
    put(bucket, "nar/large", bytes.clone()).await;
    let object = bucket.get("nar/large").await.expect("there");
    assert_eq!(object.length, Some(20 << 20));
    let mut body = object.body;
    let mut at = 0;
    while let Some(piece) = body.next().await {
        let piece = piece.expect("a piece");
        assert_eq!(piece, bytes.slice(at..at + piece.len()));
        at += piece.len();
    }
    assert_eq!((at, body.received()), (20 << 20, 20 << 20));
    let object = bucket.get("nar/large").await.expect("there");
    let error = object.body.collect(1 << 20).await.expect_err("too large");
    assert_eq!(error.kind(), BucketErrorKind::TooLarge);
}

async fn multipart(bucket: &Bucket) {
    let options = PutOptions {
        content_type: Some("application/x-nix-nar".to_owned()),
        ..PutOptions::default()
    };
    let upload = bucket
        .multipart_create("nar/m", &options)
        .await
        .expect("begun");
    let first = Bytes::from(vec![b'a'; 5 << 20]);
    let second = Bytes::from_static(b"the rest");
    // Out of order, and one of them twice: the last one counts.
    let two = bucket
        .multipart_part(&upload, 2, second)
        .await
        .expect("a part");
    let junk = Bytes::from(vec![b'z'; 5 << 20]);
    bucket
        .multipart_part(&upload, 1, junk)
        .await
        .expect("a part");
    let one = bucket
        .multipart_part(&upload, 1, first.clone())
        .await
        .expect("a part");
    assert!(
        bucket
            .head("nar/m")
            .await
            .expect_err("not yet")
            .is_not_found()
    );
    assert_eq!(
        keys(bucket, ListRequest::default()).await,
        Vec::<String>::new()
    );
    bucket
        .multipart_complete(&upload, &[one, two], None)
        .await
        .expect("completed");
    let object = bucket.get("nar/m").await.expect("there");
    assert_eq!(
        object.content_type.as_deref(),
        Some("application/x-nix-nar")
    );
    let bytes = object.body.collect(usize::MAX).await.expect("a body");
    assert_eq!(bytes.len(), (5 << 20) + 8);
    assert!(bytes.starts_with(&first) && bytes.ends_with(b"the rest"));

    let upload = bucket
        .multipart_create("nar/given-up", &options)
        .await
        .expect("begun");
    let part = bucket
        .multipart_part(&upload, 1, first)
        .await
        .expect("a part");
    bucket.multipart_abort(&upload).await.expect("given up");
    bucket.multipart_abort(&upload).await.expect("again");
    bucket
        .multipart_complete(&upload, &[part], None)
        .await
        .expect_err("it is gone");
    assert!(
        bucket
            .head("nar/given-up")
            .await
            .expect_err("never")
            .is_not_found()
    );
}

async fn conditional(bucket: &Bucket) {
    let can = bucket.probe("probe").await.expect("probed");
    assert!(
        bucket
            .head("probe")
            .await
            .expect_err("cleaned up")
            .is_not_found()
    );
    let options = PutOptions::default();
    let one = Bytes::from_static(b"one");
    let written = bucket
        .put_if_absent("c", one, &options)
        .await
        .expect("absent");
    let again = bucket
        .put_if_absent("c", Bytes::from_static(b"two"), &options)
        .await;
    assert_eq!(again.is_err(), can.create_if_absent);
    if can.create_if_absent {
        let error = again.expect_err("refused");
        assert_eq!(error.kind(), BucketErrorKind::PreconditionFailed);
        assert_eq!(whole(bucket, "c").await, "one");
    }
    if can.replace_if_unchanged {
        let etag = written.etag.expect("a tag");
        let two = Bytes::from_static(b"two");
        bucket
            .put_if_match("c", two, &options, &etag)
            .await
            .expect("unchanged");
        let late = bucket
            .put_if_match("c", Bytes::from_static(b"three"), &options, &etag)
            .await;
        assert_eq!(
            late.expect_err("changed").kind(),
            BucketErrorKind::PreconditionFailed
        );
        assert_eq!(whole(bucket, "c").await, "two");
    }
}

async fn copying(bucket: &Bucket) {
    let options = PutOptions {
        content_type: Some("application/json".to_owned()),
        content_encoding: Some("br".to_owned()),
        ..PutOptions::default()
    };
    let listing = encoded(Coding::Brotli, b"{}");
    bucket
        .put("from+ü a", listing.clone(), &options)
        .await
        .expect("written");
    bucket.copy("from+ü a", "trash/to").await.expect("copied");
    let copy = bucket.get("trash/to").await.expect("there");
    assert_eq!(copy.content_type.as_deref(), Some("application/json"));
    assert_eq!(copy.content_encoding.as_deref(), Some("br"));
    assert_eq!(copy.body.collect(100).await.expect("a body"), listing);
    let absent = bucket.copy("absent", "to").await;
    assert!(absent.expect_err("nothing to copy").is_not_found());
}

async fn presigned(bucket: &Bucket) {
    put(bucket, "nar/p+q.nar", "by anybody").await;
    let signed = bucket
        .presign_get("nar/p+q.nar", Duration::from_secs(60))
        .await;
    let signed = signed.expect("signed");
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10));
    let request = client.build().expect("a client").get(&signed.url);
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.expect("a body"), "by anybody");
    assert!(
        !format!("{signed:?}").contains("nar/p"),
        "the URL is a secret"
    );
}

async fn many_at_once(bucket: &Bucket) {
    let before = bucket.counts().of(Operation::Put);
    let count: u64 = 200;
    futures_util::stream::iter(0..count)
        .for_each_concurrent(64, |n| async move {
            put(bucket, &n.to_string(), n.to_string()).await;
        })
        .await;
    let bulk = bucket.bulk();
    futures_util::stream::iter(0..count)
        .for_each_concurrent(64, |n| {
            let bulk = bulk.clone();
            async move {
                let object = bulk.get_small(&n.to_string(), 100).await.expect("there");
                assert_eq!(object.bytes, n.to_string());
            }
        })
        .await;
    let puts = bucket.counts().of(Operation::Put);
    assert_eq!(puts.sent - puts.retried - before.sent, count);
    let gets = bucket.counts().of(Operation::Get);
    assert_eq!(
        gets.sent - gets.retried,
        count,
        "clones share their counters"
    );
    assert!(bucket.counts().received_bytes() > 0);
}

async fn failures(store: &dyn Store) {
    println!("- failures");
    let connect = |config: BucketConfig| async move {
        let bucket = Bucket::connect(&config).await.expect("a handle");
        let listed: Result<Vec<_>, _> = bucket.list(ListRequest::default()).try_collect().await;
        listed.expect_err("cannot work")
    };
    let absent = connect(BucketConfig {
        bucket: "no-such-bucket-here".to_owned(),
        ..store.config()
    })
    .await;
    // Some stores do not tell strangers which buckets there are.
    assert!(
        matches!(
            absent.kind(),
            BucketErrorKind::NoSuchBucket | BucketErrorKind::AccessDenied { .. }
        ),
        "{absent}"
    );
    if store.checks_signatures() {
        let stranger = connect(BucketConfig {
            credentials: Credentials {
                read: CredentialSource::Static {
                    access_key_id: "GK000000000000000000000000".to_owned(),
                    secret_access_key: "0".repeat(64),
                    session_token: None,
                },
                ..Credentials::default()
            },
            ..store.config()
        })
        .await;
        assert!(
            matches!(
                stranger.kind(),
                BucketErrorKind::BadCredentials | BucketErrorKind::AccessDenied { .. }
            ),
            "{stranger}"
        );
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nowhere = format!("http://{}", nobody.local_addr().expect("an address"));
    drop(nobody);
    let unreachable = connect(BucketConfig {
        endpoint: Some(nowhere),
        ..store.config()
    })
    .await;
    assert_eq!(unreachable.kind(), BucketErrorKind::Network);
    assert!(
        unreachable.to_string().contains("5 attempts"),
        "{unreachable}"
    );
}

//! Inventories as S3 writes them.

use snowbank_shared::api::storage::{ClassSize, ObjectClass, Storage};

use super::manifest::{Manifest, is_dated};
use super::{InventoryError, InventoryRecord};

/// The example of Amazon's documentation.
const MANIFEST: &str = r#"{
    "sourceBucket": "example-source-bucket",
    "destinationBucket": "arn:aws:s3:::example-inventory-destination-bucket",
    "version": "2016-11-30",
    "creationTimestamp" : "1514944800000",
    "fileFormat": "CSV",
    "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass, IsMultipartUploaded, ReplicationStatus, EncryptionStatus, ObjectLockRetainUntilDate, ObjectLockMode, ObjectLockLegalHoldStatus, IntelligentTieringAccessTier, BucketKeyStatus, ChecksumAlgorithm, ObjectAccessControlList, ObjectOwner",
    "files": [
        {
            "key": "Inventory/example-source-bucket/2016-11-06T21-32Z/files/939c6d46-85a9-4ba8-87bd-9db705a579ce.csv.gz",
            "size": 2147483647,
            "MD5checksum": "f11166069f1990abeb9c97ace9cdfabc"
        }
    ]
}"#;

#[test]
fn the_documented_manifest_is_read() {
    let manifest = Manifest::parse(MANIFEST.as_bytes(), Some("example-source-bucket"));
    let manifest = manifest.expect("a manifest");
    assert_eq!(manifest.at, 1_514_944_800);
    assert!(manifest.columns.has_versions());
    assert_eq!(manifest.files.len(), 1);
    assert!(is_dated("Inventory/b/2016-11-06T21-32Z/"));
    for other in ["Inventory/b/data/", "Inventory/b/hive/", "2016-11-06/", "/"] {
        assert!(!is_dated(other), "{other}");
    }
}

#[test]
fn what_cannot_be_used_says_why() {
    for (from, to, words) in [
        ("\"CSV\"", "\"ORC\"", "it is written as ORC, and only CSV"),
        ("\"CSV\"", "\"Parquet\"", "it is written as Parquet"),
        ("example-source-bucket\",", "other\",", "the cache lies in"),
        (" Size,", " Length,", "lacks the column Size"),
        ("1514944800000", "yesterday", "creationTimestamp"),
        ("f11166069f", "not hex___", "has no MD5"),
        ("\"files\"", "\"dateien\"", "missing field `files`"),
    ] {
        let bad = MANIFEST.replacen(from, to, 1);
        let error = Manifest::parse(bad.as_bytes(), Some("example-source-bucket"));
        let error = error.expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
        let is_format = matches!(error, InventoryError::Format(_));
        assert_eq!(is_format, from == "\"CSV\"", "{error}");
    }
}

fn class(class: ObjectClass, known: Option<u64>) -> ClassSize {
    ClassSize {
        class,
        objects: known,
        bytes: known.map(|known| known * 100),
        unknown: known
            .is_none()
            .then(|| "The credentials lack it.".to_owned()),
    }
}

#[test]
fn it_fills_in_only_what_is_lacking_and_says_where_that_is_from() {
    let record = InventoryRecord {
        // 2026-11-30
        at: 1_795_996_800,
        manifest: "m".to_owned(),
        classes: vec![
            class(ObjectClass::Nar, Some(7)),
            class(ObjectClass::OldVersions, Some(3)),
        ],
        rows: 10,
        others: 0,
        broken: 0,
    };
    let storage = |as_of: Option<&str>, classes: Vec<ClassSize>| Storage {
        as_of: as_of.map(str::to_owned),
        classes,
        stored: 500,
        unpacked: 0,
        codecs: Vec::new(),
        saved: 0,
        shared: Vec::new(),
        days: Vec::new(),
        events: Vec::new(),
        uploaders: Vec::new(),
        packages: Vec::new(),
        forecast: None,
        prices: None,
        facts: Vec::new(),
    };
    let mut swept = storage(
        Some("2026-12-01T00:00:00Z"),
        vec![
            class(ObjectClass::Nar, Some(5)),
            class(ObjectClass::OldVersions, None),
        ],
    );
    InventoryRecord::fill(Some(&record), None, &mut swept);
    assert_eq!(swept.classes[0], class(ObjectClass::Nar, Some(5)));
    let old = &swept.classes[1];
    assert_eq!((old.objects, old.bytes), (Some(3), Some(300)));
    assert!(
        old.unknown
            .as_deref()
            .is_some_and(|words| words.contains("2026-11-30"))
    );
    assert_eq!(swept.stored, 800);
    assert!(
        swept.facts[0].words.contains("10 objects of this cache"),
        "{:?}",
        swept.facts
    );

    let mut fresh = storage(None, Vec::new());
    InventoryRecord::fill(Some(&record), Some("it is written as ORC"), &mut fresh);
    assert_eq!(fresh.as_of.as_deref(), Some("2026-11-30T00:00:00Z"));
    assert_eq!((fresh.stored, fresh.classes.len()), (1_000, 2));
    assert!(
        fresh.facts[0]
            .words
            .ends_with("The newest could not be read: it is written as ORC.")
    );
    let before = fresh.clone();
    InventoryRecord::fill(None, None, &mut fresh);
    assert_eq!(fresh, before);
}

//! S3 Inventory: read in its format, held against its sums, never more than a hint.

use std::fs;
use std::io::Write as _;

use s3s::crypto::{Checksum as _, Md5};
use serde_json::{Value, json};
use snowbank::config::{Config, Source};
use snowbank::sizes::inventory::{InventoryError, InventoryRecord};
use snowbank_shared::api::storage::ObjectClass;

use crate::harness::TestServer;
use crate::people::settled;

const FOLDER: &str = "inventories/inv/cache-bucket/all";
const SCHEMA: &str = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, ETag";

fn with_inventory(config: &mut Config) {
    let dir = config.data_dir.parent().expect("a folder");
    config.caches[0].inventory = Some(Source::Folder {
        folder: dir.join("inventories"),
        prefix: "inv/cache-bucket/all/".to_owned(),
    });
}

fn md5(bytes: &[u8]) -> String {
    let mut md5 = Md5::new();
    md5.update(bytes);
    let digest = md5.finalize();
    let bytes: &[u8] = digest.as_ref();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("written");
    encoder.finish().expect("packed")
}

/// Writes a file below the inventories, whole at once.
fn put(server: &TestServer, key: &str, bytes: &[u8]) {
    let file = server.dir.path().join(FOLDER).join(key);
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    let temporary = server.dir.path().join("on-its-way");
    fs::write(&temporary, bytes).expect("written");
    fs::rename(&temporary, file).expect("in its place");
}

/// Writes an inventory of these rows as of a day of November; `change` may spoil its manifest.
fn write(server: &TestServer, day: u8, rows: &str, change: impl FnOnce(&mut Value)) {
    let half = rows.len() / 2;
    let cut = rows[half..]
        .find('\n')
        .map_or(rows.len(), |at| half + at + 1);
    let mut files = Vec::new();
    for (number, part) in [&rows[..cut], &rows[cut..]].into_iter().enumerate() {
        let data = packed(part);
        let key = format!("data/{day}-{number}.csv.gz");
        put(server, &key, &data);
        files.push(json!({
            "key": format!("inv/cache-bucket/all/{key}"), "size": data.len(), "MD5checksum": md5(&data),
        }));
    }
    // 2026-11-01 and so many days.
    let at = 1_793_491_200 + i64::from(day - 1) * 86_400;
    let mut manifest = json!({
        "sourceBucket": "cache-bucket",
        "destinationBucket": "arn:aws:s3:::inventories",
        "version": "2016-11-30",
        "creationTimestamp": format!("{at}000"),
        "fileFormat": "CSV",
        "fileSchema": SCHEMA,
        "files": files,
    });
    change(&mut manifest);
    let manifest = manifest.to_string();
    let folder = format!("2026-11-{day:02}T01-00Z");
    put(
        server,
        &format!("{folder}/manifest.json"),
        manifest.as_bytes(),
    );
    let sum = format!("{}\n", md5(manifest.as_bytes()));
    put(
        server,
        &format!("{folder}/manifest.checksum"),
        sum.as_bytes(),
    );
}

fn row(key: &str, latest: bool, marker: bool, size: &str) -> String {
    format!(
        "\"cache-bucket\",\"{key}\",\"v1\",\"{latest}\",\"{marker}\",\"{size}\",\"d41d8cd98f00b204e9800998ecf8427e\"\n"
    )
}

async fn read(server: &TestServer) -> Result<bool, InventoryError> {
    let site = server.server.site();
    let cache = site.cache("main").expect("main");
    let inventory = cache.sizes.inventory().expect("inventories");
    inventory.read(&site.ledger, "main").await
}

/// What the page says about it.
async fn said(server: &TestServer) -> String {
    let storage = server.json("/api/v1/caches/main/storage").await;
    let facts = storage["facts"].as_array().expect("facts").clone();
    let fact = facts.iter().find(|fact| fact["name"] == "S3 Inventory");
    let words = fact.map(|fact| fact["words"].as_str().unwrap_or_default());
    words.unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_tells_sizes_by_class_with_its_date_and_takes_nothing_away() {
    let mut made = None;
    let server = TestServer::start(
        |shelf| made = Some(shelf.put("app-1.0", &[])),
        with_inventory,
    )
    .await;
    settled(&server).await;
    assert!(!read(&server).await.expect("nothing there"));
    assert_eq!(said(&server).await, "");

    let hash = "0".repeat(32);
    let mut rows = String::new();
    for (key, latest, marker, size) in [
        (format!("{hash}.narinfo"), true, false, "400"),
        ("nar/a%2Bb.nar.xz".to_owned(), true, false, "1000"),
        ("nar/a%2Bb.nar.xz".to_owned(), false, false, "900"),
        ("nar/gone.nar.xz".to_owned(), true, true, ""),
        ("nar/gone.nar.xz".to_owned(), false, false, "70"),
        (format!("{hash}.ls"), true, false, "30"),
        (".snowbank/records/x".to_owned(), true, false, "11"),
        ("nix-cache-info".to_owned(), true, false, "45"),
    ] {
        rows.push_str(&row(&key, latest, marker, size));
    }
    rows.push_str(&row("nar/odd", true, false, "much"));
    rows.push_str("\"cache-bucket\",\"nar/short\"\n");
    write(&server, 20, &rows, |_| {});
    // The server itself may have been faster.
    read(&server).await.expect("read");
    assert!(!read(&server).await.expect("known"), "each once");
    let site = server.server.site();
    let known = || InventoryRecord::of(&site.ledger, "main").expect("a record");
    let classes: Vec<_> = known()
        .classes
        .iter()
        .map(|class| (class.class, class.objects, class.bytes))
        .filter(|(_, objects, _)| *objects != Some(0))
        .collect();
    assert_eq!(
        classes,
        [
            (ObjectClass::Nar, Some(1), Some(1000)),
            (ObjectClass::Narinfo, Some(1), Some(400)),
            (ObjectClass::Listing, Some(1), Some(30)),
            (ObjectClass::Other, Some(1), Some(45)),
            (ObjectClass::State, Some(1), Some(11)),
            (ObjectClass::Unfinished, None, None),
            (ObjectClass::OldVersions, Some(2), Some(970)),
        ]
    );
    assert_eq!((known().rows, known().broken), (10, 2));
    let words = said(&server).await;
    assert!(
        words.starts_with("Of 2026-11-20: 7 objects of this cache with 2456 bytes, in 10 rows."),
        "{words}"
    );
    // What it does not list is there all the same: it is older.
    let app = made.expect("a path");
    let narinfo = format!("/main/{}.narinfo", app.hash);
    assert_eq!(server.get(&narinfo).await.status(), 200);

    // One that is being written, of another format, or not what it says changes nothing.
    put(&server, "2026-11-29T01-00Z/manifest.json", b"{");
    assert!(!read(&server).await.expect("passed over"));
    write(&server, 21, &rows, |manifest| {
        manifest["fileFormat"] = json!("Parquet");
    });
    let refused = read(&server).await;
    assert!(
        matches!(refused, Err(InventoryError::Format(_))),
        "{refused:?}"
    );
    assert!(
        said(&server)
            .await
            .contains("written as Parquet, and only CSV is read")
    );
    write(&server, 22, &rows, |manifest| {
        manifest["files"][1]["MD5checksum"] = json!("0".repeat(32));
    });
    let refused = read(&server).await;
    assert!(
        matches!(refused, Err(InventoryError::Md5(_))),
        "{refused:?}"
    );
    write(&server, 23, &rows, |_| {});
    put(&server, "2026-11-23T01-00Z/manifest.checksum", b"00");
    let refused = read(&server).await;
    assert!(
        matches!(refused, Err(InventoryError::Md5(_))),
        "{refused:?}"
    );
    assert!(known().manifest.contains("2026-11-20"));
    write(&server, 24, &row("nar/one", true, false, "5"), |_| {});
    assert!(read(&server).await.expect("read"));
    assert!(
        said(&server)
            .await
            .starts_with("Of 2026-11-24: 1 object of")
    );
}

//! The embedded S3 server, served to programs that others wrote: awscli, botocore, s5cmd, Nix.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use snowbank::bucket::embedded::access::Anonymous;
use snowbank::bucket::embedded::operation::Operation;
use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3, ListenerConfig};
use snowbank_tests::closure::Closure;
use snowbank_tests::nix::Nix;
use snowbank_tests::{component, folder};

/// A server with the bucket `main`, an inner address with credentials and an outer one for all.
struct Store {
    server: EmbeddedS3,
    dir: tempfile::TempDir,
}

async fn store() -> anyhow::Result<Store> {
    let dir = tempfile::tempdir()?;
    let external = ListenerConfig {
        anonymous: Anonymous::Full,
        ..ListenerConfig::default()
    };
    let config = EmbeddedConfig {
        external: Some(external),
        durable: false,
        ..EmbeddedConfig::new()
    };
    let server = EmbeddedS3::start(config.bucket("main", dir.path().join("main"))).await?;
    Ok(Store { server, dir })
}

impl Store {
    fn folder(&self) -> PathBuf {
        self.dir.path().join("main")
    }

    fn outer(&self) -> anyhow::Result<String> {
        self.server
            .external_endpoint()
            .context("there is an outer address")
    }

    /// A client of the inner address with its credentials.
    fn client(&self, program: &Path) -> Command {
        let credentials = self.server.credentials();
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", "120"])
            .arg(program)
            .env("AWS_ACCESS_KEY_ID", &credentials.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &credentials.secret_key)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_ENDPOINT_URL")
            .env("HOME", self.dir.path())
            .current_dir(self.dir.path());
        command
    }
}

/// A program on `PATH`.
fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file());
    found.with_context(|| {
        format!(
            "{name} is not on PATH: `tests/run` installs it; SNOWBANK_SKIP names what to leave out"
        )
    })
}

/// Runs a command to its end without holding up this runtime. Returns what it printed.
async fn run(mut command: Command) -> anyhow::Result<String> {
    let shown = format!("{command:?}");
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{shown}\n{out}\n{err}");
    Ok(out.into_owned())
}

/// A tree like that of a binary cache, with names and sizes that clients stumble over.
fn tree(root: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for n in 0..1_100_u32 {
        files.insert(
            format!("{n:032}.narinfo"),
            format!("StorePath: {n}\n").into_bytes(),
        );
    }
    files.insert(
        "nix-cache-info".to_owned(),
        b"StoreDir: /nix/store\n".to_vec(),
    );
    files.insert("empty".to_owned(), Vec::new());
    files.insert("nar/plain.nar".to_owned(), vec![b'p'; 100_000]);
    // Large enough for both programs to send it in parts.
    files.insert(
        "nar/large.nar.xz".to_owned(),
        (0..20_000_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8)
            .collect(),
    );
    files.insert("realisations/sha256:ab!out.doi".to_owned(), b"{}".to_vec());
    files.insert("log/odd + name & ü.drv".to_owned(), b"log".to_vec());
    for (name, bytes) in &files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(path, bytes)?;
    }
    Ok(files)
}

#[tokio::test]
async fn awscli_is_served() -> anyhow::Result<()> {
    if component::skipped("awscli") {
        return Ok(());
    }
    let program = program("aws")?;
    let store = store().await?;
    let (up, down) = (store.dir.path().join("up"), store.dir.path().join("down"));
    let files = tree(&up)?;
    let endpoint = store.server.endpoint();
    let aws = |args: &[&str]| {
        let mut command = store.client(&program);
        command.args(["--endpoint-url", &endpoint]).args(args);
        run(command)
    };
    aws(&["s3", "sync", "--only-show-errors", "up", "s3://main"]).await?;
    assert_eq!(folder::objects(&store.folder())?, files);
    assert!(
        store.server.counters().get(Operation::UploadPart) > 1,
        "the large file came in parts"
    );
    let listing = aws(&["s3", "ls", "--recursive", "s3://main"]).await?;
    assert_eq!(listing.lines().count(), files.len());
    assert!(listing.contains("log/odd + name & ü.drv"), "{listing}");
    let root = aws(&["s3", "ls", "s3://main/"]).await?;
    assert!(root.contains("PRE nar/") && !root.contains(".s3"), "{root}");
    aws(&["s3", "sync", "--only-show-errors", "s3://main", "down"]).await?;
    assert_eq!(folder::objects(&down)?, files);
    let again = aws(&["s3", "sync", "--dryrun", "s3://main", "down"]).await?;
    assert_eq!(again.trim(), "", "nothing is left to do");

    aws(&[
        "s3",
        "mv",
        "--only-show-errors",
        "s3://main/nar/large.nar.xz",
        "s3://main/nar/moved.nar.xz",
    ])
    .await?;
    assert_eq!(
        fs::read(store.folder().join("nar/moved.nar.xz"))?,
        files["nar/large.nar.xz"]
    );
    assert!(!store.folder().join("nar/large.nar.xz").exists());
    let put = [
        "s3api",
        "put-object",
        "--bucket",
        "main",
        "--key",
        "a.ls",
        "--body",
        "up/nix-cache-info",
    ];
    aws(&[
        &put[..],
        &[
            "--content-encoding",
            "br",
            "--metadata",
            "who=me",
            "--checksum-algorithm",
            "SHA256",
        ],
    ]
    .concat())
    .await?;
    let head = aws(&["s3api", "head-object", "--bucket", "main", "--key", "a.ls"]).await?;
    assert!(
        head.contains("\"ContentEncoding\": \"br\"") && head.contains("\"who\": \"me\""),
        "{head}"
    );
    let exists = aws(&[&put[..], &["--if-none-match", "*"]].concat())
        .await
        .unwrap_err()
        .to_string();
    assert!(exists.contains("PreconditionFailed"), "{exists}");
    aws(&[
        "s3api",
        "get-object",
        "--bucket",
        "main",
        "--key",
        "nar/plain.nar",
        "--range",
        "bytes=5-9",
        "part",
    ])
    .await?;
    assert_eq!(fs::read(store.dir.path().join("part"))?, b"ppppp");
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()?;
    let url = aws(&["s3", "presign", "s3://main/nix-cache-info"]).await?;
    assert_eq!(
        http.get(url.trim()).send().await?.text().await?,
        "StoreDir: /nix/store\n"
    );

    let mut unsigned = store.client(&program);
    unsigned.args([
        "--endpoint-url",
        &store.outer()?,
        "--no-sign-request",
        "s3",
        "cp",
        "s3://main/nix-cache-info",
        "-",
    ]);
    assert_eq!(run(unsigned).await?, "StoreDir: /nix/store\n");
    aws(&["s3", "rm", "--recursive", "--only-show-errors", "s3://main"]).await?;
    assert_eq!(folder::objects(&store.folder())?, BTreeMap::new());
    Ok(())
}

/// boto3 is a thin layer over botocore, which comes with awscli.
#[tokio::test]
async fn botocore_is_served() -> anyhow::Result<()> {
    if component::skipped("awscli") {
        return Ok(());
    }
    let python = program("aws")?.with_file_name("python3");
    let store = store().await?;
    let script = r#"
import sys, io, hashlib
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
endpoint = sys.argv[1]
def client(**config):
    return botocore.session.get_session().create_client(
        "s3", endpoint_url=endpoint, region_name="eu-central-1", config=Config(s3={"addressing_style": "path"}, **config))
s3 = client()
def code(call, **args):
    try: call(**args)
    except ClientError as error: return error.response["Error"]["Code"]
for algorithm in ["CRC32", "SHA1", "SHA256"]:
    key = f"sums/{algorithm} ü+%&'.txt"
    put = s3.put_object(Bucket="main", Key=key, Body=b"hello", ChecksumAlgorithm=algorithm)
    assert put["Checksum" + algorithm], put
    got = s3.get_object(Bucket="main", Key=key, ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello" and got["ETag"] == put["ETag"], got
# A stream of unknown content goes out in signed chunks with the sum behind them.
s3.put_object(Bucket="main", Key="stream", Body=io.BufferedReader(io.BytesIO(b"x" * 300_000)), ContentLength=300_000)
assert s3.head_object(Bucket="main", Key="stream")["ContentLength"] == 300_000
plain = client(request_checksum_calculation="when_required")
plain.put_object(Bucket="main", Key="plain", Body=b"plain", ContentType="text/x", CacheControl="no-store", Expires=1e9)
head = plain.head_object(Bucket="main", Key="plain")
assert (head["ContentType"], head["CacheControl"]) == ("text/x", "no-store"), head
assert code(plain.put_object, Bucket="main", Key="plain", Body=b"y", IfNoneMatch="*") == "PreconditionFailed"
assert code(plain.put_object, Bucket="main", Key="plain", Body=b"y", IfMatch='"old"') == "PreconditionFailed"
assert code(plain.get_object, Bucket="main", Key="none") == "NoSuchKey"
assert code(plain.get_object, Bucket="none", Key="none") == "NoSuchBucket"
assert code(plain.put_object, Bucket="main", Key="a/../b", Body=b"") == "InvalidArgument"
assert code(plain.get_object, Bucket="main", Key="plain", Range="bytes=9-") == "InvalidRange"
for n in range(25):
    plain.put_object(Bucket="main", Key=f"many/{n % 5}/{n}", Body=b"")
pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket="main", Prefix="many/", PaginationConfig={"PageSize": 4}))
keys = [item["Key"] for page in pages for item in page["Contents"]]
assert len(pages) == 7 and keys == sorted(keys) and len(keys) == 25, keys
old = list(s3.get_paginator("list_objects").paginate(Bucket="main", Prefix="many/", Delimiter="/", PaginationConfig={"PageSize": 2}))
assert [item["Prefix"] for page in old for item in page.get("CommonPrefixes", [])] == [f"many/{n}/" for n in range(5)]
s3.copy_object(Bucket="main", Key="copy ü", CopySource={"Bucket": "main", "Key": "sums/SHA1 ü+%&'.txt"})
assert s3.get_object(Bucket="main", Key="copy ü")["Body"].read() == b"hello"
deleted = s3.delete_objects(Bucket="main", Delete={"Objects": [{"Key": key} for key in keys]})
assert len(deleted["Deleted"]) == 25 and "Errors" not in deleted, deleted
assert s3.get_bucket_location(Bucket="main")["LocationConstraint"] is None
assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["main"]
v2 = client(signature_version="s3")
assert v2.get_object(Bucket="main", Key="plain")["Body"].read() == b"plain"
print("served")
"#;
    let mut command = store.client(&python);
    command.args(["-c", script, &store.server.endpoint()]);
    assert_eq!(run(command).await?.trim(), "served");
    Ok(())
}

#[tokio::test]
async fn s5cmd_is_served() -> anyhow::Result<()> {
    if component::skipped("s5cmd") {
        return Ok(());
    }
    let program = program("s5cmd")?;
    let store = store().await?;
    let (up, down) = (store.dir.path().join("up"), store.dir.path().join("down"));
    let files = tree(&up)?;
    let endpoint = store.server.endpoint();
    let s5cmd = |args: &[&str]| {
        let mut command = store.client(&program);
        command.args(["--endpoint-url", &endpoint]).args(args);
        run(command)
    };
    s5cmd(&["cp", "--part-size", "5", "up/", "s3://main/"]).await?;
    assert_eq!(folder::objects(&store.folder())?, files);
    assert!(
        store.server.counters().get(Operation::UploadPart) > 1,
        "the large file came in parts"
    );
    assert_eq!(
        s5cmd(&["ls", "s3://main/*"]).await?.lines().count(),
        files.len()
    );
    let total: usize = files.values().map(Vec::len).sum();
    assert!(
        s5cmd(&["du", "s3://main/*"])
            .await?
            .contains(&total.to_string())
    );
    fs::create_dir(&down)?;
    s5cmd(&["cp", "s3://main/*", "down/"]).await?;
    assert_eq!(folder::objects(&down)?, files);
    s5cmd(&["mv", "s3://main/nar/plain.nar", "s3://main/nar/moved.nar"]).await?;
    assert_eq!(
        s5cmd(&["cat", "s3://main/nix-cache-info"]).await?,
        "StoreDir: /nix/store\n"
    );
    s5cmd(&["sync", "--delete", "s3://main/*", "down/"]).await?;
    assert!(down.join("nar/moved.nar").exists() && !down.join("nar/plain.nar").exists());

    let mut unsigned = store.client(&program);
    unsigned.args([
        "--no-sign-request",
        "--endpoint-url",
        &store.outer()?,
        "cat",
        "s3://main/nix-cache-info",
    ]);
    assert_eq!(run(unsigned).await?, "StoreDir: /nix/store\n");
    s5cmd(&["rm", "s3://main/*"]).await?;
    assert_eq!(folder::objects(&store.folder())?, BTreeMap::new());
    Ok(())
}

/// Nix 2.33 and later speak S3 by themselves; Debian's build of the newer one without credentials.
#[tokio::test]
async fn nix_copies_to_s3_and_substitutes_from_it() -> anyhow::Result<()> {
    let (Some(builder), Some(nix)) = (Nix::system()?, Nix::newer()?) else {
        return Ok(());
    };
    let (closure, nix) =
        tokio::task::spawn_blocking(move || Closure::get(&builder).map(|closure| (closure, nix)))
            .await??;
    let store = store().await?;
    let url = format!("s3://main?endpoint={}&region=us-east-1", store.outer()?);
    let source = format!("file://{}", closure.cache("xz").display());

    let mut copy = nix.command("nix");
    copy.args([
        "copy",
        "--from",
        &source,
        "--to",
        &url,
        &closure.app,
        &closure.doc,
        "--no-check-sigs",
    ]);
    run(copy).await?;
    let narinfos = folder::narinfos(&store.folder())?;
    assert!(
        narinfos.len() >= 2,
        "the narinfos are plain files: {:?}",
        narinfos.keys()
    );
    assert!(store.folder().join("nix-cache-info").exists());

    // The folder is a file:// cache at the same time.
    let mut info = nix.command("nix");
    info.args([
        "path-info",
        "-r",
        "--store",
        &format!("file://{}", store.folder().display()),
        &closure.app,
    ]);
    let by_file = run(info).await?;
    let mut info = nix.command("nix");
    info.args(["path-info", "-r", "--store", &url, &closure.app]);
    assert_eq!(run(info).await?, by_file);

    let target = nix.home().join("target").display().to_string();
    let mut fetch = nix.command("nix-store");
    fetch.args([
        "--store",
        &target,
        "-r",
        &closure.app,
        "--option",
        "substituters",
        &url,
    ]);
    fetch.args(["--option", "trusted-public-keys", &closure.public_key]);
    run(fetch).await?;
    let name = closure
        .app
        .rsplit('/')
        .next()
        .context("a store path has a name")?;
    assert!(Path::new(&target).join("nix/store").join(name).exists());

    // In parts, with the whole file's Content-MD5 on the empty request that begins the upload.
    let parts = format!(
        "{url}&multipart-upload=true&multipart-threshold=1&multipart-chunk-size=5242880&compression=none"
    );
    let again = tempfile::tempdir()?;
    fs::rename(store.folder().join("nar"), again.path().join("nar"))?;
    for narinfo in narinfos.keys() {
        fs::remove_file(store.folder().join(narinfo))?;
    }
    let mut copy = nix.command("nix");
    copy.env("XDG_CACHE_HOME", nix.home().join("fresh"));
    copy.args([
        "copy",
        "--from",
        &source,
        "--to",
        &parts,
        &closure.app,
        "--no-check-sigs",
    ]);
    run(copy).await?;
    let counters = store
        .server
        .external_counters()
        .context("there is an outer address")?;
    assert!(
        counters.get(Operation::CompleteUpload) > 0,
        "{:?}",
        counters.all()
    );
    assert!(!folder::narinfos(&store.folder())?.is_empty());
    Ok(())
}

//! `kill -9` at every step of an upload: no narinfo without its whole archive, no published path lost,
//! the same upload goes through on the next try, and nothing is left over in the end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use snowbank_shared::hash::Sha256;
use snowbank_shared::nar::{NarWriter, WriteError};
use snowbank_shared::narinfo::{Compression, NarInfo, NarInfoParts};
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::{StoreDir, StorePath, StorePathHash};
use snowbank_tests::closure::Closure;
use snowbank_tests::folder;
use snowbank_tests::nix::Nix;
use snowbank_tests::people::Person;
use snowbank_tests::server::{Server, Setup};
use tokio::task::JoinHandle;

use crate::uploads::{generate, register};

/// The variable that names the step at which an upload stands still.
const STOP_AT: &str = "SNOWBANK_TEST_STOP_AT";
/// Bytes of an archive of three parts.
const LARGE: usize = 17 << 20;

/// Somebody who may upload.
struct Uploader {
    token: String,
    key: SecretKey,
    key_file: PathBuf,
}

impl Uploader {
    async fn new(server: &Server, owner: &Person, home: &Path, name: &str) -> anyhow::Result<Self> {
        let grants = json!([{"role": "contributor", "cache": "main"}]);
        let person = owner.invite(server, name, grants).await?;
        let wish = json!({"name": "laptop", "caches": ["main"], "verbs": ["push"], "days": 1});
        let token = person.send(server, Method::POST, "/tokens", wish).await?;
        let key_file = home.join(format!("{name}.secret"));
        generate(&format!("{name}-1"), &key_file)?;
        register(server, owner, &person, &key_file).await?;
        Ok(Self {
            token: token["secret"].as_str().context("a token")?.to_owned(),
            key: fs::read_to_string(&key_file)?.trim().parse()?,
            key_file,
        })
    }
}

/// A path to send: a debug file of some size, not packed.
#[derive(Clone)]
struct Made {
    parts: NarInfoParts,
    archive: Vec<u8>,
}

impl Made {
    fn new(name: &str, size: usize, key: &SecretKey) -> anyhow::Result<Self> {
        let archive = archive(name, size)?;
        let mut digest = [0; 20];
        digest.copy_from_slice(&Sha256::digest(name.as_bytes()).0[..20]);
        let hash = Sha256::digest(&archive);
        let parts = NarInfoParts {
            store_path: StorePath::new(StorePathHash::from_bytes(digest), name)?,
            url: format!("nar/{}.nar", hash.to_nix32()),
            compression: Compression::None,
            file_hash: Some(hash.into()),
            file_size: Some(archive.len() as u64),
            nar_hash: hash,
            nar_size: archive.len() as u64,
            references: Vec::new(),
            deriver: Some(format!("{}-{name}.drv", StorePathHash::from_bytes(digest)).parse()?),
            signatures: Vec::new(),
            ca: None,
        };
        Ok(Self { parts, archive }.signed(key))
    }

    fn signed(mut self, key: &SecretKey) -> Self {
        let fingerprint = self.parts.fingerprint(&StoreDir::default());
        self.parts.signatures.push(key.sign(fingerprint.as_bytes()));
        self
    }

    fn key(&self) -> String {
        self.parts.store_path.hash().narinfo_key()
    }

    fn log(&self) -> String {
        format!("log/{}.drv", self.parts.store_path)
    }
}

/// `lib/debug/.build-id/xx/….debug` with noise of that size.
fn archive(name: &str, size: usize) -> Result<Vec<u8>, WriteError> {
    let mut noise = Vec::with_capacity(size + 32);
    let mut block = Sha256::digest(name.as_bytes());
    while noise.len() < size {
        block = Sha256::digest(&block.0);
        noise.extend_from_slice(&block.0);
    }
    noise.truncate(size);
    let id = Sha256::digest(name.as_bytes()).to_base16();
    let mut archive = Vec::new();
    let mut writer = NarWriter::new(|bytes: &[u8]| archive.extend_from_slice(bytes));
    for name in [
        "lib",
        "debug",
        ".build-id",
        &id[..2],
        &format!("{}.debug", &id[2..40]),
    ] {
        writer.directory()?;
        writer.entry(name.as_bytes())?;
    }
    writer.file(&noise, false)?;
    for _ in 0..5 {
        writer.end()?;
    }
    writer.finish()?;
    Ok(archive)
}

fn client() -> reqwest::Result<reqwest::Client> {
    let within = Duration::from_secs(120);
    reqwest::Client::builder().timeout(within).build()
}

/// PUTs something; the answer's status and line.
async fn put(origin: &str, token: &str, key: &str, bytes: Vec<u8>) -> anyhow::Result<String> {
    let request = client()?.put(format!("{origin}/main/{key}"));
    let request = request.basic_auth("nix", Some(token)).body(bytes);
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    Ok(format!("{status} {}", answer.text().await?))
}

/// Archive and narinfo, as `nix copy` sends them, then the log, as `nix store copy-log` does.
async fn send(origin: &str, token: &str, made: &Made) -> anyhow::Result<()> {
    let narinfo = made.parts.to_text(&StoreDir::default());
    let name = &made.parts.store_path;
    for (key, bytes) in [
        (made.parts.url.clone(), made.archive.clone()),
        (made.key(), narinfo.into_bytes()),
        (made.log(), format!("{name} was built").into_bytes()),
    ] {
        let answer = put(origin, token, &key, bytes).await?;
        ensure!(answer.trim() == "200", "{name}: {key}: {answer}");
    }
    Ok(())
}

/// Every narinfo of the bucket on the disk, each of whose archives is there and whole.
fn narinfos_with_whole_archives(bucket: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let narinfos = folder::narinfos(bucket)?;
    for (name, text) in &narinfos {
        let narinfo = NarInfo::parse(text, &StoreDir::default())?;
        let archive = fs::read(bucket.join(narinfo.nar_key().as_ref()))
            .with_context(|| format!("{name} has no archive"))?;
        let hash = narinfo.file_hash().and_then(|hash| hash.as_sha256());
        ensure!(
            hash == Some(Sha256::digest(&archive)),
            "the archive of {name} is not whole"
        );
    }
    Ok(narinfos)
}

/// Waits until the upload under way stands still.
async fn stands_still(server: &Server) -> anyhow::Result<()> {
    let still = async || Ok(server.log().contains("stands still for ever").then_some(()));
    server
        .eventually(Duration::from_secs(60), "the step", still)
        .await
}

/// Keys of the uploads in parts that were begun and neither completed nor aborted.
async fn unfinished(server: &Server) -> anyhow::Result<Vec<String>> {
    let s3 = server.s3.as_deref().context("no S3 address was printed")?;
    let listing = client()?.get(format!("{s3}/main?uploads")).send().await?;
    let listing = listing.error_for_status()?.text().await?;
    let keys = listing.split("<Upload>").skip(1).map(|upload| {
        let (_, key) = upload.split_once("<Key>").context("a key")?;
        Ok(key.split('<').next().unwrap_or_default().to_owned())
    });
    keys.collect()
}

struct World {
    server: Server,
    bucket: PathBuf,
    owner: Person,
    home: tempfile::TempDir,
}

impl World {
    async fn new() -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let bucket = home.path().join("bucket");
        fs::create_dir_all(&bucket)?;
        let server = Setup::new()
            .s3()
            .line("s3_anonymous = true")
            .folder("main", &bucket, &[])
            .start()
            .await?;
        let owner = server.owner("olga").await?;
        Ok(Self {
            server,
            bucket,
            owner,
            home,
        })
    }

    async fn uploader(&self, name: &str) -> anyhow::Result<Uploader> {
        Uploader::new(&self.server, &self.owner, self.home.path(), name).await
    }

    /// Starts the server again, to stand still at a step or at none.
    async fn restart(&mut self, stop_at: Option<&str>) -> anyhow::Result<()> {
        self.server.set_env(STOP_AT, stop_at);
        self.server.restart().await?;
        self.server.indexed("main").await?;
        Ok(())
    }

    /// Begins to send, beside what else happens: the client stays until the server is gone.
    fn begin(&self, by: &Uploader, made: &Made) -> JoinHandle<anyhow::Result<()>> {
        let (origin, token) = (self.server.origin.clone(), by.token.clone());
        let made = made.clone();
        tokio::spawn(async move { send(&origin, &token, &made).await })
    }

    /// Kills the server while it stands still, and starts it as it is to be. What was published
    /// before is there and served, byte for byte, but for `changing`.
    async fn killed(
        &mut self,
        before: &BTreeMap<String, Vec<u8>>,
        changing: &str,
    ) -> anyhow::Result<()> {
        self.server.kill();
        narinfos_with_whole_archives(&self.bucket)?;
        self.restart(None).await?;
        let now = narinfos_with_whole_archives(&self.bucket)?;
        for (name, text) in before {
            ensure!(now.contains_key(name), "{name} was lost");
            ensure!(name == changing || now[name] == *text, "{name} was changed");
            let served = self.server.bytes(&format!("/main/{name}")).await?;
            ensure!(served == now[name], "{name} is served otherwise");
        }
        // What is there of the path under way is whole for clients as well.
        if let Some(text) = now.get(changing) {
            let narinfo = NarInfo::parse(text, &StoreDir::default())?;
            let archive = format!("/main/{}", narinfo.nar_key());
            let archive = self.server.bytes(&archive).await?;
            ensure!(archive.len() as u64 == narinfo.file_size().unwrap_or_default());
        }
        Ok(())
    }

    /// What everybody is told of a path that went through.
    async fn is_published(&self, made: &Made, signatures: usize) -> anyhow::Result<()> {
        let path = &made.parts.store_path;
        let text = self.server.bytes(&format!("/main/{}", made.key())).await?;
        let narinfo = NarInfo::parse(&text, &StoreDir::default())?;
        ensure!(
            narinfo.signatures().len() == signatures,
            "{}",
            narinfo.text()
        );
        let row = format!("/api/v1/caches/main/paths/{}", path.hash());
        let seen = async || {
            let row = self.server.json(&row).await?;
            let good = row["signature"] == "valid" && row["content"] == "verified";
            Ok(good.then_some(()))
        };
        let within = Duration::from_secs(20);
        self.server.eventually(within, "the verdict", seen).await?;
        let listing = format!("/main/{}.ls", path.hash());
        let listing = self.server.json(&listing).await?;
        ensure!(listing["root"]["type"] == "directory", "{listing}");
        let id = Sha256::digest(path.name().as_bytes()).to_base16();
        let link = format!("/main/debuginfo/{}.debug", &id[..40]);
        let link = self.server.json(&link).await?;
        ensure!(
            link["archive"] == format!("../{}", made.parts.url),
            "{link}"
        );
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_step_nothing_half_is_left_and_the_next_try_goes_through() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let alice = world.uploader("alice").await?;
    let bob = world.uploader("bob").await?;
    let mut parts_left = Vec::new();
    let mut last = None;
    for (step, size, leaves_parts) in [
        ("log", 1000, false),
        ("begun", LARGE, true),
        ("first-part", LARGE, true),
        ("verified", LARGE, true),
        ("parts", LARGE, true),
        ("completed", LARGE, false),
        ("completed", 1000, false),
        ("judged", 1000, false),
        ("links", 1000, false),
        ("listing", 1000, false),
        ("receipt", 1000, false),
        ("narinfo", 1000, false),
        ("shown", 1000, false),
    ] {
        let made = Made::new(&format!("{step}-{size}"), size, &alice.key)?;
        let before = folder::narinfos(&world.bucket)?;
        world.restart(Some(step)).await?;
        let sending = world.begin(&alice, &made);
        stands_still(&world.server).await.context(step)?;
        world.killed(&before, &made.key()).await.context(step)?;
        ensure!(sending.await?.is_err(), "{step}: it went through");
        if leaves_parts {
            parts_left.push(made.parts.url.clone());
        }
        send(&world.server.origin, &alice.token, &made)
            .await
            .context(step)?;
        world.is_published(&made, 2).await.context(step)?;
        last = Some(made);
    }
    // A second contributor's signature on what is there.
    let mut made = last.context("a path")?;
    for (step, key) in [("merged", &bob.key), ("rewritten", &alice.key)] {
        if step == "rewritten" {
            // Signed by bob alone, so that alice's is new.
            made = Made::new("by-bob-first", 1000, &bob.key)?;
            send(&world.server.origin, &bob.token, &made).await?;
        }
        let more = made.clone().signed(key);
        let by = if step == "merged" { &bob } else { &alice };
        let before = folder::narinfos(&world.bucket)?;
        world.restart(Some(step)).await?;
        let sending = world.begin(by, &more);
        stands_still(&world.server).await.context(step)?;
        world.killed(&before, &made.key()).await.context(step)?;
        ensure!(sending.await?.is_err(), "{step}: it went through");
        send(&world.server.origin, &by.token, &more)
            .await
            .context(step)?;
        world.is_published(&more, 3).await.context(step)?;
    }
    // What the kills left of parts is known to the bucket and nothing else is.
    let mut left = unfinished(&world.server).await?;
    left.sort();
    parts_left.sort();
    ensure!(
        left == parts_left,
        "unfinished: {left:?}, not {parts_left:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nix_copies_a_closure_the_next_copy_goes_through() -> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    let mut world = World::new().await?;
    let alice = world.uploader("alice").await?;
    let netrc = world.home.path().join("netrc");
    fs::write(
        &netrc,
        format!("machine 127.0.0.1\nlogin nix\npassword {}\n", alice.token),
    )?;
    let copy = |nix: &Nix, server: &Server| {
        let mut command = nix.command("nix");
        command
            .args(["--option", "netrc-file"])
            .arg(&netrc)
            .args(["copy", "--no-check-sigs", "--from"])
            .arg(closure.store())
            .arg("--to")
            .arg(format!(
                "{}?compression=zstd&secret-key={}",
                server.url("/main"),
                alice.key_file.display()
            ))
            .arg(&closure.app);
        // What it remembers of the cache is not what this is about.
        let _ = fs::remove_dir_all(nix.home().join("cache"));
        command
    };
    let clients = Nix::each()?;
    for (number, step) in ["completed:4", "receipt:6", "narinfo:3"]
        .into_iter()
        .enumerate()
    {
        let nix = &clients[number % clients.len()];
        let before = folder::narinfos(&world.bucket)?;
        world.restart(Some(step)).await?;
        let mut copying = copy(nix, &world.server).spawn()?;
        stands_still(&world.server).await.context(step)?;
        world.killed(&before, "").await.context(step)?;
        ensure!(
            !copying.wait()?.success(),
            "{step}: {} did not notice",
            nix.version
        );
    }
    let nix = clients.last().context("a client")?;
    ensure!(
        copy(nix, &world.server).status()?.success(),
        "the last copy by {}",
        nix.version
    );
    let whole = builder.closure(&closure.store().display().to_string(), &closure.app)?;
    ensure!(narinfos_with_whole_archives(&world.bucket)?.len() == whole.len());
    let key = world.server.trusted_key("main").await?;
    let store = builder.home().join("store");
    builder
        .substitute(&store, &world.server.url("/main"), &key, &closure.app)?
        .ok()?;
    ensure!(builder.closure(&store.display().to_string(), &closure.app)? == whole);
    let server = &world.server;
    let all_good = async || {
        let rows = server.items("/api/v1/caches/main/paths").await?;
        let good = |row: &Value| row["signature"] == "valid" && row["content"] == "verified";
        Ok(rows.iter().all(good).then_some(()))
    };
    server
        .eventually(Duration::from_secs(20), "the verdict on each", all_good)
        .await
}

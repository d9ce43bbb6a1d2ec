//! From one key to the next with stock Nix clients: at no step does a machine that follows the page lose
//! access. And signatures in bulk: killed in the middle, beside other writers; and on another machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::StoreDir;
use snowbank_tests::closure::Closure;
use snowbank_tests::component;
use snowbank_tests::folder;
use snowbank_tests::nix::Nix;
use snowbank_tests::people::Person;
use snowbank_tests::server::{Server, Setup};

/// Narinfos of the large job.
const MANY: usize = 2_000;

/// The keys that a machine trusts which follows the page: those of the cache's nix.conf, as it is now.
async fn trusted(server: &Server) -> anyhow::Result<String> {
    let conf = server.text("/c/main/nix.conf").await?;
    let line = conf
        .lines()
        .find_map(|line| line.strip_prefix("extra-trusted-public-keys = "));
    Ok(line.context("no keys")?.to_owned())
}

/// Waits until a job is over.
async fn over(server: &Server, who: &Person, id: &str) -> anyhow::Result<Value> {
    let path = format!("/caches/main/jobs/{id}");
    let path = path.as_str();
    let seen = async || {
        let job = who.send(server, Method::GET, path, Value::Null).await?;
        Ok((job["state"] != "running").then_some(job))
    };
    let within = Duration::from_secs(180);
    server.eventually(within, "the end of the job", seen).await
}

/// A fresh machine with these keys gets the closure: with a store of its own and a cache of narinfos
/// of its own, for one that asked before knows the signatures of that day.
fn fetches(server: &Server, keys: &str, closure: &Closure, n: u32) -> anyhow::Result<()> {
    let nix = Nix::system()?.context("a Nix")?;
    let store = nix.home().join("machine");
    nix.substitute(&store, &server.url("/main"), keys, &closure.app)?
        .ok()
        .with_context(|| format!("machine {n} with {keys}"))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_follows_the_page_keeps_access_at_every_step() -> anyhow::Result<()> {
    let Some(nix) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&nix)?;
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    folder::copy(&closure.cache("xz"), &bucket)?;
    let key = closure.secret_key_file().display().to_string();
    let lines = [format!("signing_key_files = [{key:?}]")];
    let server = Setup::new().folder("main", &bucket, &lines).start().await?;
    server.indexed("main").await?;
    let olga = server.owner("olga").await?;
    let old = closure.public_key.split(':').next().context("a name")?;
    let before = trusted(&server).await?;
    fetches(&server, &before, &closure, 0)?;
    let go = async |step: Value| {
        olga.send(&server, Method::POST, "/caches/main/rotation/step", step)
            .await
    };
    let wish = json!({"old": old, "name": "rotated-2", "place": "server"});
    olga.send(&server, Method::POST, "/caches/main/rotation", wish)
        .await?;
    ensure!(trusted(&server).await? == before, "told too early");
    fetches(&server, &before, &closure, 1)?;
    go(json!({"step": "distribute"})).await?;
    let both = trusted(&server).await?;
    ensure!(both.contains("rotated-2:") && both.contains(old), "{both}");
    fetches(&server, &both, &closure, 2)?;
    let page = go(json!({"step": "resign"})).await?;
    let job = page["rotation"]["job"]["id"].as_str().context("a job")?;
    let job = over(&server, &olga, job).await?;
    ensure!(
        job["changed"].as_u64() == Some(closure.paths.len() as u64),
        "{job}"
    );
    // Who has not followed yet still gets everything, and so does who trusts the new key alone.
    let alone = both
        .split(' ')
        .find(|key| key.starts_with("rotated-2:"))
        .context("the new key")?;
    fetches(&server, &before, &closure, 3)?;
    fetches(&server, &both, &closure, 4)?;
    fetches(&server, alone, &closure, 5)?;
    go(json!({"step": "overlap"})).await?;
    go(json!({"step": "overlap", "shorten": "all machines are new"})).await?;
    go(json!({"step": "switch"})).await?;
    fetches(&server, &trusted(&server).await?, &closure, 6)?;
    let page = go(json!({"step": "retire"})).await?;
    ensure!(page["rotation"]["next"].is_null(), "{page}");
    let after = trusted(&server).await?;
    ensure!(after == alone, "{after}");
    fetches(&server, &after, &closure, 7)?;
    Ok(())
}

/// A key in a file.
fn key_in(folder: &Path, name: &str, seed: u8) -> anyhow::Result<(SecretKey, PathBuf)> {
    let key = SecretKey::generate(name, [seed; 32])?;
    let file = folder.join(format!("{name}.secret"));
    fs::write(&file, key.to_secret_text())?;
    Ok((key, file))
}

/// Adds a line as another writer does over S3; nothing where somebody was faster.
async fn foreign_put(server: &Server, object: &str, n: usize) -> anyhow::Result<Option<String>> {
    let client = reqwest::Client::new();
    let s3 = server.s3.as_ref().context("no S3")?;
    let url = format!("{s3}/main/{object}");
    let answer = client.get(&url).send().await?.error_for_status()?;
    let etag = answer.headers().get("etag").context("a tag")?.clone();
    let narinfo = NarInfo::parse(&answer.bytes().await?, &StoreDir::default())?;
    let key = SecretKey::generate(&format!("foreign-{n}"), [5; 32])?;
    let signature = key.sign(narinfo.fingerprint().as_bytes());
    let next = narinfo.add_signature(&signature)?.to_bytes().to_vec();
    let put = client.put(&url).header("if-match", etag).body(next);
    let status = put.send().await?.status();
    match status {
        StatusCode::OK => Ok(Some(signature.to_string())),
        StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => Ok(None),
        other => anyhow::bail!("{url}: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counter_signing_is_killed_in_the_middle_beside_other_writers_and_goes_on()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    fs::create_dir_all(&bucket)?;
    fs::write(bucket.join("nix-cache-info"), "StoreDir: /nix/store\n")?;
    let (theirs, _) = key_in(home.path(), "theirs-1", 3)?;
    let (team, team_file) = key_in(home.path(), "team-1", 4)?;
    let mut texts = BTreeMap::new();
    for n in 0..MANY {
        let (object, text) = folder::narinfo_alone(&format!("path-{n}"), &theirs)?;
        fs::write(bucket.join(&object), &text)?;
        texts.insert(object, text);
    }
    let lines = [
        format!(
            "signing_key_files = [{:?}]",
            team_file.display().to_string()
        ),
        format!("public_keys = [{:?}]", theirs.public_key().to_string()),
    ];
    let mut server = Setup::new()
        .s3()
        .line("s3_anonymous = true")
        .folder("main", &bucket, &lines)
        .start()
        .await?;
    server.indexed("main").await?;
    let olga = server.owner("olga").await?;
    let row = async |server: &Server, object: &str| {
        let hash = object.trim_end_matches(".narinfo");
        let path = format!("/api/v1/caches/main/paths/{hash}");
        server.json(&path).await
    };
    let objects: Vec<String> = texts.keys().cloned().collect();
    let first_seen = row(&server, &objects[0]).await?["added_at"].clone();
    let wish = json!({"act": "counter-sign", "filter": "", "content": "accept-signature"});
    let begun = olga
        .send(&server, Method::POST, "/caches/main/jobs", wish)
        .await?;
    let id = begun["id"].as_str().context("an id")?.to_owned();
    let mut foreign: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut round = 0;
    // Until some were written and, on a fast machine at most, all were.
    loop {
        let object = &objects[(round * 7_919) % MANY];
        if let Some(line) = foreign_put(&server, object, round).await? {
            foreign.entry(object.clone()).or_default().push(line);
        }
        round += 1;
        let text = fs::read_to_string(bucket.join(&objects[MANY / 8]))?;
        if text.contains("Sig: team-1:") || round == 400 {
            break;
        }
    }
    server.kill();
    // Nothing half written.
    for object in &objects {
        let text = fs::read(bucket.join(object))?;
        NarInfo::parse_strict(&text, &StoreDir::default())
            .with_context(|| format!("{object} is broken"))?;
    }
    server.restart().await?;
    // A session belongs to the address where it began.
    let olga = server.owner("oscar").await?;
    server.indexed("main").await?;
    for round in round..round + 100 {
        let object = &objects[(round * 7_919) % MANY];
        if let Some(line) = foreign_put(&server, object, round).await? {
            foreign.entry(object.clone()).or_default().push(line);
        }
    }
    let done = over(&server, &olga, &id).await?;
    ensure!(done["state"] == "done", "{done}");
    ensure!(done["looked_at"] == json!(MANY), "{done}");
    ensure!(done["skipped"] == json!([]), "{done}");
    for (object, text) in &texts {
        let now = fs::read_to_string(bucket.join(object))?;
        let narinfo = NarInfo::parse(text.as_bytes(), &StoreDir::default())?;
        let ours = team.sign(narinfo.fingerprint().as_bytes()).to_string();
        let mut rest = now.clone();
        for line in foreign.get(object).into_iter().flatten().chain([&ours]) {
            let line = format!("Sig: {line}\n");
            ensure!(rest.matches(&line).count() == 1, "{line} in {now}");
            rest = rest.replace(&line, "");
        }
        ensure!(
            rest == *text,
            "{object}: more changed than signatures: {now}"
        );
    }
    let seen = row(&server, &objects[0]).await?;
    ensure!(seen["added_at"] == first_seen, "{seen}");
    ensure!(seen["signers"].to_string().contains("team-1"), "{seen}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_a_network_signs_what_it_believes_and_nothing_else() -> anyhow::Result<()>
{
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    fs::create_dir_all(&bucket)?;
    let (alice, _) = key_in(home.path(), "alice-1", 6)?;
    let (mallory, _) = key_in(home.path(), "mallory-1", 7)?;
    let (offline, offline_file) = key_in(home.path(), "team-2", 8)?;
    for (n, key) in [&alice, &alice, &mallory].into_iter().enumerate() {
        let (object, text) = folder::narinfo_alone(&format!("path-{n}"), key)?;
        fs::write(bucket.join(object), text)?;
    }
    let keys = [
        alice.public_key().to_string(),
        offline.public_key().to_string(),
    ];
    let lines = [format!("public_keys = {keys:?}")];
    let server = Setup::new().folder("main", &bucket, &lines).start().await?;
    server.indexed("main").await?;
    let olga = server.owner("olga").await?;
    let path = "/caches/main/batches?by=team-2";
    let batch = olga.send(&server, Method::GET, path, Value::Null).await?;
    let file = |name: &str| home.path().join(name);
    fs::write(file("batch.json"), batch.to_string())?;
    let sign = |out: &str, trusted: Option<&SecretKey>| -> anyhow::Result<(Option<i32>, String)> {
        let mut command = Command::new(component::binary());
        command.args(["key", "sign"]).arg(file("batch.json"));
        command.arg("--secret-key-file").arg(&offline_file);
        command.arg("--out").arg(file(out));
        if let Some(key) = trusted {
            command.args(["--trusted-key", &key.public_key().to_string()]);
        }
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code(), text))
    };
    let (code, text) = sign("nobody.json", None)?;
    ensure!(
        code == Some(1),
        "somebody has to be believed: {code:?} {text}"
    );
    ensure!(!file("nobody.json").exists());
    let (code, text) = sign("signed.json", Some(&alice))?;
    ensure!(code == Some(2), "one is refused: {code:?} {text}");
    ensure!(
        text.contains("path-2") && text.contains("believe"),
        "{text}"
    );
    let (code, _) = sign("signed.json", Some(&alice))?;
    ensure!(code == Some(1), "a file that exists stays: {code:?}");
    let signed: Value = serde_json::from_slice(&fs::read(file("signed.json"))?)?;
    ensure!(
        signed["signatures"].as_array().map(Vec::len) == Some(2),
        "{signed}"
    );
    let secret = offline.to_secret_text();
    let secret = secret
        .trim()
        .split(':')
        .nth(1)
        .context("a secret")?
        .to_owned();
    ensure!(
        !signed.to_string().contains(&secret[..40]),
        "the secret got out"
    );
    let taken = olga
        .send(&server, Method::POST, "/caches/main/batches/signed", signed)
        .await?;
    ensure!(taken["changed"] == 2 && taken["refused"] == 0, "{taken}");
    let rows = server.items("/api/v1/caches/main/paths?key=team-2").await?;
    ensure!(rows.len() == 2, "{rows:?}");
    Ok(())
}

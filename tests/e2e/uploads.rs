//! Uploads by stock Nix: everyone with their own key, and clients that trust the cache's alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, io::Write as _};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3};
use snowbank_tests::closure::Closure;
use snowbank_tests::component;
use snowbank_tests::nix::{Nix, Outcome};
use snowbank_tests::people::Person;
use snowbank_tests::process::Process;
use snowbank_tests::server::{Server, Setup};

/// Somebody who uploads: a netrc file with their token, a secret key file.
pub(crate) struct Uploader {
    netrc: PathBuf,
    key: PathBuf,
}

/// Runs our own program, with a text on its standard input.
fn snowbank(args: &[&str], input: &str) -> anyhow::Result<String> {
    let mut child = Command::new(component::binary())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .context("standard input")?
        .write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "snowbank {args:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}

/// Makes a secret key file.
fn generate(name: &str, file: &Path) -> anyhow::Result<()> {
    let file = file.to_str().context("a name")?;
    snowbank(&["key", "generate", "--key-name", name, "--out", file], "").map(drop)
}

/// Registers a secret key file for a person, proves it by the command line, and has it accepted.
async fn register(
    server: &Server,
    owner: &Person,
    person: &Person,
    file: &Path,
) -> anyhow::Result<String> {
    let file = file.to_str().context("a name")?;
    let public = snowbank(&["key", "convert", file], "")?.trim().to_owned();
    let name = public.split(':').next().context("a name")?.to_owned();
    let at = |act: &str| format!("/contributors/{name}/{act}");
    let send = async |who: &Person, path: &str, body: Value| {
        who.send(server, Method::POST, path, body).await
    };
    let scope = json!({"caches": ["main"], "names": ["nothing-yet"]});
    send(
        person,
        "/contributors",
        json!({"public_key": public, "scope": scope}),
    )
    .await?;
    let challenge = send(person, &at("challenge"), json!({})).await?;
    let message = challenge["message"].as_str().context("a message")?;
    let signature = snowbank(&["key", "prove", "--key", file], message)?;
    send(
        person,
        &at("prove"),
        json!({"message": message, "signature": signature}),
    )
    .await?;
    let scope = json!({"caches": ["main"], "names": ["*"]});
    let accepted = send(owner, &at("accept"), json!({"scope": scope})).await?;
    ensure!(accepted["state"] == "active", "{accepted}");
    Ok(name)
}

pub(crate) async fn uploader(
    nix: &Nix,
    server: &Server,
    owner: &Person,
    name: &str,
) -> anyhow::Result<Uploader> {
    let person = owner
        .invite(
            server,
            name,
            json!([{"role": "contributor", "cache": "main"}]),
        )
        .await?;
    let wish = json!({"name": "laptop", "caches": ["main"], "verbs": ["push"], "days": 1});
    let token = person.send(server, Method::POST, "/tokens", wish).await?;
    let netrc = nix.home().join(format!("netrc-{name}"));
    let token = token["secret"].as_str().context("a token")?;
    fs::write(
        &netrc,
        format!("machine 127.0.0.1\nlogin nix\npassword {token}\n"),
    )?;
    let key = nix.home().join(format!("{name}.secret"));
    generate(&format!("{name}-1"), &key)?;
    register(server, owner, &person, &key).await?;
    Ok(Uploader { netrc, key })
}

/// `nix copy` of a path and its closure, signing with this key on the way.
pub(crate) fn push(
    nix: &Nix,
    store: &Path,
    server: &Server,
    by: &Uploader,
    path: &str,
) -> anyhow::Result<Outcome> {
    let _ = fs::remove_dir_all(nix.home().join("cache"));
    let to = format!(
        "{}?compression=zstd&secret-key={}",
        server.url("/main"),
        by.key.display()
    );
    nix.run(
        "nix",
        &[
            "--extra-experimental-features",
            "nix-command",
            "--option",
            "netrc-file",
            &by.netrc.display().to_string(),
            "copy",
            "--from",
            &store.display().to_string(),
            "--to",
            &to,
            "--no-check-sigs",
            path,
        ],
    )
}

pub(crate) async fn serve() -> anyhow::Result<(Server, tempfile::TempDir, Person)> {
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    fs::create_dir_all(&bucket)?;
    let server = Setup::new().folder("main", &bucket, &[]).start().await?;
    let owner = server.owner("olga").await?;
    Ok((server, home, owner))
}

/// The narinfos that are there.
fn published(home: &tempfile::TempDir) -> anyhow::Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(home.path().join("bucket"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<anyhow::Result<_>>()?;
    names.retain(|name| name.ends_with(".narinfo"));
    Ok(names)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stock_nix_uploads_clients_fetch_by_the_caches_key_alone() -> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    for nix in Nix::each()? {
        let (server, home, owner) = serve().await?;
        let alice = uploader(&nix, &server, &owner, "alice").await?;
        push(&nix, &closure.store(), &server, &alice, &closure.app)?.ok()?;
        let whole = builder.closure(&closure.store().display().to_string(), &closure.app)?;
        ensure!(published(&home)?.len() == whole.len(), "{}", nix.version);
        // Again, and by somebody else: nothing changes but signatures.
        push(&nix, &closure.store(), &server, &alice, &closure.app)?.ok()?;
        let bob = uploader(&nix, &server, &owner, "bob").await?;
        push(&nix, &closure.store(), &server, &bob, &closure.app)?.ok()?;
        ensure!(published(&home)?.len() == whole.len(), "{}", nix.version);
        let key = server.trusted_key("main").await?;
        for client in Nix::each()? {
            let store = client
                .home()
                .join(format!("store-of-{}", nix.version.len()));
            client
                .substitute(&store, &server.url("/main"), &key, &closure.app)?
                .ok()?;
            let got = client.closure(&store.display().to_string(), &closure.app)?;
            ensure!(
                got == whole,
                "another closure arrived in {}",
                client.version
            );
        }
        for path in server.items("/api/v1/caches/main/paths").await? {
            ensure!(
                path["signature"] == "valid" && path["content"] == "verified",
                "{path}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_nix_is_told_on_its_terminal_why_not_and_nothing_is_left() -> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    for nix in Nix::each()? {
        let (server, home, owner) = serve().await?;
        let alice = uploader(&nix, &server, &owner, "alice").await?;
        let refused = |by: &Uploader, store: &Path, says: &str| -> anyhow::Result<()> {
            let outcome = push(&nix, store, &server, by, &closure.doc)?;
            ensure!(
                !outcome.success,
                "{}: it went through: {outcome:?}",
                nix.version
            );
            ensure!(
                outcome.stderr.contains(says),
                "{}: {says} is not said: {}",
                nix.version,
                outcome.stderr
            );
            ensure!(
                published(&home)?.is_empty(),
                "{}: something is left",
                nix.version
            );
            Ok(())
        };
        let file = |name: &str| nix.home().join(name);
        let with_key = |name: &str, key: PathBuf| {
            generate(name, &key)?;
            anyhow::Ok(Uploader {
                netrc: alice.netrc.clone(),
                key,
            })
        };
        let stranger = with_key("stranger-1", file("stranger.secret"))?;
        refused(
            &stranger,
            &closure.store(),
            "nobody registered the key stranger-1",
        )?;
        // Somebody else's key under a name that is known.
        let forged = with_key("alice-1", file("forged.secret"))?;
        refused(
            &forged,
            &closure.store(),
            "the signature by alice-1 does not match",
        )?;
        // What changed on the disk after it was built: Nix signs and sends it all the same.
        let spoilt = file("spoilt");
        ensure!(
            Command::new("cp")
                .arg("-a")
                .arg(closure.store())
                .arg(&spoilt)
                .status()?
                .success(),
            "the store cannot be copied"
        );
        let victim = spoilt.join(closure.doc.trim_start_matches('/'));
        ensure!(
            Command::new("chmod")
                .args(["-R", "u+w"])
                .arg(&victim)
                .status()?
                .success()
        );
        let target = if victim.is_dir() {
            first_file(&victim)?.context("a file")?
        } else {
            victim
        };
        let mut bytes = fs::read(&target)?;
        let last = bytes.last_mut().context("some bytes")?;
        *last ^= 1;
        fs::write(&target, bytes)?;
        refused(&alice, &spoilt, "the content differs")?;
        let _ = Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(&spoilt)
            .status();
    }
    Ok(())
}

fn first_file(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_file() && fs::metadata(&path)?.len() > 0 {
            return Ok(Some(path));
        }
        if path.is_dir()
            && let Some(found) = first_file(&path)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// `nix copy` of a path and its closure, signed on the disk before.
fn push_signed(
    nix: &Nix,
    store: &Path,
    server: &Server,
    by: &Uploader,
    path: &str,
) -> anyhow::Result<Outcome> {
    let folder = format!(
        "file://{}?compression=zstd",
        nix.home().join("out").display()
    );
    let (store, key) = (store.display().to_string(), by.key.display().to_string());
    let (netrc, to) = (by.netrc.display().to_string(), server.url("/main"));
    let common = ["--extra-experimental-features", "nix-command"];
    let run = |args: &[&str]| nix.run("nix", &[&common[..], args].concat());
    run(&[
        "copy",
        "--from",
        &store,
        "--to",
        &folder,
        "--no-check-sigs",
        path,
    ])?
    .ok()?;
    run(&["store", "sign", "--store", &folder, "-k", &key, "-r", path])?.ok()?;
    run(&[
        "--option",
        "netrc-file",
        &netrc,
        "copy",
        "--from",
        &folder,
        "--to",
        &to,
        "--no-check-sigs",
        path,
    ])
}

/// An S3 store for two servers, with what it needs to live.
struct Shared {
    endpoint: String,
    access_key: String,
    secret_key: String,
    _embedded: Option<EmbeddedS3>,
    _moto: Option<Process>,
    _folder: tempfile::TempDir,
}

impl Shared {
    async fn embedded() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut config = EmbeddedConfig::new().bucket("team", folder.path().join("team"));
        config.durable = false;
        let server = EmbeddedS3::start(config).await?;
        let credentials = server.credentials().clone();
        Ok(Self {
            endpoint: server.endpoint(),
            access_key: credentials.access_key,
            secret_key: credentials.secret_key,
            _embedded: Some(server),
            _moto: None,
            _folder: folder,
        })
    }

    async fn moto() -> anyhow::Result<Self> {
        let mut command = Command::new("moto_server");
        command.args(["--host", "127.0.0.1", "--port", "0"]);
        let mut moto = Process::start("moto", &mut command)?;
        let endpoint = moto
            .wait_for(Duration::from_secs(60), "its address", |log| {
                let (_, rest) = log.split_once("Running on ")?;
                let (address, _) = rest.split_once('\n')?;
                Some(address.trim().to_owned())
            })
            .await?;
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()?;
        let made = client.put(format!("{endpoint}/team")).send().await?;
        ensure!(made.status().is_success(), "{}", made.status());
        Ok(Self {
            endpoint,
            access_key: "key".to_owned(),
            secret_key: "secret".to_owned(),
            _embedded: None,
            _moto: Some(moto),
            _folder: tempfile::tempdir()?,
        })
    }

    /// A server over this store; a second one needs the secret of the first.
    async fn server(&self, key: &Path, secret: Option<&Path>) -> anyhow::Result<Server> {
        let lines = [
            "bucket = \"team\"".to_owned(),
            format!("endpoint = {:?}", self.endpoint),
            format!("signing_key_files = [{:?}]", key.display().to_string()),
        ];
        let setup = match secret {
            Some(secret) => {
                Setup::new().line(&format!("secret_file = {:?}", secret.display().to_string()))
            }
            None => Setup::new(),
        };
        setup
            .env("AWS_ACCESS_KEY_ID", &self.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &self.secret_key)
            .cache("main", &lines)
            .start()
            .await
    }
}

/// Two contributors send the same closure at the same time, one of them to another replica.
async fn two_at_once(shared: Shared, replicas: bool) -> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    let home = tempfile::tempdir()?;
    let key = home.path().join("team-1.secret");
    generate("team-1", &key)?;
    let first = shared.server(&key, None).await?;
    let owner = first.owner("olga").await?;
    let clients = Nix::each()?;
    let (one, two) = (&clients[0], clients.last().context("a client")?);
    let alice = uploader(one, &first, &owner, "alice").await?;
    let bob = uploader(two, &first, &owner, "bob").await?;
    let second = match replicas {
        true => {
            let secret = first.data().join("state.secret");
            Some(shared.server(&key, Some(&secret)).await?)
        }
        false => None,
    };
    let other = second.as_ref().unwrap_or(&first);
    let store = closure.store();
    std::thread::scope(|scope| {
        let plain = scope.spawn(|| push(one, &store, &first, &alice, &closure.app)?.ok());
        let signed = scope.spawn(|| push_signed(two, &store, other, &bob, &closure.app)?.ok());
        let joined = |thread: std::thread::ScopedJoinHandle<'_, anyhow::Result<String>>| {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))?
        };
        joined(plain)?;
        joined(signed)?;
        anyhow::Ok(())
    })?;
    let whole = builder.closure(&store.display().to_string(), &closure.app)?;
    let key = first.trusted_key("main").await?;
    // Clients of their own: who uploads remembers what they sent, without the cache's signature.
    for (server, client) in [&first, other].into_iter().zip(Nix::each()?) {
        let to = client.home().join("store");
        client
            .substitute(&to, &server.url("/main"), &key, &closure.app)?
            .ok()?;
        let got = client.closure(&to.display().to_string(), &closure.app)?;
        ensure!(got == whole, "another closure arrived");
        // What the other published shows by itself.
        let paths = async || {
            let rows = server.items("/api/v1/caches/main/paths").await?;
            let good = rows.iter().all(|row| row["signature"] == "valid");
            Ok((good && rows.len() == whole.len()).then_some(()))
        };
        server
            .eventually(Duration::from_secs(30), "the whole list", paths)
            .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_at_once_upload_to_two_replicas() -> anyhow::Result<()> {
    two_at_once(Shared::embedded().await?, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_at_once_upload_to_a_bucket_of_moto() -> anyhow::Result<()> {
    if component::skipped("moto") || component::skipped(component::NIX) {
        return Ok(());
    }
    two_at_once(Shared::moto().await?, false).await
}

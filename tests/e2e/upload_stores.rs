//! Uploads by two clients at once to every kind of S3 store, and to two replicas on one.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3};
use snowbank_tests::closure::Closure;
use snowbank_tests::component;
use snowbank_tests::garage::{self, Garage};
use snowbank_tests::nix::Nix;
use snowbank_tests::people::Person;
use snowbank_tests::process::Process;
use snowbank_tests::server::{Server, Setup};

use crate::uploads::{generate, push, push_signed, uploader};

/// An S3 store for two servers, with what it needs to live.
struct Shared {
    endpoint: String,
    access_key: String,
    secret_key: String,
    region: &'static str,
    _garage: Option<Garage>,
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
            region: "us-east-1",
            _garage: None,
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
            region: "us-east-1",
            _garage: None,
            _embedded: None,
            _moto: Some(moto),
            _folder: tempfile::tempdir()?,
        })
    }

    /// `None`, said aloud, where there is no Garage.
    async fn garage() -> anyhow::Result<Option<Self>> {
        let Some(garage) = Garage::start("team").await else {
            return Ok(None);
        };
        Ok(Some(Self {
            endpoint: garage.endpoint.clone(),
            access_key: garage.access_key.clone(),
            secret_key: garage.secret_key.clone(),
            region: garage::REGION,
            _garage: Some(garage),
            _embedded: None,
            _moto: None,
            _folder: tempfile::tempdir()?,
        }))
    }

    /// A server over this store; a second one needs the secret of the first.
    async fn server(&self, key: &Path, secret: Option<&Path>) -> anyhow::Result<Server> {
        let lines = [
            "bucket = \"team\"".to_owned(),
            format!("endpoint = {:?}", self.endpoint),
            format!("region = {:?}", self.region),
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
    if replicas {
        purged_everywhere(&first, other, &owner, &closure.app).await?;
    }
    Ok(())
}

/// What is purged at one replica is not served by the other, nor shown.
async fn purged_everywhere(
    first: &Server,
    other: &Server,
    owner: &Person,
    path: &str,
) -> anyhow::Result<()> {
    let (_, name) = path.rsplit_once('/').context("a store path")?;
    let hash = name.get(..32).context("a hash")?;
    let purge = format!("/caches/main/paths/{hash}/purge");
    let shown = owner.send(first, Method::GET, &purge, Value::Null).await?;
    let wish = json!({"reason": "a token leaked", "nar_hash": shown["nar_hash"]});
    let done = owner.send(first, Method::POST, &purge, wish).await?;
    ensure!(done["objects"].as_u64() >= Some(2), "{done}");
    for page in [
        format!("/main/{hash}.narinfo"),
        format!("/api/v1/caches/main/paths/{hash}"),
    ] {
        let gone = async || {
            let answer = other.request(Method::GET, &page).send().await?;
            Ok((answer.status() == 404).then_some(()))
        };
        other
            .eventually(Duration::from_secs(30), "the other replica", gone)
            .await?;
    }
    // It knows why, too: so it refuses the same.
    let gone = format!("/api/v1/caches/main/gc/gone/{hash}");
    let told = async || {
        let answer = other.request(Method::GET, &gone).send().await?;
        if answer.status() != 200 {
            return Ok(None);
        }
        let told: Value = answer.json().await?;
        Ok((told["purged"] == true).then_some(()))
    };
    other
        .eventually(Duration::from_secs(30), "the tombstone", told)
        .await
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

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_at_once_upload_to_a_bucket_of_garage() -> anyhow::Result<()> {
    match Shared::garage().await? {
        Some(shared) => two_at_once(shared, false).await,
        None => Ok(()),
    }
}

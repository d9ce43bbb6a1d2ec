//! The server under test: the binary, its configuration, and a client for its HTTP.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;

use crate::component;
use crate::process::Process;

/// How long a start may take. A debug build on a busy machine is slow.
const START: Duration = Duration::from_secs(30);
/// How long a first index of a test bucket may take.
const INDEX: Duration = Duration::from_secs(60);

/// What to start: caches and settings, written as the TOML a user would write.
pub struct Setup {
    toml: String,
    caches: String,
    environment: Vec<(String, String)>,
    s3: bool,
}

impl Setup {
    /// A server without caches.
    pub fn new() -> Self {
        Self {
            toml: String::new(),
            caches: String::new(),
            environment: Vec::new(),
            s3: false,
        }
    }

    /// Adds a server-wide line, such as `public_url = "…"`.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.toml.push_str(line);
        self.toml.push('\n');
        self
    }

    /// Adds a cache; `lines` are TOML lines of its table.
    #[must_use]
    pub fn cache(mut self, slug: &str, lines: &[String]) -> Self {
        let _ = writeln!(self.caches, "\n[caches.{slug}]\n{}", lines.join("\n"));
        self
    }

    /// Adds a cache over a folder, adopted as it lies.
    #[must_use]
    pub fn folder(self, slug: &str, folder: &Path, lines: &[String]) -> Self {
        let mut all = vec![format!("folder = {:?}", folder.display().to_string())];
        all.extend_from_slice(lines);
        self.cache(slug, &all)
    }

    /// Sets a variable of the server's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Offers the embedded buckets over S3 too.
    #[must_use]
    pub fn s3(mut self) -> Self {
        self.s3 = true;
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When it ends or says no address in time, with what it printed.
    pub async fn start(self) -> anyhow::Result<Server> {
        let home = tempfile::Builder::new()
            .prefix("snowbank-test-")
            .tempdir()?;
        let mut toml = format!(
            "listen = \"127.0.0.1:0\"\ndata_dir = {:?}\n",
            home.path().join("data").display().to_string()
        );
        if self.s3 {
            toml.push_str("s3_listen = \"127.0.0.1:0\"\n");
        }
        toml.push_str(&self.toml);
        toml.push_str(&self.caches);
        let config = home.path().join("snowbank.toml");
        fs::write(&config, &toml)?;
        let args = vec![
            "serve".to_owned(),
            "--config".to_owned(),
            config.display().to_string(),
        ];
        Server::spawn(home, args, self.environment, self.s3).await
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

/// A running server. Dropping it kills it and removes its folders.
pub struct Server {
    process: Process,
    home: TempDir,
    args: Vec<String>,
    environment: Vec<(String, String)>,
    offers_s3: bool,
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub origin: String,
    /// Where its embedded S3 listens, if it was asked to.
    pub s3: Option<String>,
    client: reqwest::Client,
}

impl Server {
    /// `snowbank demo`.
    ///
    /// # Errors
    /// As [`Setup::start`].
    pub async fn demo() -> anyhow::Result<Self> {
        Self::demo_with(&[]).await
    }

    /// `snowbank demo` with more arguments.
    ///
    /// # Errors
    /// As [`Setup::start`].
    pub async fn demo_with(more: &[&str]) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new()
            .prefix("snowbank-test-")
            .tempdir()?;
        let usual = ["demo", "--listen", "127.0.0.1:0"];
        let args = usual.iter().chain(more);
        let args = args.map(|&arg| arg.to_owned()).collect();
        let server = Self::spawn(home, args, Vec::new(), false).await?;
        server.indexed("main").await?;
        Ok(server)
    }

    async fn spawn(
        home: TempDir,
        args: Vec<String>,
        environment: Vec<(String, String)>,
        offers_s3: bool,
    ) -> anyhow::Result<Self> {
        let process = Process::start(
            "snowbank",
            &mut Self::command(home.path(), &args, &environment),
        )?;
        let mut server = Self {
            process,
            home,
            args,
            environment,
            offers_s3,
            origin: String::new(),
            s3: None,
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(30))
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
        };
        server.listening().await?;
        Ok(server)
    }

    fn command(home: &Path, args: &[String], environment: &[(String, String)]) -> Command {
        let mut command = Command::new(component::binary());
        command
            .args(args)
            .current_dir(home)
            .env("TMPDIR", home)
            .env("NO_COLOR", "1");
        for (name, _) in std::env::vars_os() {
            // Neither the tester's own configuration nor their credentials take part.
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("SNOWBANK_") || name.starts_with("AWS_"))
            {
                command.env_remove(name);
            }
        }
        // The demo is quieter by default than a server.
        command
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("SNOWBANK_LOG", "info");
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command
    }

    async fn listening(&mut self) -> anyhow::Result<()> {
        self.origin = self
            .process
            .wait_for(START, "the address", |log| address(log, " is at "))
            .await?;
        if self.offers_s3 {
            let s3 = self
                .process
                .wait_for(START, "the address of its S3", |log| {
                    address(log, "reach the buckets at ")
                });
            self.s3 = Some(s3.await?);
        }
        Ok(())
    }

    /// Its working folder: configuration, data, temporary files.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Everything it printed so far.
    pub fn log(&self) -> String {
        self.process.log.text()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// The first key that machines are told to trust for a cache.
    ///
    /// # Errors
    /// When there is none.
    pub async fn trusted_key(&self, cache: &str) -> anyhow::Result<String> {
        let keys = self.text(&format!("/c/{cache}/keys.txt")).await?;
        let key = keys
            .lines()
            .find(|line| !line.starts_with('#') && !line.is_empty());
        Ok(key.context("keys.txt names no key")?.to_owned())
    }

    /// SIGTERM, as a service manager sends it.
    ///
    /// # Errors
    /// When it does not end within ten seconds.
    pub async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        self.process.terminate(Duration::from_secs(10)).await
    }

    /// Starts it again on the same folders, at a new address.
    ///
    /// # Errors
    /// As [`Setup::start`].
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.process.kill();
        self.process = Process::start(
            "snowbank",
            &mut Self::command(self.home.path(), &self.args, &self.environment),
        )?;
        self.listening().await
    }

    /// Sets or removes a variable of its environment, from its next start on.
    pub fn set_env(&mut self, name: &str, value: Option<&str>) {
        self.environment.retain(|(known, _)| known != name);
        let new = value.map(|value| (name.to_owned(), value.to_owned()));
        self.environment.extend(new);
    }

    /// A full URL on it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// GET, whatever the status.
    ///
    /// # Errors
    /// When no answer comes within 30 s.
    pub async fn get(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        self.client
            .get(self.url(path))
            .send()
            .await
            .with_context(|| format!("GET {path}"))
    }

    /// Any other request.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// The status of a GET.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn status(&self, path: &str) -> anyhow::Result<StatusCode> {
        Ok(self.get(path).await?.status())
    }

    /// The status of a GET by a client that asks more often than a stranger may, and waits
    /// where it is told to: 429 with `Retry-After`.
    ///
    /// # Errors
    /// As [`Self::get`], and when it is told to wait again and again.
    pub async fn patient_status(&self, path: &str) -> anyhow::Result<StatusCode> {
        for _ in 0..10 {
            let answer = self.get(path).await?;
            if answer.status() != StatusCode::TOO_MANY_REQUESTS {
                return Ok(answer.status());
            }
            let seconds = answer
                .headers()
                .get(reqwest::header::RETRY_AFTER)
                .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
                .with_context(|| format!("GET {path}: 429 that does not say how long"))?;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        anyhow::bail!("GET {path}: ten times 429")
    }

    /// The bytes of a GET that has to be 200.
    ///
    /// # Errors
    /// When it is not, with the body.
    pub async fn bytes(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let answer = self.get(path).await?;
        let status = answer.status();
        let bytes = answer.bytes().await?;
        ensure!(
            status == StatusCode::OK,
            "GET {path}: {status}: {}",
            String::from_utf8_lossy(&bytes)
        );
        Ok(bytes.to_vec())
    }

    /// The text of a GET that has to be 200.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        Ok(String::from_utf8(self.bytes(path).await?)?)
    }

    /// The JSON of a GET that has to be 200.
    ///
    /// # Errors
    /// As [`Self::bytes`], and when it is no JSON.
    pub async fn json(&self, path: &str) -> anyhow::Result<Value> {
        let bytes = self.bytes(path).await?;
        serde_json::from_slice(&bytes)
            .with_context(|| format!("GET {path}: {}", String::from_utf8_lossy(&bytes)))
    }

    /// All items of a list, over all its pages.
    ///
    /// # Errors
    /// As [`Self::json`], and when the pages do not end.
    pub async fn items(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..1000 {
            let separator = if path.contains('?') { '&' } else { '?' };
            let page = match &cursor {
                None => self.json(path).await?,
                Some(cursor) => {
                    self.json(&format!("{path}{separator}cursor={cursor}"))
                        .await?
                }
            };
            items.extend(
                page["items"]
                    .as_array()
                    .with_context(|| format!("{path} has no items"))?
                    .iter()
                    .cloned(),
            );
            match page["next"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
        bail!("{path} has more than a thousand pages")
    }

    /// Waits until the cache's index is complete.
    ///
    /// # Errors
    /// When it fails or takes longer than a minute.
    pub async fn indexed(&self, cache: &str) -> anyhow::Result<Value> {
        self.indexed_within(INDEX, cache).await
    }

    /// The same of a cache that may take longer.
    ///
    /// # Errors
    /// When it fails or takes longer.
    pub async fn indexed_within(&self, patience: Duration, cache: &str) -> anyhow::Result<Value> {
        self.eventually(patience, &format!("the index of {cache}"), async || {
            let cache = self.json(&format!("/api/v1/caches/{cache}")).await?;
            ensure!(
                cache["index"]["state"] != "failed",
                "the sweep failed: {}",
                cache["index"]["error"]
            );
            let done = cache["index"]["state"] == "ready" && cache["index"]["as_of"].is_string();
            Ok(done.then_some(cache))
        })
        .await
    }

    /// Asks again until there is an answer.
    ///
    /// # Errors
    /// The question's own error, or that the time is over.
    pub async fn eventually<T>(
        &self,
        within: Duration,
        what: &str,
        mut ask: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let end = Instant::now() + within;
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            if Instant::now() > end {
                bail!(
                    "{what} did not come within {within:?}; the server printed:\n{}",
                    self.log()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The `http://ADDRESS:PORT` behind `words` in the server's output.
fn address(log: &str, words: &str) -> Option<String> {
    let rest = &log[log.find(words)? + words.len()..];
    let start = rest.find("http://")?;
    let origin: String = rest[start..]
        .chars()
        .take_while(|c| !c.is_whitespace() && *c != ',')
        .collect();
    // A line cut in the middle would give half a port: wait for its end.
    rest[start..]
        .contains('\n')
        .then(|| origin.trim_end_matches('/').to_owned())
}

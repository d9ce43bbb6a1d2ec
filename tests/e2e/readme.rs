//! The commands of the README, run as they are written there: only the address of the server and the
//! reader's home are put in the place of those in the text.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::json;
use snowbank_tests::closure::Closure;
use snowbank_tests::component;
use snowbank_tests::nix::Nix;
use snowbank_tests::server::{Server, Setup};

const README: &str = include_str!("../../README.md");

/// The blocks of commands in a section of the README, as they are written.
fn blocks(section: &str) -> anyhow::Result<Vec<String>> {
    let heading = format!("\n## {section}");
    let at = README
        .find(&heading)
        .with_context(|| format!("the README has no section {section}"))?;
    let text = &README[at + heading.len()..];
    let text = text.split("\n## ").next().unwrap_or_default();
    let mut blocks = Vec::new();
    // What the block is indented by, and its lines.
    let mut open: Option<(usize, bool, String)> = None;
    for line in text.lines() {
        let bare = line.trim_start();
        match &mut open {
            Some((_, shell, block)) if bare.starts_with("```") => {
                if *shell {
                    blocks.push(std::mem::take(block));
                }
                open = None;
            }
            Some((indent, _, block)) => {
                block.push_str(line.get(*indent..).unwrap_or_default());
                block.push('\n');
            }
            None => {
                if let Some(language) = bare.strip_prefix("```") {
                    let shell = matches!(language, "sh" | "");
                    open = Some((line.len() - bare.len(), shell, String::new()));
                }
            }
        }
    }
    ensure!(!blocks.is_empty(), "{section} has no commands");
    Ok(blocks)
}

/// Somebody at a terminal: a new home, a store of their own, `snowbank` on the path.
struct Reader<'a> {
    nix: &'a Nix,
    server: &'a Server,
    token: String,
}

impl<'a> Reader<'a> {
    fn new(nix: &'a Nix, server: &'a Server) -> anyhow::Result<Self> {
        let programs = nix.home().join("programs");
        fs::create_dir(&programs)?;
        std::os::unix::fs::symlink(component::binary(), programs.join("snowbank"))?;
        Ok(Self {
            nix,
            server,
            token: String::new(),
        })
    }

    fn home(&self) -> &Path {
        self.nix.home()
    }

    /// Runs a block; what it printed.
    fn runs(&self, block: &str) -> anyhow::Result<String> {
        let home = self.home().display().to_string();
        let address = self.server.origin.trim_start_matches("http://");
        let script = block
            .replace("127.0.0.1:8080", address)
            .replace("/home/alice", &home);
        let mut command = Command::new("timeout");
        self.nix.surround(&mut command);
        let programs = std::env::var("PATH").unwrap_or_default();
        let output = command
            .args(["120", "bash", "-euo", "pipefail", "-c", &script])
            .current_dir(self.home())
            .env("PATH", format!("{home}/programs:{programs}"))
            .env("XDG_CONFIG_HOME", format!("{home}/.config"))
            .env_remove("NIX_USER_CONF_FILES")
            .env("NIX_REMOTE", format!("{home}/store"))
            .env("TOKEN", &self.token)
            .output()?;
        ensure!(
            output.status.success(),
            "this block of the README fails:\n{block}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// `./result`, as a build leaves it.
    fn built(&self, path: &str) -> anyhow::Result<()> {
        let link = self.home().join("result");
        let _ = fs::remove_file(&link);
        Ok(std::os::unix::fs::symlink(path, link)?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contributor_follows_the_readme_from_a_key_to_an_upload() -> anyhow::Result<()> {
    let Some(nix) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&nix)?;
    let bucket = tempfile::tempdir()?;
    let server = Setup::new()
        .folder("main", bucket.path(), &[])
        .start()
        .await?;
    let owner = server.owner("olga").await?;
    let grants = json!([{"role": "contributor", "cache": "main"}]);
    let alice = owner.invite(&server, "alice", grants).await?;
    let mut reader = Reader::new(&nix, &server)?;
    let copied = Command::new("cp")
        .arg("-a")
        .arg(closure.store())
        .arg(reader.home().join("store"))
        .status()?;
    ensure!(copied.success(), "the store cannot be copied");

    let at = |act: &str| format!("/contributors/alice-laptop-1/{act}");
    let secret = reader.home().join(".config/nix/alice-laptop-1.secret");
    let (mut made, mut proven) = (0, false);
    let mut message = String::new();
    for block in blocks("Contributors")? {
        // Both ways of making a key end in the same file, and neither writes over one.
        if block.contains(" key generate") {
            let _ = fs::remove_file(&secret);
        }
        let printed = reader.runs(&block)?;
        if block.contains(" key generate") {
            made += 1;
            let public = printed.lines().last().unwrap_or_default();
            ensure!(public.starts_with("alice-laptop-1:"), "{printed}");
            // The page of keys, by its API.
            let scope = json!({"caches": ["main"], "names": ["x"]});
            let wish = json!({"public_key": public, "scope": scope});
            if made == 2 {
                let send = |path: String, body| {
                    let (alice, server) = (&alice, &server);
                    async move { alice.send(server, Method::POST, &path, body).await }
                };
                send("/contributors".to_owned(), wish).await?;
                let challenge = send(at("challenge"), json!({})).await?;
                challenge["message"]
                    .as_str()
                    .context("a message")?
                    .clone_into(&mut message);
                fs::write(reader.home().join("challenge.txt"), &message)?;
            }
        }
        if block.contains(" key prove") {
            let proof = json!({"message": message, "signature": printed.trim()});
            alice
                .send(&server, Method::POST, &at("prove"), proof)
                .await?;
            let scope = json!({"scope": {"caches": ["main"], "names": ["*"]}});
            owner
                .send(&server, Method::POST, &at("accept"), scope)
                .await?;
            proven = true;
        }
    }
    ensure!(
        made == 2 && proven,
        "the README made {made} keys, proven: {proven}"
    );

    let wish = json!({"name": "laptop", "caches": ["main"], "verbs": ["push"], "days": 1});
    let token = alice.send(&server, Method::POST, "/tokens", wish).await?;
    token["secret"]
        .as_str()
        .context("a token")?
        .clone_into(&mut reader.token);
    let mut uploads = 0;
    for block in blocks("Uploading")? {
        if block.contains("nix copy") {
            // Something new for each way.
            let path = [&closure.app, &closure.doc].get(uploads).copied();
            reader.built(path.unwrap_or(&closure.app))?;
            uploads += 1;
        }
        reader.runs(&block)?;
    }
    ensure!(uploads >= 2, "the README uploads {uploads} times");
    let key = server.trusted_key("main").await?;
    for path in [&closure.app, &closure.doc] {
        let client = Nix::system()?.context("Nix")?;
        let store = client.home().join("fresh");
        client
            .substitute(&store, &server.url("/main"), &key, path)?
            .ok()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_fetches_from_the_demo_as_the_readme_says() -> anyhow::Result<()> {
    let Some(nix) = Nix::system()? else {
        return Ok(());
    };
    let server = Server::demo().await?;
    let reader = Reader::new(&nix, &server)?;
    let mut fetched = 0;
    for block in blocks("Two commands")? {
        // The first of the two is the server that is running.
        if !block.starts_with("cargo run ") {
            let path = reader.runs(&block)?;
            let store = reader.home().join("store");
            ensure!(
                store.join(path.trim().trim_start_matches('/')).exists(),
                "{path} did not come"
            );
            fetched += 1;
        }
    }
    ensure!(fetched > 0, "the README fetches nothing");
    Ok(())
}

//! The flow of the blog post that began the project, with nothing but stock tools:
//! make a key, build, sign, copy to S3, look at it, delete it, fetch it back.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use snowbank_tests::browser::Browser;
use snowbank_tests::nix::Nix;
use snowbank_tests::server::Setup;

const HELLO: &str = r#"derivation { name = "hello-from-s3-1.0"; system = builtins.currentSystem; builder = "/bin/sh";
  args = [ "-c" "echo hello from s3 > $out" ]; }"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_build_goes_to_s3_is_seen_and_comes_back() -> anyhow::Result<()> {
    // 2.8 builds and signs; Debian's 2.8 has no S3, so the newer one copies.
    let (Some(nix), Some(newer)) = (Nix::system()?, Nix::newer()?) else {
        return Ok(());
    };
    let home = nix.home();
    let bucket = home.join("bucket");
    std::fs::create_dir(&bucket)?;

    // A key, made by Nix.
    let secret = nix
        .run("nix", &["key", "generate-secret", "--key-name", "team-1"])?
        .ok()?;
    let secret_file = home.join("team-1.secret");
    std::fs::write(&secret_file, &secret)?;
    let public = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!(
            "nix key convert-secret-to-public < {}",
            secret_file.display()
        ))
        .env("HOME", home)
        .env("NIX_CONFIG", Nix::config())
        .output()?;
    let public = String::from_utf8(public.stdout)?.trim().to_owned();
    ensure!(public.starts_with("team-1:"), "{public}");

    let server = Setup::new()
        .s3()
        .line("s3_anonymous = true")
        .folder(
            "main",
            &bucket,
            &[
                format!("public_keys = [{public:?}]"),
                "sweep = \"1s\"".to_owned(),
            ],
        )
        .start()
        .await?;
    let s3 = server
        .s3
        .clone()
        .context("the server printed no S3 address")?;

    // Build and sign.
    let store = home.join("store").display().to_string();
    let expression = home.join("hello.nix");
    std::fs::write(&expression, HELLO)?;
    let path = nix
        .run(
            "nix-build",
            &[
                "--store",
                &store,
                "--no-out-link",
                &expression.display().to_string(),
            ],
        )?
        .ok()?;
    nix.run(
        "nix",
        &[
            "store",
            "sign",
            "--store",
            &store,
            "--key-file",
            &secret_file.display().to_string(),
            &path,
        ],
    )?
    .ok()?;

    // Copy to S3, as the post does.
    let to = format!("s3://main?endpoint={s3}&region=us-east-1");
    newer
        .run("nix", &["copy", "--from", &store, "--to", &to, &path])?
        .ok()?;

    // It appears, without anybody asking, and with its signature judged.
    let hash = path["/nix/store/".len()..][..32].to_owned();
    let row = server
        .eventually(Duration::from_secs(30), "the copied path", async || {
            let answer = server
                .get(&format!("/api/v1/caches/main/paths/{hash}"))
                .await?;
            Ok(answer
                .status()
                .is_success()
                .then_some(answer.json::<serde_json::Value>().await?))
        })
        .await?;
    ensure!(
        row["path"] == path.as_str() && row["signature"] == "valid",
        "{row}"
    );
    if let Some(browser) = Browser::start(&server.origin).await? {
        browser.open("/c/main/paths").await?;
        browser.shows("hello-from-s3-1.0").await?;
        browser.finish().await?;
    }

    // Delete it locally; fetch it back through the server, trusting only the key.
    for client in [&nix, &newer] {
        let fresh = client.home().join("fresh");
        client
            .substitute(&fresh, &server.url("/main"), &public, &path)?
            .ok()?;
        ensure!(std::fs::read_to_string(fresh.join(&path[1..]))? == "hello from s3\n");
        client
            .run(
                "nix-store",
                &["--store", &fresh.display().to_string(), "--delete", &path],
            )?
            .ok()?;
        ensure!(
            !fresh.join(&path[1..]).exists(),
            "{} did not delete it",
            client.version
        );
        client
            .substitute(&fresh, &server.url("/main"), &public, &path)?
            .ok()?;
        ensure!(std::fs::read_to_string(fresh.join(&path[1..]))? == "hello from s3\n");
    }
    Ok(())
}

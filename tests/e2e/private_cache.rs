//! Stock Nix against a private cache: without a token, with a wrong one, with one for another
//! cache, and with the right one in its netrc; and what its user reads.

use std::fs;
use std::path::PathBuf;

use anyhow::ensure;
use snowbank_tests::closure::Closure;
use snowbank_tests::folder;
use snowbank_tests::nix::{Nix, Outcome};
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;

async fn serve(closure: &Closure) -> anyhow::Result<(Server, TempDir)> {
    let home = tempfile::tempdir()?;
    let mut setup = Setup::new();
    for slug in ["team", "other"] {
        let bucket = home.path().join(slug);
        folder::copy(&closure.cache("xz"), &bucket)?;
        setup = setup.folder(
            slug,
            &bucket,
            &[
                format!("public_keys = [{:?}]", closure.public_key),
                "visibility = \"private\"".to_owned(),
            ],
        );
    }
    Ok((setup.start().await?, home))
}

/// A netrc with this password for the server.
fn netrc(nix: &Nix, name: &str, password: &str) -> anyhow::Result<PathBuf> {
    let path = nix.home().join(name);
    fs::write(
        &path,
        format!("machine 127.0.0.1\nlogin ci\npassword {password}\n"),
    )?;
    Ok(path)
}

/// Fetches the closure into a fresh store with a fresh disk cache.
fn fetch(
    nix: &Nix,
    server: &Server,
    closure: &Closure,
    name: &str,
    netrc: Option<&PathBuf>,
) -> anyhow::Result<Outcome> {
    let store = nix.home().join(format!("store-{name}"));
    // What one try was answered must not be the next one's.
    let _ = fs::remove_dir_all(nix.home().join("cache"));
    let (store, url) = (store.display().to_string(), server.url("/team"));
    let mut args = vec![
        "--store".to_owned(),
        store,
        "-r".to_owned(),
        closure.app.clone(),
    ];
    let mut option = |name: &str, value: String| {
        args.extend(["--option".to_owned(), name.to_owned(), value]);
    };
    option("substituters", url);
    option("trusted-public-keys", closure.public_key.clone());
    if let Some(netrc) = netrc {
        option("netrc-file", netrc.display().to_string());
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    nix.run("nix-store", &args)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_nix_reads_a_private_cache_with_the_right_token_only() -> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    let (server, _buckets) = serve(&closure).await?;
    let owner = server.owner("olga").await?;
    let (id, right) = owner.token(&server, &["team"]).await?;
    let (_, elsewhere) = owner.token(&server, &["other"]).await?;
    for nix in Nix::each()? {
        let wrong = format!("{}{}", &right[..right.len() - 4], "0000");
        for (name, password) in [
            ("none", None),
            ("wrong", Some(wrong)),
            ("elsewhere", Some(elsewhere.clone())),
        ] {
            let file = password
                .map(|password| netrc(&nix, &format!("netrc-{name}"), &password))
                .transpose()?;
            let outcome = fetch(&nix, &server, &closure, name, file.as_ref())?;
            ensure!(
                !outcome.success,
                "{}: it fetched with {name} as its token: {outcome:?}",
                nix.version
            );
            println!("{} with {name}: {}", nix.version, outcome.stderr.trim());
            // From 2.35 on the refusal is an error with our text; before, the path is just absent.
            if outcome.stderr.contains("401") {
                ensure!(
                    outcome.stderr.contains("/connect?caches=team"),
                    "the way out is not shown: {}",
                    outcome.stderr
                );
            }
        }
        let file = netrc(&nix, "netrc-right", &right)?;
        fetch(&nix, &server, &closure, "right", Some(&file))?.ok()?;
        let store = nix.home().join("store-right").display().to_string();
        let expected = builder.closure(&closure.store().display().to_string(), &closure.app)?;
        ensure!(
            nix.closure(&store, &closure.app)? == expected,
            "another closure arrived"
        );
    }
    // Revoked, it is refused with the next request.
    owner
        .send(
            &server,
            reqwest::Method::DELETE,
            &format!("/tokens/{id}"),
            serde_json::Value::Null,
        )
        .await?;
    let file = netrc(&builder, "netrc-revoked", &right)?;
    let outcome = fetch(&builder, &server, &closure, "revoked", Some(&file))?;
    ensure!(
        !outcome.success,
        "a revoked token still fetches: {outcome:?}"
    );
    ensure!(
        !server.log().contains(&right),
        "the log holds a token: it is a secret"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a52_curl_is_told_what_to_do() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    std::fs::create_dir(home.path().join("bucket"))?;
    let server = Setup::new()
        .folder(
            "team",
            &home.path().join("bucket"),
            &["visibility = \"private\"".to_owned()],
        )
        .start()
        .await?;
    let output = std::process::Command::new("curl")
        .args(["-i", "-sS", &server.url("/team/nix-cache-info")])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let head = head.to_ascii_lowercase();
    ensure!(head.starts_with("http/1.1 401"), "{head}");
    ensure!(head.contains("content-type: text/plain"), "{head}");
    ensure!(head.contains("www-authenticate: basic"), "{head}");
    ensure!(body.len() < 1024, "{} bytes", body.len());
    ensure!(
        body.contains(&server.url("/connect?caches=team")),
        "no way out: {body}"
    );
    Ok(())
}

//! Uploads by stock Nix beside other caches: what a virtual upstream has is not sent, what one signed is
//! not replaced; content-addressed builds with their word, logs; and keys that may not.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::Value;
use snowbank::auth::credential::{Credential, Kind};
use snowbank::auth::records::{
    ContributorRecord, KeyNameRecord, KeyScope, MemberRecord, TokenRecord, now,
};
use snowbank::config::{CacheConfig, Config, Slug};
use snowbank::intake::{SigningMode, UploadPolicy};
use snowbank::ledger::kind::CONTRIBUTORS;
use snowbank::ledger::{LedgerError, RecordId, Scope};
use snowbank_shared::api::access::{Grant, Role, Verb};
use snowbank_shared::hash::{Hash, HashAlgorithm, Sha256};
use snowbank_shared::nar::NarWriter;
use snowbank_shared::narinfo::{Compression, NarInfo, NarInfoParts};
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::StoreDir;
use snowbank_tests::closure::Closure;
use snowbank_tests::folder;
use snowbank_tests::nix::{Nix, Outcome};
use snowbank_tests::people::Person;
use snowbank_tests::server::{Server, Setup};

use super::uploads::{Uploader, generate, push, uploader};

/// A server, a folder for its bucket, and its owner.
struct Desk {
    server: Server,
    home: tempfile::TempDir,
    owner: Person,
}

impl Desk {
    /// With an upstream of this mode.
    async fn beside(upstream: &Server, key: &str, mode: &str) -> anyhow::Result<Self> {
        Self::new(&[
            "[[caches.main.upstreams]]".to_owned(),
            format!("url = {:?}", upstream.url("/main")),
            format!("keys = [{key:?}]"),
            format!("mode = {mode:?}"),
        ])
        .await
    }

    async fn new(lines: &[String]) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let bucket = home.path().join("bucket");
        fs::create_dir_all(&bucket)?;
        let setup = Setup::new().line("outbound_allow = [\"127.0.0.0/8\"]");
        let server = setup.folder("main", &bucket, lines).start().await?;
        let owner = server.owner("olga").await?;
        Ok(Self {
            server,
            home,
            owner,
        })
    }

    fn bucket(&self) -> PathBuf {
        self.home.path().join("bucket")
    }

    fn narinfos(&self) -> anyhow::Result<usize> {
        Ok(folder::narinfos(&self.bucket())?.len())
    }
}

fn hash_of(path: &str) -> &str {
    &path["/nix/store/".len()..][..32]
}

/// Takes a path of a cache in a folder into another.
fn take(from: &Path, to: &Path, path: &str) -> anyhow::Result<NarInfo> {
    let key = format!("{}.narinfo", hash_of(path));
    let bytes = fs::read(from.join(&key))?;
    let narinfo = NarInfo::parse(&bytes, &StoreDir::default())?;
    fs::create_dir_all(to.join("nar"))?;
    fs::write(to.join(key), &bytes)?;
    fs::copy(from.join(narinfo.url()), to.join(narinfo.url()))?;
    Ok(narinfo)
}

/// A value of a line of nix.conf.
fn value(conf: &str, name: &str) -> anyhow::Result<String> {
    let line = conf.lines().find_map(|line| line.strip_prefix(name));
    let line = line.with_context(|| format!("{name} is not in {conf}"))?;
    Ok(line.trim_start_matches([' ', '=']).to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_virtual_upstream_has_is_not_sent_and_clients_fetch_it_from_there()
-> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    let whole = builder.closure(&closure.store().display().to_string(), &closure.app)?;
    let leaf = whole.iter().find(|path| path.ends_with("-leaf-text-1.0"));
    let leaf = leaf.context("a leaf")?;
    let theirs = tempfile::tempdir()?;
    let narinfo = take(&closure.cache("xz"), theirs.path(), leaf)?;
    let upstream = Setup::new()
        .folder("main", theirs.path(), &[])
        .start()
        .await?;
    upstream.indexed("main").await?;
    for nix in Nix::each()? {
        let desk = Desk::beside(&upstream, &closure.public_key, "virtual").await?;
        let alice = uploader(&nix, &desk.server, &desk.owner, "alice").await?;
        push(&nix, &closure.store(), &desk.server, &alice, &closure.app)?.ok()?;
        ensure!(desk.narinfos()? == whole.len() - 1, "{}", nix.version);
        let objects = folder::objects(&desk.bucket())?;
        ensure!(
            !objects.keys().any(|key| key.contains(hash_of(leaf))),
            "{}: something of the leaf is here",
            nix.version
        );
        ensure!(
            desk.server
                .status(&format!("/main/{}.narinfo", hash_of(leaf)))
                .await?
                == 404,
            "readers are told of it"
        );
        // A machine with the lines of this cache gets the whole.
        let conf = desk.server.text("/c/main/nix.conf").await?;
        let urls = value(&conf, "extra-substituters")?;
        let keys = value(&conf, "extra-trusted-public-keys")?;
        for client in Nix::each()? {
            let store = client.home().join("store");
            client
                .substitute(&store, &urls, &keys, &closure.app)?
                .ok()?;
            let got = client.closure(&store.display().to_string(), &closure.app)?;
            ensure!(
                got == whole,
                "another closure arrived in {}",
                client.version
            );
        }
        let noted = async || {
            let page = desk.owner.send(
                &desk.server,
                Method::GET,
                "/caches/main/skipped",
                Value::Null,
            );
            let page = page.await?;
            Ok((page["total"] == 1).then_some(page))
        };
        let patience = std::time::Duration::from_secs(20);
        let page = desk
            .server
            .eventually(patience, "what was skipped", noted)
            .await?;
        let day = &page["items"][0];
        ensure!(day["by"] == "member:alice" && day["paths"] == 1, "{page}");
        ensure!(day["nar_size"] == narinfo.nar_size(), "{page}");
    }
    Ok(())
}

/// The narinfo of a path, said of another content.
fn squatted(real: &NarInfo, at: &Path) -> anyhow::Result<()> {
    let mut nar = Vec::new();
    let mut writer = NarWriter::new(|bytes: &[u8]| nar.extend_from_slice(bytes));
    writer.file(b"not what it was\n", false)?;
    writer.finish()?;
    let hash = Sha256::digest(&nar);
    let parts = NarInfoParts {
        store_path: real.store_path().to_store_path(),
        url: format!("nar/{}.nar", hash.to_nix32()),
        compression: Compression::None,
        file_hash: Hash::new(HashAlgorithm::Sha256, &hash.0),
        file_size: Some(nar.len() as u64),
        nar_hash: hash,
        nar_size: nar.len() as u64,
        references: Vec::new(),
        deriver: None,
        signatures: Vec::new(),
        ca: None,
    };
    let narinfo = parts.to_narinfo(&StoreDir::default())?;
    fs::create_dir_all(at.join("nar"))?;
    fs::write(at.join("nix-cache-info"), "StoreDir: /nix/store\n")?;
    fs::write(at.join(narinfo.url()), &nar)?;
    fs::write(
        at.join(narinfo.store_path().hash().narinfo_key()),
        narinfo.to_bytes(),
    )?;
    Ok(())
}

/// `nix copy` of a path of a cache in a folder, signing with this key on the way where there is one.
fn copy(
    nix: &Nix,
    from: &Path,
    to: &str,
    netrc: &Path,
    key: Option<&Path>,
    path: &str,
) -> anyhow::Result<Outcome> {
    let _ = fs::remove_dir_all(nix.home().join("cache"));
    let from = format!("file://{}", from.display());
    let to = match key {
        Some(key) => format!("{to}?compression=zstd&secret-key={}", key.display()),
        None => format!("{to}?compression=zstd"),
    };
    let netrc = netrc.display().to_string();
    nix.run(
        "nix",
        &[
            "--extra-experimental-features",
            "nix-command",
            "--option",
            "netrc-file",
            &netrc,
            "copy",
            "--from",
            &from,
            "--to",
            &to,
            "--no-check-sigs",
            path,
        ],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_squatted_upstream_path_and_a_replayed_signature_are_refused() -> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    let theirs = tempfile::tempdir()?;
    let real = take(&closure.cache("xz"), theirs.path(), &closure.doc)?;
    let upstream = Setup::new()
        .folder("main", theirs.path(), &[])
        .start()
        .await?;
    upstream.indexed("main").await?;
    let desk = Desk::beside(&upstream, &closure.public_key, "check").await?;
    for nix in Nix::each()? {
        let who = |name: &str| format!("{name}-{}", nix.version.len());
        let alice = uploader(&nix, &desk.server, &desk.owner, &who("alice")).await?;
        let bob = uploader(&nix, &desk.server, &desk.owner, &who("bob")).await?;
        let refused = |outcome: Outcome, says: &str| {
            ensure!(!outcome.success, "{}: it went through", nix.version);
            ensure!(
                outcome.stderr.contains(says),
                "{}: {}",
                nix.version,
                outcome.stderr
            );
            ensure!(desk.narinfos()? == 0, "{}: something is left", nix.version);
            Ok(())
        };
        let folder = nix.home().join("squatted");
        squatted(&real, &folder)?;
        let to = desk.server.url("/main");
        let sent = copy(
            &nix,
            &folder,
            &to,
            &alice.netrc,
            Some(&alice.key),
            &closure.doc,
        )?;
        refused(sent, "with other content, signed")?;
        // What alice once signed, by a token of bob's.
        let old = nix.home().join("old");
        fs::create_dir_all(&old)?;
        take(&closure.cache("none"), &old, &closure.doc)?;
        fs::write(old.join("nix-cache-info"), "StoreDir: /nix/store\n")?;
        let key = format!("{}.narinfo", hash_of(&closure.doc));
        let narinfo = NarInfo::parse(&fs::read(old.join(&key))?, &StoreDir::default())?;
        let secret: SecretKey = fs::read_to_string(&alice.key)?.parse()?;
        let others = narinfo.signatures().map(str::to_owned).collect::<Vec<_>>();
        let mut signed = narinfo.add_signature(&secret.sign(narinfo.fingerprint().as_bytes()))?;
        for other in others {
            signed = signed.remove_signature(&other)?;
        }
        fs::write(old.join(&key), signed.to_bytes())?;
        let sent = copy(&nix, &old, &to, &bob.netrc, None, &closure.doc)?;
        refused(sent, &format!("belongs to {}", who("alice")))?;
    }
    Ok(())
}

/// Builds a floating content-addressed derivation and one that it depends on, signed by this key.
fn build(nix: &Nix, key: &Path) -> anyhow::Result<(PathBuf, PathBuf, String)> {
    let expression = nix.home().join("ca.nix");
    fs::write(
        &expression,
        r#"let drv = name: script: derivation { inherit name; system = "x86_64-linux"; PATH = "/usr/bin:/bin"; builder = "/bin/sh"; args = [ "-euc" script ]; __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
in rec { leaf = drv "ca-leaf" "echo leaf; echo leaf > $out"; top = drv "ca-top" "mkdir $out; echo ${leaf} > $out/ref"; }
"#,
    )?;
    let store = nix.home().join("ca-store");
    let text = |path: &Path| path.display().to_string();
    let out = nix
        .run(
            "nix-build",
            &[
                "--store",
                &text(&store),
                &text(&expression),
                "-A",
                "top",
                "--no-out-link",
                "--option",
                "experimental-features",
                "nix-command ca-derivations",
                "--option",
                "secret-key-files",
                &text(key),
            ],
        )?
        .ok()?;
    Ok((store, expression, out.trim().to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_addressed_build_is_uploaded_with_its_word_and_clients_use_it()
-> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let desk = Desk::new(&[]).await?;
    let alice = uploader(&builder, &desk.server, &desk.owner, "alice").await?;
    let (store, expression, top) = build(&builder, &alice.key)?;
    let text = |path: &Path| path.display().to_string();
    let with = |nix: &Nix, args: &[&str]| {
        let _ = fs::remove_dir_all(nix.home().join("cache"));
        let common = [
            "--option",
            "experimental-features",
            "nix-command ca-derivations",
        ];
        nix.run("nix", &[&common[..], args].concat())
    };
    let send = || {
        with(
            &builder,
            &[
                "--option",
                "netrc-file",
                &text(&alice.netrc),
                "copy",
                "--store",
                &text(&store),
                "--to",
                &format!(
                    "{}?compression=zstd&secret-key={}",
                    desk.server.url("/main"),
                    text(&alice.key)
                ),
                "--impure",
                "--file",
                &text(&expression),
                "top",
            ],
        )
    };
    send()?.ok()?;
    let words = |objects: &std::collections::BTreeMap<String, Vec<u8>>| {
        let words = objects
            .iter()
            .filter(|(key, _)| key.starts_with("realisations/"));
        words
            .map(|(key, bytes)| (key.clone(), bytes.clone()))
            .collect::<Vec<_>>()
    };
    let sent = words(&folder::objects(&desk.bucket())?);
    ensure!(sent.len() == 2, "{sent:?}");
    // The same again changes nothing.
    send()?.ok()?;
    ensure!(words(&folder::objects(&desk.bucket())?) == sent);
    let key = desk.server.trusted_key("main").await?;
    for client in Nix::each()? {
        // Without a builder, and without a trusted key but the cache's.
        let got = client.home().join("got");
        with(
            &client,
            &[
                "build",
                "--store",
                &text(&got),
                "--no-link",
                "--impure",
                "--file",
                &text(&expression),
                "top",
                "--option",
                "max-jobs",
                "0",
                "--option",
                "substituters",
                &desk.server.url("/main"),
                "--option",
                "trusted-public-keys",
                &key,
            ],
        )?
        .ok()?;
        ensure!(
            got.join(top.trim_start_matches('/')).join("ref").is_file(),
            "{}: {top} did not arrive",
            client.version
        );
        // Substituting checks no signature of a realisation; copying does, each version its own text.
        let copy_on = |to: &str, key: &str| {
            with(
                &client,
                &[
                    "copy",
                    "--from",
                    &text(&got),
                    "--to",
                    &text(&client.home().join(to)),
                    "--impure",
                    "--file",
                    &text(&expression),
                    "top",
                    "--option",
                    "trusted-public-keys",
                    key,
                ],
            )
        };
        copy_on("believed", &key)?.ok()?;
        let other = SecretKey::generate("other-1", [5; 32])?.public_key();
        let refused = copy_on("refused", &other.to_string())?;
        ensure!(
            !refused.success && refused.stderr.contains("cannot register realisation"),
            "{}: {refused:?}",
            client.version
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_copied_by_who_uploaded_what_they_are_of() -> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    let store = closure.store().display().to_string();
    let derivation = builder
        .run(
            "nix-store",
            &["--store", &store, "--query", "--deriver", &closure.doc],
        )?
        .ok()?;
    let name = derivation.trim_start_matches("/nix/store/").to_owned();
    for nix in Nix::each()? {
        let desk = Desk::new(&[]).await?;
        let alice = uploader(&nix, &desk.server, &desk.owner, "alice").await?;
        let copy_log = |by: &Uploader| {
            let _ = fs::remove_dir_all(nix.home().join("cache"));
            let (netrc, to) = (by.netrc.display().to_string(), desk.server.url("/main"));
            nix.run(
                "nix",
                &[
                    "--option",
                    "netrc-file",
                    &netrc,
                    "store",
                    "copy-log",
                    "--from",
                    &store,
                    "--to",
                    &to,
                    &derivation,
                ],
            )
        };
        let refused = copy_log(&alice)?;
        ensure!(
            !refused.success && refused.stderr.contains("not-your-log"),
            "{}: {refused:?}",
            nix.version
        );
        push(&nix, &closure.store(), &desk.server, &alice, &closure.doc)?.ok()?;
        copy_log(&alice)?.ok()?;
        ensure!(desk.server.status(&format!("/main/log/{name}")).await? == 200);
        // Again is no change, so it is no harm.
        copy_log(&alice)?.ok()?;
    }
    Ok(())
}

/// A server in this process, so that its records can be as no page makes them.
struct Inside {
    server: snowbank::server::RunningServer,
    bucket: tempfile::TempDir,
    netrc: PathBuf,
}

impl Inside {
    async fn new(nix: &Nix) -> anyhow::Result<Self> {
        let bucket = tempfile::tempdir()?;
        let cache = CacheConfig {
            make_key: true,
            ..CacheConfig::embedded(Slug::main(), bucket.path().join("cache"))
        };
        fs::create_dir_all(bucket.path().join("cache"))?;
        let server = snowbank::server::start(Config {
            caches: vec![cache],
            ..Config::in_folder(bucket.path().join("data"))
        })
        .await?;
        let ledger = server.site().access.ledger().clone();
        ledger.settled(std::time::Duration::from_secs(20)).await;
        let grants = vec![Grant {
            role: Role::Contributor,
            cache: None,
        }];
        let member = MemberRecord {
            grants,
            identity: None,
            suspended: false,
            signed_out_at_ms: 0,
            created_at: now(),
        };
        ledger
            .create(Scope::Server, &"alice".parse()?, "test", member)
            .await?;
        let credential = Credential::generate(Kind::Token)?;
        let token = TokenRecord {
            hash: credential.hash(),
            name: "laptop".into(),
            owner: Some("alice".into()),
            rule: None,
            machine: None,
            caches: None,
            verbs: vec![Verb::Push],
            created_at: now(),
            expires_at: now() + 3600,
        };
        ledger
            .create(Scope::Server, &credential.id().parse()?, "test", token)
            .await?;
        let netrc = nix.home().join("netrc-inside");
        fs::write(
            &netrc,
            format!(
                "machine 127.0.0.1\nlogin nix\npassword {}\n",
                credential.reveal()
            ),
        )?;
        Ok(Self {
            server,
            bucket,
            netrc,
        })
    }

    /// A secret key file whose public half alice registered, accepted with this change.
    async fn key(
        &self,
        nix: &Nix,
        name: &str,
        adjust: impl FnOnce(&mut ContributorRecord),
    ) -> anyhow::Result<PathBuf> {
        let file = nix.home().join(format!("{name}.secret"));
        generate(name, &file)?;
        let secret: SecretKey = fs::read_to_string(&file)?.parse()?;
        let public = secret.public_key();
        let mut record = ContributorRecord {
            public_key: public.to_string(),
            owner: "alice".into(),
            scope: KeyScope {
                caches: None,
                names: vec!["*".into()],
                max_nar_size: None,
            },
            created_at: now() - 86_400,
            expires_at: now() + 3600,
            proven_at: Some(now()),
            accepted_by: Some("olga".into()),
            retired_at: None,
            suspended: false,
        };
        adjust(&mut record);
        let taken = KeyNameRecord {
            public_key: public.to_string(),
            owner: "alice".into(),
        };
        let ledger = self.server.site().access.ledger();
        ledger
            .create(Scope::Server, &name.parse()?, "test", taken)
            .await?;
        let id = RecordId::hash_of(public.bytes());
        ledger.create(Scope::Server, &id, "test", record).await?;
        if name.starts_with("revoked") {
            ledger
                .tombstone(CONTRIBUTORS, Scope::Server, &id, "test", "lost")
                .await?;
        }
        Ok(file)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_may_not_are_refused_and_in_pass_through_clients_trust_one_that_may()
-> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    let reader = reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(30))
        .build()?;
    for nix in Nix::each()? {
        let inside = Inside::new(&nix).await?;
        let to = format!("http://{}/main", inside.server.addr);
        let send = |key: &Path| {
            copy(
                &nix,
                &closure.cache("none"),
                &to,
                &inside.netrc,
                Some(key),
                &closure.doc,
            )
        };
        for (name, says, adjust) in [
            (
                "expired-1",
                "key expired-1 expired on",
                (|record: &mut ContributorRecord| record.expires_at = now() - 60)
                    as fn(&mut ContributorRecord),
            ),
            ("revoked-1", "key revoked-1 was revoked", |_| {}),
            ("narrow-1", "may sign app-*", |record| {
                record.scope.names = vec!["app-*".into()];
            }),
            ("elsewhere-1", "is not for the cache main", |record| {
                record.scope.caches = Some(vec!["other".into()]);
            }),
            ("small-1", "10 bytes at most", |record| {
                record.scope.max_nar_size = Some(10);
            }),
        ] {
            let key = inside.key(&nix, name, adjust).await?;
            let outcome = send(&key)?;
            ensure!(!outcome.success, "{}: {name} went through", nix.version);
            ensure!(
                outcome.stderr.contains(says),
                "{}: {says}: {}",
                nix.version,
                outcome.stderr
            );
            let cache = inside.bucket.path().join("cache");
            ensure!(
                folder::narinfos(&cache)?.is_empty(),
                "{}: {name}",
                nix.version
            );
            let nars = folder::objects(&cache)?;
            for key in nars.keys() {
                let answer = reader.get(format!("{to}/{key}")).send().await?;
                ensure!(answer.status() == 404, "{}: {key} can be read", nix.version);
            }
        }
        // One that may, in a cache that adds no signature: clients trust it by itself.
        let good = inside.key(&nix, "good-1", |_| {}).await?;
        let policy = UploadPolicy {
            mode: SigningMode::PassThrough,
            ..UploadPolicy::default()
        };
        let ledger = inside.server.site().access.ledger();
        let decided = |_: Option<&UploadPolicy>| Ok::<_, LedgerError>(policy.clone());
        ledger
            .put(Scope::Cache("main"), &RecordId::only(), "test", decided)
            .await?;
        send(&good)?.ok()?;
        let secret: SecretKey = fs::read_to_string(&good)?.parse()?;
        let own = inside.server.site().caches[0]
            .signer()
            .expect("a key")
            .public_key();
        for client in Nix::each()? {
            let fetch = |folder: &str, key: String| {
                client.substitute(&client.home().join(folder), &to, &key, &closure.doc)
            };
            let refused = fetch("by-the-cache", own.to_string())?;
            ensure!(!refused.success, "{}: the cache signed it", client.version);
            fetch("by-alice", secret.public_key().to_string())?.ok()?;
        }
        inside.server.shutdown().await;
    }
    Ok(())
}

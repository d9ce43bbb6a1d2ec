//! The policy, what it holds back, and who decides: in a browser, by two people.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use snowbank::auth::records::{ContributorRecord, KeyNameRecord, KeyScope, now};
use snowbank::config::Config;
use snowbank::ledger::{LedgerError, RecordId, Scope};
use snowbank::server::{self, RunningServer};
use snowbank_shared::signature::SecretKey;
use snowbank_tests::browser::Browser;

use super::access::{click, fill};
use super::pictures;
use super::upload::{Made, folder};

/// A server in this process, whose ledger the test can reach: keys expire there in no time.
struct Office {
    server: RunningServer,
    origin: String,
    home: tempfile::TempDir,
}

impl Office {
    async fn open() -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let mut config = Config::in_folder(home.path().join("data"));
        config.listen = "127.0.0.1:0".parse()?;
        let server = server::start(config).await?;
        server
            .site()
            .ledger
            .settled(std::time::Duration::from_secs(30))
            .await;
        Ok(Self {
            origin: server.url().trim_end_matches('/').to_owned(),
            server,
            home,
        })
    }

    /// Whoever opens this link: their cookie.
    async fn enter(&self, link: &str, name: &str) -> anyhow::Result<String> {
        let secret = link.rsplit('/').next().context("a link")?;
        let answer = reqwest::Client::new()
            .post(format!("{}/api/v1/session", self.origin))
            .json(&json!({"link": secret, "name": name}))
            .send()
            .await?;
        let cookie = answer
            .headers()
            .get("set-cookie")
            .and_then(|value| value.to_str().ok()?.split(';').next())
            .context("no session")?;
        Ok(cookie.to_owned())
    }

    async fn sit_down(&self, browser: &Browser, cookie: &str) -> anyhow::Result<()> {
        let (name, value) = cookie.split_once('=').context("a cookie")?;
        let cookie = json!({"name": name, "value": value, "url": self.origin, "httpOnly": true, "sameSite": "Strict"});
        browser.cdp("Network.setCookie", cookie).await?;
        Ok(())
    }

    async fn api(&self, cookie: &str, path: &str, body: Value) -> anyhow::Result<Value> {
        let address = format!("{}/api/v1{path}", self.origin);
        let client = reqwest::Client::new();
        let request = if body.is_null() {
            client.get(address)
        } else {
            client.post(address).json(&body)
        };
        let answer = request
            .header("cookie", cookie)
            .header("origin", &self.origin)
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    async fn status(&self, path: &str) -> anyhow::Result<reqwest::StatusCode> {
        let request = reqwest::Client::new().get(format!("{}{path}", self.origin));
        Ok(request.send().await?.status())
    }

    /// Registers a key for its owner, who may sign everything until then.
    async fn register(&self, owner: &str, key: &SecretKey) -> anyhow::Result<()> {
        let public = key.public_key();
        let ledger = &self.server.site().ledger;
        let name = KeyNameRecord {
            public_key: public.to_string(),
            owner: owner.to_owned(),
        };
        let record = ContributorRecord {
            public_key: public.to_string(),
            owner: owner.to_owned(),
            scope: KeyScope {
                caches: None,
                names: vec!["*".to_owned()],
                max_nar_size: None,
            },
            created_at: now(),
            expires_at: now() + 3600,
            proven_at: Some(now()),
            accepted_by: Some("olga".to_owned()),
            retired_at: None,
            suspended: false,
        };
        ledger
            .create(Scope::Server, &public.name().parse()?, "olga", name)
            .await?;
        let id = RecordId::hash_of(public.bytes());
        ledger.create(Scope::Server, &id, "olga", record).await?;
        Ok(())
    }

    /// Yesterday was the last day of a key.
    async fn expire(&self, key: &SecretKey) -> anyhow::Result<()> {
        let id = RecordId::hash_of(key.public_key().bytes());
        let past = |record: &ContributorRecord| {
            Ok::<_, LedgerError>(ContributorRecord {
                expires_at: now() - 86_400,
                ..record.clone()
            })
        };
        self.server
            .site()
            .ledger
            .update(Scope::Server, &id, "olga", past)
            .await?;
        Ok(())
    }
}

async fn choose(browser: &Browser, folder: &Path) -> anyhow::Result<()> {
    let field = browser.find("#upload-folder").await?;
    field.send_keys(folder.to_str().context("a name")?).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a79_a80_a_restricted_name_is_approved_by_a_second_person() -> anyhow::Result<()> {
    let office = Office::open().await?;
    let Some(browser) = Browser::start(&office.origin).await? else {
        return Ok(());
    };
    let link = office.server.site().access.owner_link()?;
    let olga = office.enter(&link, "olga").await?;
    let wish = json!({"name": "alice", "grants": [{"role": "maintainer", "cache": "main"}]});
    let invited = office.api(&olga, "/members", wish).await?;
    let link = invited["url"].as_str().context("a link")?;
    let alice = office.enter(link, "alice").await?;
    let key = SecretKey::generate("alice-1", [7; 32])?;
    office.register("alice", &key).await?;

    // The owner writes the rule, and reads it as a sentence before it is saved.
    office.sit_down(&browser, &olga).await?;
    browser.open("/c/main/settings/policy").await?;
    browser
        .shows("Everything else is published at once.")
        .await?;
    browser
        .script(
            "document.querySelector('main details.explain').open = true; return 1",
            vec![],
        )
        .await?;
    fill(&browser, "Names of paths", "nixos-system-*").await?;
    browser
        .shows(
            "Paths named nixos-system-* need 1 approval by a Maintainer who is not the uploader.",
        )
        .await?;
    click(&browser, "Add the rule").await?;
    browser.accessible("a policy that is not saved").await?;
    click(&browser, "Save the policy").await?;
    browser.shows("Saved.").await?;
    browser.shows("Changed by olga").await?;
    click(&browser, "Try on the last 100 uploads").await?;
    browser
        .shows("Nothing was uploaded through this server yet.")
        .await?;
    browser.open("/c/main/approvals").await?;
    browser.shows("Nothing waits.").await?;

    // Alice sends it through the form; it waits, and is not hers to approve.
    office.sit_down(&browser, &alice).await?;
    browser.open("/c/main/upload").await?;
    let lib = Made::new("lib-1.0", b"lib", &[], Some(&key))?;
    let system = Made::new("nixos-system-1.0", b"system", &[&lib], Some(&key))?;
    let out = folder(office.home.path().join("out"), &[&lib, &system])?;
    choose(&browser, &out).await?;
    browser.shows("Send 2 paths").await?;
    click(&browser, "Send").await?;
    browser
        .shows("1 path waits and can be fetched once it is decided")
        .await?;
    let narinfo = format!("/main/{}", system.narinfo_key());
    ensure!(office.status(&narinfo).await? == 404, "readers see it");
    click(&browser, "Approvals").await?;
    browser.shows("1 approval").await?;
    browser.open("/c/main/approvals").await?;
    browser.find("main a.approval-link").await?.click().await?;
    browser
        .shows("This is your own upload: somebody else decides on it.")
        .await?;
    browser.shows("New in the cache with it").await?;
    browser.accessible("an upload that waits").await?;
    let own = browser
        .script("return [...document.querySelectorAll('main button')].find(it => it.textContent.trim() === 'Approve…')?.getAttribute('aria-disabled')", vec![])
        .await?;
    ensure!(own == "true", "her own upload: {own}");

    // Olga finds it in the rail, and approves it by the keyboard.
    office.sit_down(&browser, &olga).await?;
    browser.open("/c/main/approvals").await?;
    browser.shows("nixos-system").await?;
    browser.accessible("a queue").await?;
    let pictures = pictures::folder()?;
    pictures::take(&browser, &pictures, "approvals-waiting").await?;
    browser
        .until(
            "the count in the rail",
            "return [...document.querySelectorAll('.rail a')].some(it => /Approvals/.test(it.textContent) && /1 waiting/.test(it.textContent))",
        )
        .await?;
    browser.find("main a.approval-link").await?.click().await?;
    browser.shows("Held back by the rule").await?;
    pictures::take(&browser, &pictures, "approval").await?;
    browser.press("a").await?;
    browser.shows("Approve this upload?").await?;
    browser
        .accessible("the question before an approval")
        .await?;
    click(&browser, "Approve it").await?;
    browser.shows("nixos-system-1.0 is published.").await?;
    browser.shows("Approved by olga.").await?;
    ensure!(office.status(&narinfo).await? == 200, "it is not live");
    browser.open("/audit?action=approval.approve").await?;
    browser.shows("olga").await?;
    browser.shows("uploader: alice").await?;
    browser.open("/c/main/approvals").await?;
    browser.shows("Decided lately").await?;

    // A79: a key whose time is over, and the way to renew it.
    office.expire(&key).await?;
    office.sit_down(&browser, &alice).await?;
    browser.open("/c/main/upload").await?;
    let late = Made::new("late-1.0", b"late", &[], Some(&key))?;
    choose(
        &browser,
        &folder(office.home.path().join("late"), &[&late])?,
    )
    .await?;
    browser.shows("U09 Key alice-1 expired on").await?;
    click(&browser, "Renew the key").await?;
    browser.shows("Your keys").await?;
    click(&browser, "Renew alice-1").await?;
    browser.shows("It signs again, for another year.").await?;
    click(&browser, "Accept it so").await?;
    browser.shows("alice-1 is accepted.").await?;
    fs::remove_dir_all(office.home.path().join("late"))?;
    browser.finish().await?;
    office.server.shutdown().await;
    Ok(())
}

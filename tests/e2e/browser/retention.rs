//! Retention in a browser: what rules would free, why a path stays, plans, runs, undo, purge (A29,
//! A90–A95).

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use snowbank_shared::signature::SecretKey;
use snowbank_tests::browser::{Browser, Width};
use snowbank_tests::folder::objects;
use snowbank_tests::people::Person;
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;

use super::access::{click, fill};
use super::scene::indexed;
use super::upload::{Made, folder, noise};

const PATIENCE: Duration = Duration::from_secs(120);

/// A private cache with paths of different age, an owner, and a browser with the owner at it.
struct Shelf {
    server: Server,
    browser: Browser,
    olga: Person,
    bucket: PathBuf,
    /// lib 100 days old, app over it and old 60, recent 20, and twins with one NAR, 60 and 5.
    made: BTreeMap<&'static str, Made>,
    _home: TempDir,
}

impl Shelf {
    async fn new() -> anyhow::Result<Option<Self>> {
        let home = tempfile::tempdir()?;
        let key = SecretKey::generate("team-1", [3; 32])?;
        let key = Some(&key);
        let lib = Made::new("lib-1.0", &noise(40), &[], key)?;
        let app = Made::new("app-1.0", &noise(90), &[&lib], key)?;
        let old = Made::new("old-1.0", &noise(700), &[], key)?;
        let recent = Made::new("recent-1.0", b"recent", &[], key)?;
        let one = Made::new("twin-one-1.0", &noise(300), &[], key)?;
        let two = Made::new("twin-two-1.0", &noise(300), &[], key)?;
        ensure!(one.narinfo.url() == two.narinfo.url(), "two NARs");
        let bucket = folder(
            home.path().join("bucket"),
            &[&lib, &app, &old, &recent, &one, &two],
        )?;
        for (made, days) in [
            (&lib, 100),
            (&app, 60),
            (&old, 60),
            (&recent, 20),
            (&one, 60),
            (&two, 5),
        ] {
            let then = SystemTime::now() - Duration::from_secs(days * 86_400);
            File::options()
                .write(true)
                .open(bucket.join(made.narinfo_key()))?
                .set_modified(then)?;
        }
        let lines = [
            "visibility = \"private\"".to_owned(),
            "sweep = \"1s\"".to_owned(),
        ];
        let server = Setup::new().folder("team", &bucket, &lines).start().await?;
        let Some(browser) = Browser::start(&server.origin).await? else {
            return Ok(None);
        };
        let olga = server.owner("olga").await?;
        indexed(&server, &olga).await?;
        olga.sit_down(&browser, &server).await?;
        let made = [
            ("lib", lib),
            ("app", app),
            ("old", old),
            ("recent", recent),
            ("one", one),
            ("two", two),
        ];
        Ok(Some(Self {
            server,
            browser,
            olga,
            bucket,
            made: BTreeMap::from(made),
            _home: home,
        }))
    }

    /// Bytes as stored of these paths.
    fn stored(&self, names: &[&str]) -> u64 {
        let bytes = |name: &&str| self.made[*name].stored.len() as u64;
        names.iter().map(bytes).sum()
    }

    fn hash(&self, name: &str) -> String {
        self.made[name].narinfo.store_path().hash().to_string()
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> anyhow::Result<Value> {
        let path = format!("/caches/team{path}");
        self.olga.send(&self.server, method, &path, body).await
    }

    async fn pin(&self, pin: &str, name: &str) -> anyhow::Result<()> {
        let wish = json!({"path": self.hash(name), "expected": 0});
        let path = format!("/pins/{pin}");
        self.send(Method::PUT, &path, wish).await.map(drop)
    }

    /// What a client gets for the narinfo of a path.
    async fn narinfo(&self, name: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        let path = format!("/team/{}", self.made[name].narinfo_key());
        let request = self.server.request(Method::GET, &path);
        let answer = request.header("cookie", &self.olga.cookie).send().await?;
        Ok((answer.status().as_u16(), answer.bytes().await?.to_vec()))
    }

    /// Waits until the figure "Frees" has exactly these bytes.
    async fn frees(&self, bytes: u64) -> anyhow::Result<()> {
        let script = format!("return {FREES} === '{bytes}'");
        let what = format!("{bytes} freed bytes");
        self.browser.until(&what, &script).await
    }

    /// Makes a plan on the page, by these rules, and opens it. Returns its id.
    async fn plan(&self, rules: &str, days: u32) -> anyhow::Result<String> {
        let browser = &self.browser;
        browser.open(&format!("/c/team/gc?{rules}")).await?;
        click(browser, "Create plan…").await?;
        browser
            .until(
                "the yes to what others write",
                "const box = document.querySelector('dialog[open] input[type=checkbox]'); if (!box) return false; box.click(); return box.checked",
            )
            .await?;
        fill(browser, "Days until NARs are deleted", &days.to_string()).await?;
        browser.accessible("creating a plan").await?;
        click(browser, "Create the plan").await?;
        browser
            .until(
                "the page of the plan",
                "return location.pathname.startsWith('/c/team/gc/plans/')",
            )
            .await?;
        browser.shows("The list is frozen").await?;
        let place = browser.location().await?;
        let id = place.rsplit('/').next().context("an id")?;
        Ok(id.to_owned())
    }

    /// Starts the plan that is open, and waits until its run says this.
    async fn run(&self, state: &str) -> anyhow::Result<()> {
        let browser = &self.browser;
        click(browser, "Start the run…").await?;
        browser.accessible("starting a run").await?;
        fill(browser, "Type it to go on", "team").await?;
        click(browser, "Start it").await?;
        browser
            .until(
                "the page of the run",
                "return location.pathname.startsWith('/c/team/gc/runs/')",
            )
            .await?;
        self.said("run-state", state).await
    }

    /// Waits until an element has this text. A run takes longer than a page.
    async fn said(&self, id: &str, text: &str) -> anyhow::Result<()> {
        let script = format!(
            "return document.getElementById('{id}')?.textContent.includes('{text}') ?? false"
        );
        let what = format!("{text} in #{id}");
        self.server
            .eventually(PATIENCE, &what, async || {
                let there = self.browser.script(&script, vec![]).await?;
                Ok((there == true).then_some(()))
            })
            .await
    }
}

/// The exact bytes of the figure "Frees".
const FREES: &str = "document.querySelectorAll('.gc-figures dl data')[2]?.value";

/// The bucket's objects without what the server keeps there of its own.
fn of_clients(bucket: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut all = objects(bucket)?;
    all.retain(|key, _| key.starts_with("nar/") || key.ends_with(".narinfo"));
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a90_a91_a92_a93_what_rules_would_free_is_shown_while_they_are_set() -> anyhow::Result<()> {
    let Some(shelf) = Shelf::new().await? else {
        return Ok(());
    };
    let browser = &shelf.browser;
    let before = of_clients(&shelf.bucket)?;

    // A90: what is freed follows the slider, and so does the address; a reload keeps both.
    browser.open("/c/team/gc?keep=uploaded:90&grace=0").await?;
    browser.shows("Nothing would go").await?;
    let slid = browser
        .script_async(
            &format!(
                "const done = arguments[arguments.length - 1], began = performance.now(); \
                 const slider = document.querySelector('#gc-uploaded_days input[type=range]'); \
                 slider.value = '30'; slider.dispatchEvent(new Event('input', {{bubbles: true}})); \
                 const look = () => {{ const frees = {FREES}; \
                   if (frees && frees !== '0' && location.search.includes('uploaded:30')) done(performance.now() - began); \
                   else if (performance.now() - began > 10000) done(-1); else setTimeout(look, 10); }}; look();"
            ),
            vec![],
        )
        .await?;
    let took = slid.as_f64().unwrap_or(-1.0);
    ensure!((0.0..1000.0).contains(&took), "it took {took} ms");
    // The twin's NAR is that of one that stays.
    let gone = shelf.stored(&["lib", "app", "old"]);
    shelf.frees(gone).await?;
    browser.shows("4 of 6 paths would go").await?;
    let place = browser.location().await?;
    browser.open(&place).await?;
    shelf.frees(gone).await?;
    browser.shows("Frees by package").await?;
    browser.shows("At risk").await?;
    browser.accessible("a simulation").await?;

    // "Fetched within" needs what nobody has measured yet, and says what it waits for.
    browser
        .until(
            "the rule about fetches with its reason",
            "const rule = document.getElementById('gc-fetched_days'); \
             return rule?.querySelector('input[type=checkbox]').getAttribute('aria-disabled') === 'true' \
               && rule.querySelector('.refusal').textContent.includes('without a gap for 45 days')",
        )
        .await?;

    // A91: two narinfos on one NAR; the one that goes frees nothing.
    let names = ["lib", "app", "old", "recent", "twin-two"]
        .map(|name| format!("&name={name}-*"))
        .concat();
    browser
        .open(&format!("/c/team/gc?keep=none&grace=0{names}"))
        .await?;
    browser.shows("1 of 6 paths would go").await?;
    shelf.frees(0).await?;

    // A comparison, whose link holds both.
    click(browser, "Compare with a scenario B").await?;
    browser.shows("Both free the same number of bytes").await?;
    browser.accessible("two scenarios").await?;
    browser.resize(Width::Narrow).await?;
    let out = browser.sideways().await?;
    ensure!(out.is_empty(), "{out:?}");
    browser.accessible("two scenarios on a phone").await?;
    browser.resize(Width::Wide).await?;

    // A92: the pin is the reason, and what unpinning would free is what it frees.
    shelf.pin("prod", "app").await?;
    browser
        .open(&format!("/c/team/p/{}", shelf.hash("lib")))
        .await?;
    shelf.said("why-kept", "prod@1").await?;
    shelf.said("why-kept", "app-1.0").await?;
    browser.open("/c/team/gc?keep=pins:5&grace=0").await?;
    let all = shelf.stored(&["old", "recent", "two"]);
    shelf.frees(all).await?;
    browser.open("/c/team/pins/prod").await?;
    click(browser, "Unpin…").await?;
    browser.shows("2 paths of").await?;
    let preview = browser.find("#unpin-frees").await?.text().await?;
    let kept =
        shelf.send(Method::GET, "/pins/prod", Value::Null).await?["pin"]["exclusive"].clone();
    let alone = shelf.stored(&["lib", "app"]);
    ensure!(kept["file_size"] == alone && kept["paths"] == 2, "{kept}");
    ensure!(preview.starts_with("unpin prod@1 frees "), "{preview}");
    click(browser, "Unpin it").await?;
    browser.shows("There is no such pin").await?;
    browser.open("/c/team/gc?keep=pins:5&grace=0").await?;
    shelf.frees(all + alone).await?;
    browser.shows("Nothing is pinned").await?;

    // A93: nothing of all that has touched the bucket.
    ensure!(of_clients(&shelf.bucket)? == before, "the bucket changed");

    // Who may simulate and not delete is told so.
    let grants = json!([{"role": "maintainer", "cache": "team"}]);
    let mark = shelf.olga.invite(&shelf.server, "mark", grants).await?;
    mark.sit_down(browser, &shelf.server).await?;
    browser.open(&place).await?;
    shelf.frees(gone).await?;
    browser.shows("Needs Owner of team").await?;
    shelf.browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a29_a94_a95_a_plan_leaves_what_was_pinned_since_and_a_run_is_undone() -> anyhow::Result<()>
{
    let Some(shelf) = Shelf::new().await? else {
        return Ok(());
    };
    let browser = &shelf.browser;

    // A94: one of two was pinned since, and stays. Without days of grace the NARs go too.
    let rules = "keep=none&grace=0&name=lib-*&name=app-*&name=twin-*";
    let plan = shelf.plan(rules, 0).await?;
    browser.shows("All of it would go").await?;
    browser.accessible("a plan").await?;
    shelf.pin("kept", "old").await?;
    browser.open(&format!("/c/team/gc/plans/{plan}")).await?;
    browser
        .shows("1 path of the list became needed since")
        .await?;
    shelf.said("left-out", "old-1.0").await?;
    shelf.run("done").await?;
    shelf.said("left-out", "old-1.0").await?;
    let freed = shelf.stored(&["recent"]);
    for figure in ["run-freed", "run-expected"] {
        let script =
            format!("return document.querySelector('#{figure} data')?.value === '{freed}'");
        browser.until(figure, &script).await?;
    }
    shelf.said("run-deleted", "1").await?;
    let left = of_clients(&shelf.bucket)?;
    ensure!(left.contains_key(&shelf.made["old"].narinfo_key()));
    ensure!(left.contains_key(shelf.made["old"].narinfo.url()));
    ensure!(!left.contains_key(&shelf.made["recent"].narinfo_key()));
    ensure!(!left.contains_key(shelf.made["recent"].narinfo.url()));

    // With days of grace the narinfos go, and the NARs are still there.
    let plan = shelf.plan("keep=pins:5,uploaded:30&grace=0", 30).await?;
    shelf.run("narinfos are in the trash").await?;
    shelf.said("run-trashed", "3").await?;
    browser.accessible("a run").await?;
    browser.resize(Width::Narrow).await?;
    let out = browser.sideways().await?;
    ensure!(out.is_empty(), "{out:?}");
    browser.resize(Width::Wide).await?;
    let run = browser.location().await?;
    ensure!(shelf.narinfo("app").await?.0 == 404, "app is still served");
    let trashed = of_clients(&shelf.bucket)?;
    ensure!(trashed.contains_key(shelf.made["app"].narinfo.url()));

    // A29: its old link says who, when and by which plan.
    browser
        .open(&format!("/c/team/p/{}", shelf.hash("app")))
        .await?;
    shelf
        .said("tombstone", "Retention removed this path")
        .await?;
    shelf.said("tombstone", "olga").await?;
    shelf.said("tombstone", &plan).await?;
    browser
        .until(
            "when it was",
            "return !!document.querySelector('#tombstone time[datetime]')",
        )
        .await?;
    browser
        .accessible("the page of a path that was removed")
        .await?;

    // A95: back as it was, to the byte.
    browser.open(&run).await?;
    click(browser, "Undo…").await?;
    browser.accessible("undoing a run").await?;
    click(browser, "Put them back").await?;
    shelf.said("run-state", "undone").await?;
    shelf
        .server
        .eventually(PATIENCE, "the narinfo again", async || {
            let (status, again) = shelf.narinfo("app").await?;
            let before = left.get(&shelf.made["app"].narinfo_key());
            Ok((status == 200 && Some(&again) == before).then_some(()))
        })
        .await?;
    ensure!(of_clients(&shelf.bucket)? == left, "not as it was");
    // Both are on the list of what was done.
    browser.open("/c/team/gc").await?;
    browser.shows("Plans and runs").await?;
    browser.shows("undone").await?;

    // One path out now: what needs it, what to do, and a name to type.
    browser
        .open(&format!("/c/team/p/{}", shelf.hash("old")))
        .await?;
    click(browser, "Purge…").await?;
    browser.shows("Nothing in this cache refers to it.").await?;
    browser.shows("Change the secret.").await?;
    shelf.said("purge-pins", "kept@1").await?;
    browser.accessible("purging a path").await?;
    fill(browser, "Why", "a token is in it").await?;
    click(browser, "Purge it…").await?;
    browser.accessible("the question before a purge").await?;
    fill(browser, "Type it to go on", "old-1.0").await?;
    click(browser, "Purge it").await?;
    browser.shows("It is purged").await?;
    ensure!(shelf.narinfo("old").await?.0 == 404);
    let left = of_clients(&shelf.bucket)?;
    ensure!(!left.contains_key(shelf.made["old"].narinfo.url()));
    browser
        .open(&format!("/c/team/p/{}", shelf.hash("old")))
        .await?;
    shelf.said("tombstone", "This path was purged").await?;
    shelf.said("tombstone", "A token is in it").await?;
    shelf.browser.finish().await
}

/// A run waits some seconds before it takes anything out, and is stopped then.
#[tokio::test(flavor = "multi_thread")]
async fn stopping_a_run_says_what_that_means_before() -> anyhow::Result<()> {
    let Some(shelf) = Shelf::new().await? else {
        return Ok(());
    };
    let browser = &shelf.browser;
    let before = of_clients(&shelf.bucket)?;
    let plan = shelf.plan("keep=pins:5,uploaded:30&grace=0", 30).await?;
    shelf.run("").await?;
    click(browser, "Stop…").await?;
    let said = "const words = document.querySelector('dialog[open]')?.textContent ?? '';";
    browser
        .until(
            "what stopping means",
            &format!("{said} return words.includes('No more narinfos are taken out') && words.includes('Nothing was taken out yet')"),
        )
        .await?;
    click(browser, "Cancel").await?;
    shelf.said("run-acts", "Stop…").await?;
    click(browser, "Stop…").await?;
    click(browser, "Stop it").await?;
    shelf.said("run-state", "stopped").await?;
    browser.open(&format!("/c/team/gc/plans/{plan}")).await?;
    browser.shows("Open the run").await?;
    ensure!(
        of_clients(&shelf.bucket)? == before,
        "it took something out"
    );
    shelf.browser.finish().await
}

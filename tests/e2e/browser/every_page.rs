//! What holds on every page: accessible in every theme, usable on a phone, alone on its origin.

use anyhow::ensure;
use snowbank_tests::browser::{Browser, Colours, Width};
use snowbank_tests::server::Server;

use super::pages;
use super::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a97_axe_finds_nothing_on_any_page_in_any_theme() -> anyhow::Result<()> {
    let mut violations = Vec::new();
    for scene in Scene::all().await? {
        let Some(browser) = scene.browser().await? else {
            return Ok(());
        };
        judge_every_page(&browser, &scene, &mut violations).await?;
        browser.finish().await?;
    }
    ensure!(violations.is_empty(), "{}", violations.join("\n"));
    Ok(())
}

/// Opens every page of a scene in every theme and at 320 pixels.
async fn judge_every_page(
    browser: &Browser,
    scene: &Scene,
    violations: &mut Vec<String>,
) -> anyhow::Result<()> {
    for (name, path) in &scene.pages {
        browser.open(path).await?;
        for colours in Colours::ALL {
            browser.colours(colours).await?;
            let what = format!("{name} ({path}) in {colours:?}");
            if let Err(error) = browser.accessible(&what).await {
                violations.push(format!("{error:#}"));
            }
        }
        browser.colours(Colours::Light).await?;
        browser.resize(Width::Narrow).await?;
        let what = format!("{name} ({path}) at 320 pixels");
        if let Err(error) = browser.accessible(&what).await {
            violations.push(format!("{error:#}"));
        }
        browser.resize(Width::Wide).await?;
    }
    Ok(())
}

/// What opens on top of a page is judged too: every menu of it, the help, the suggestions. Only that:
/// the pages themselves were judged above.
#[tokio::test(flavor = "multi_thread")]
async fn a97_axe_finds_nothing_in_what_opens() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let mut violations = Vec::new();
    let mut judge = async |what: &str, css: &str| -> anyhow::Result<()> {
        for colours in Colours::ALL {
            browser.colours(colours).await?;
            if let Err(error) = browser
                .accessible_in(&format!("{what} in {colours:?}"), css)
                .await
            {
                violations.push(format!("{error:#}"));
            }
        }
        Ok(())
    };
    for page in ["cache", "paths", "path", "health"] {
        browser.open(&pages::one(&server, page).await?).await?;
        let menus = browser
            .script("return document.querySelectorAll('details').length", vec![])
            .await?
            .as_u64()
            .unwrap_or_default();
        ensure!(menus > 0, "{page} has no menu");
        for menu in 0..menus {
            let opened = browser
                .script(
                    "const d = document.querySelectorAll('details')[arguments[0]];
                     document.querySelectorAll('details[open]').forEach(o => { if (!o.contains(d)) o.open = false; });
                     if (!d.checkVisibility()) return false;
                     d.open = true; return true",
                    vec![menu.into()],
                )
                .await?;
            if opened == true {
                judge(&format!("menu {menu} of {page}"), "details[open]").await?;
            }
        }
    }
    browser.open("/c/main/paths").await?;
    browser.press("?").await?;
    browser.find("dialog[open]").await?;
    judge("the help", "dialog[open]").await?;
    browser.press(thirtyfour::Key::Escape).await?;
    browser
        .until(
            "the help closed",
            "return !document.querySelector('dialog[open]')",
        )
        .await?;
    browser.press("/").await?;
    browser.press("avalanche").await?;
    browser.find("[role=listbox] [role=option]").await?;
    judge("the suggestions", ".omnibox").await?;
    ensure!(violations.is_empty(), "{}", violations.join("\n"));
    browser.finish().await
}

/// The dialogs in which an owner changes things.
#[tokio::test(flavor = "multi_thread")]
async fn a97_axe_finds_nothing_in_the_dialogs_of_an_owner() -> anyhow::Result<()> {
    let scene = Scene::owner().await?;
    let Some(browser) = scene.browser().await? else {
        return Ok(());
    };
    let mut violations = Vec::new();
    for (path, button) in [
        ("/members", "Change rita"),
        ("/me/tokens", "End a test's"),
        ("/settings", "Remove ci"),
    ] {
        browser.open(path).await?;
        let press = format!(
            "const it = [...document.querySelectorAll('main button')].find(it => it.getAttribute('aria-label') === {}); if (!it) return false; it.click(); return true",
            serde_json::to_string(button)?
        );
        browser.until(button, &press).await?;
        browser.find("dialog[open]").await?;
        for width in [Width::Wide, Width::Narrow] {
            browser.resize(width).await?;
            for colours in Colours::ALL {
                browser.colours(colours).await?;
                let what = format!("{button} in {colours:?} at {width:?}");
                if let Err(error) = browser.accessible(&what).await {
                    violations.push(format!("{error:#}"));
                }
            }
        }
        browser.resize(Width::Wide).await?;
    }
    ensure!(violations.is_empty(), "{}", violations.join("\n"));
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a98_at_320_pixels_nothing_but_code_scrolls_sideways() -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for scene in Scene::all().await? {
        let Some(browser) = scene.browser().await? else {
            return Ok(());
        };
        browser.resize(Width::Narrow).await?;
        for (name, path) in &scene.pages {
            browser.open(path).await?;
            let wide = browser
                .script("const e = document.scrollingElement; return e.scrollWidth > e.clientWidth ? [e.scrollWidth, e.clientWidth] : null", vec![])
                .await?;
            if !wide.is_null() {
                wrong.push(format!("{name} ({path}) scrolls sideways: {wide}"));
            }
            let out = browser.sideways().await?;
            if !out.is_empty() {
                wrong.push(format!("{name} ({path}):\n  {}", out.join("\n  ")));
            }
        }
        browser.finish().await?;
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Names of the buttons, links, menus and fields that can be reached, menus opened. Heads
/// of columns are left out: a phone has a chooser in their place.
const ACTIONS: &str = r"
document.querySelectorAll('details').forEach(d => d.open = true);
const name = e => (e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText || e.title || '').replace(/\s+/g, ' ').trim();
const reachable = e => {
  if (!e.checkVisibility({visibilityProperty: true}) || e.closest('thead, .skip')) return false;
  const r = e.getBoundingClientRect();
  return r.width > 2 && r.height > 2 && r.left > -1 && r.right < document.documentElement.clientWidth + 1;
};
return [...new Set([...document.querySelectorAll('a[href], button, summary, select, input')].filter(reachable)
  // A filter by age begins at a moment that is another one at the next visit.
  .map(e => `${e.tagName.toLowerCase()} ${(e.href || name(e)).replace(/(since|until)=[^&]*/, '$1')}`))];
";

#[tokio::test(flavor = "multi_thread")]
async fn a98_at_320_pixels_every_action_is_reachable() -> anyhow::Result<()> {
    let mut lost = Vec::new();
    for scene in Scene::all().await? {
        let Some(browser) = scene.browser().await? else {
            return Ok(());
        };
        for (name, path) in &scene.pages {
            let mut actions = Vec::new();
            for width in [Width::Wide, Width::Narrow] {
                browser.resize(width).await?;
                browser.open(path).await?;
                let found = browser.script(ACTIONS, vec![]).await?;
                let found: Vec<String> = serde_json::from_value(found)?;
                ensure!(found.len() > 8, "{name} at {width:?} has only {found:?}");
                actions.push(found);
            }
            for action in &actions[0] {
                // The bar at the foot of a phone needs no folding; the keys are one tap further, in Help.
                let elsewhere = ["button Fold", "button Keyboard help"].contains(&action.as_str());
                if !actions[1].contains(action) && !elsewhere {
                    lost.push(format!("{name} ({path}) has no {action}"));
                }
            }
        }
        browser.finish().await?;
    }
    ensure!(lost.is_empty(), "at 320 pixels:\n{}", lost.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a100_targets_are_24_pixels_or_spaced() -> anyhow::Result<()> {
    let mut small = Vec::new();
    for scene in Scene::all().await? {
        let Some(browser) = scene.browser().await? else {
            return Ok(());
        };
        for compact in [false, true] {
            browser.open("/").await?;
            if compact {
                browser
                    .script(
                        "localStorage.setItem('snowbank.density', 'compact')",
                        vec![],
                    )
                    .await?;
            }
            for (name, path) in &scene.pages {
                for width in [Width::Wide, Width::Narrow] {
                    browser.resize(width).await?;
                    browser.open(path).await?;
                    let found = browser.small_targets().await?;
                    if !found.is_empty() {
                        small.push(format!(
                            "{name} ({path}) at {width:?}, compact {compact}:\n  {}",
                            found.join("\n  ")
                        ));
                    }
                }
            }
        }
        browser.finish().await?;
    }
    ensure!(small.is_empty(), "{}", small.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a105_with_the_outside_blocked_every_page_works_and_nothing_leaves_the_origin()
-> anyhow::Result<()> {
    let server = Server::demo().await?;
    let blocked = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1".to_owned();
    let Some(browser) = Browser::start_with(&server.origin, &[blocked]).await? else {
        return Ok(());
    };
    for (name, path) in pages::all(&server).await? {
        browser.open(&path).await?;
        let failed = browser
            .script(
                "return !!document.querySelector('main .banner-bad [class*=request-id]')",
                vec![],
            )
            .await?;
        ensure!(
            failed == false || name == "withheld",
            "{path} shows a failure: {}",
            browser.page_text().await?
        );
    }
    let requests = browser.requests().await?;
    ensure!(
        requests.len() > 40,
        "only {} requests were seen",
        requests.len()
    );
    let outside: Vec<&String> = requests.iter().filter(|url| !browser.is_own(url)).collect();
    ensure!(outside.is_empty(), "{outside:?}");
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a107_an_error_says_what_why_and_what_to_do_with_an_id_that_is_in_the_log()
-> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    browser.open("/c/main/paths?cursor=nonsense").await?;
    browser.find(".banner .request-id").await?;
    let shown = browser
        .script(
            "const b = document.querySelector('.banner .request-id').closest('.banner');
             return {id: b.querySelector('.request-id').innerText.trim(), words: [...b.querySelectorAll('p')].map(p => p.innerText.trim())}",
            vec![],
        )
        .await?;
    let id = shown["id"].as_str().unwrap_or_default();
    ensure!(id.len() >= 8, "{shown}");
    let words = shown["words"].as_array().map(Vec::len).unwrap_or_default();
    ensure!(words >= 3, "what, why and what to do: {shown}");
    ensure!(
        server.log().contains(id),
        "the id {id} is not in the log:\n{}",
        server.log()
    );
    browser.finish().await
}

//! What holds on every page: accessible in every theme, usable on a phone, alone on its origin.

use std::collections::BTreeSet;

use anyhow::ensure;
use snowbank_tests::browser::{Browser, Colours, Width};
use snowbank_tests::server::Server;

use super::pages;
use super::scene::Scene;

/// A6, A97, A98, A100 and each page of these people: seen twice, once as wide as a desktop and once as
/// narrow as a phone, and judged by all of them while it is open.
/// There are so many of a visitor's that four tests share them, and of an owner's that two do.
async fn judge_pages_of_a_visitor(quarter: usize) -> anyhow::Result<()> {
    judge_every_page(&part_of(Scene::visitor().await?, quarter, 4)).await
}

/// Every so-manieth page of a scene.
fn part_of(mut scene: Scene, part: usize, parts: usize) -> Scene {
    let mut number = 0;
    scene.pages.retain(|_| {
        number += 1;
        number % parts == part
    });
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a06_a97_a98_a100_hold_on_every_page_of_a_visitor_1() -> anyhow::Result<()> {
    judge_pages_of_a_visitor(0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a06_a97_a98_a100_hold_on_every_page_of_a_visitor_2() -> anyhow::Result<()> {
    judge_pages_of_a_visitor(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a06_a97_a98_a100_hold_on_every_page_of_a_visitor_3() -> anyhow::Result<()> {
    judge_pages_of_a_visitor(2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a06_a97_a98_a100_hold_on_every_page_of_a_visitor_4() -> anyhow::Result<()> {
    judge_pages_of_a_visitor(3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a06_a97_a98_a100_hold_on_every_page_of_an_owner_1() -> anyhow::Result<()> {
    judge_every_page(&part_of(Scene::owner().await?, 0, 2)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a06_a97_a98_a100_hold_on_every_page_of_an_owner_2() -> anyhow::Result<()> {
    judge_every_page(&part_of(Scene::owner().await?, 1, 2)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a06_a97_a98_a100_hold_on_every_page_of_a_founder() -> anyhow::Result<()> {
    judge_every_page(&Scene::founder().await?).await
}

async fn judge_every_page(scene: &Scene) -> anyhow::Result<()> {
    let Some(browser) = scene.browser().await? else {
        return Ok(());
    };
    let mut wrong = Vec::new();
    for (name, path) in &scene.pages {
        let wide = judge(&browser, name, path, Width::Wide, &mut wrong).await?;
        let narrow = judge(&browser, name, path, Width::Narrow, &mut wrong).await?;
        for action in &wide {
            // The bar at the foot of a phone needs no folding; the keys are one tap further, in Help.
            let elsewhere = ["button Fold", "button Keyboard help"].contains(&action.as_str());
            if !narrow.contains(action) && !elsewhere {
                wrong.push(format!("{name} ({path}) has no {action} at 320 pixels"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    browser.finish().await
}

/// Opens a page at a width and looks at it; gives its actions.
async fn judge(
    browser: &Browser,
    name: &str,
    path: &str,
    width: Width,
    wrong: &mut Vec<String>,
) -> anyhow::Result<Vec<String>> {
    browser.resize(width).await?;
    browser.open(path).await?;
    let page = format!("{name} ({path}) at {} pixels", width.pixels());
    if width == Width::Narrow {
        // A98: nothing but code scrolls sideways.
        let scrolls = "const e = document.scrollingElement; return e.scrollWidth > e.clientWidth ? [e.scrollWidth, e.clientWidth] : null";
        let scrolls = browser.script(scrolls, vec![]).await?;
        if !scrolls.is_null() {
            wrong.push(format!("{page} scrolls sideways: {scrolls}"));
        }
        let out = browser.sideways().await?;
        if !out.is_empty() {
            wrong.push(format!("{page}:\n  {}", out.join("\n  ")));
        }
    }
    // A100: targets of 24 pixels or spaced, in both densities.
    for density in ["", "compact"] {
        // As the page's own script sets it at the start.
        let set = "document.documentElement.dataset.density = arguments[0]";
        browser.script(set, vec![density.into()]).await?;
        let small = browser.small_targets().await?;
        if !small.is_empty() {
            wrong.push(format!("{page} {density}:\n  {}", small.join("\n  ")));
        }
    }
    let roomy = "delete document.documentElement.dataset.density";
    browser.script(roomy, vec![]).await?;
    // A97: axe, in every theme where there is room, and as a phone shows it.
    let themes: &[Colours] = match width {
        Width::Wide => &Colours::ALL,
        Width::Narrow => &[Colours::Light],
    };
    for (number, colours) in themes.iter().enumerate() {
        browser.colours(*colours).await?;
        let what = format!("{page} in {colours:?}");
        let judged = if number == 0 {
            browser.accessible(&what).await
        } else {
            browser.accessible_colours(&what).await
        };
        if let Err(error) = judged {
            wrong.push(format!("{error:#}"));
        }
    }
    browser.colours(Colours::Light).await?;
    if width == Width::Wide {
        slash_searches(browser, &page).await?;
    }
    // Last, because it opens every menu.
    let actions: Vec<String> = serde_json::from_value(browser.script(ACTIONS, vec![]).await?)?;
    ensure!(actions.len() > 8, "{page} has only {actions:?}");
    Ok(actions)
}

/// A6: `/` focuses the search and is not typed; the placeholder says so. The title names the page
/// first and the console last (A102).
async fn slash_searches(browser: &Browser, page: &str) -> anyhow::Result<()> {
    browser.press("/").await?;
    browser
        .until(
            &format!("the focus in the search field of {page}"),
            "return document.activeElement.id === 'omnibox'",
        )
        .await?;
    let seen = browser
        .script(
            "const f = document.activeElement; f.blur(); return [f.placeholder, f.value, document.title]",
            vec![],
        )
        .await?;
    let placeholder = seen[0].as_str().unwrap_or_default();
    ensure!(
        placeholder.starts_with('/') && placeholder.to_lowercase().contains("search"),
        "the placeholder of {page} is {placeholder:?}"
    );
    ensure!(seen[1] == "", "the key itself was typed on {page}: {seen}");
    let title = seen[2].as_str().unwrap_or_default();
    ensure!(
        title.ends_with(" – Snowbank"),
        "the title of {page} is {title:?}"
    );
    Ok(())
}

/// Opens a menu and gives its markup without the words, or null where it is not to be seen.
const OPEN_MENU: &str = r#"
const d = document.querySelectorAll('details')[arguments[0]];
document.querySelectorAll('details[open]').forEach(o => { if (!o.contains(d)) o.open = false; });
if (!d.checkVisibility()) return null;
d.open = true;
return d.outerHTML.replace(/>[^<]*[^<\s][^<]*</g, '>x<')
  .replace(/ (href|id|for|title|name|value|aria-label|aria-controls|aria-labelledby|d)="[^"]+"/g, ' $1="x"');
"#;

/// What opens on top of a page is judged too: every menu of it, the help, the suggestions. Only that:
/// the pages themselves were judged above. Menus that differ in their words alone, as those of the rows
/// of a table, are judged once.
#[tokio::test(flavor = "multi_thread")]
async fn a97_axe_finds_nothing_in_what_opens() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let mut violations = Vec::new();
    let mut judged = BTreeSet::new();
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
            let opened = browser.script(OPEN_MENU, vec![menu.into()]).await?;
            if let Some(markup) = opened.as_str()
                && judged.insert(markup.to_owned())
            {
                judge(&format!("menu {menu} of {page}"), "details[open]").await?;
            }
        }
    }
    ensure!(judged.len() >= 5, "only {} kinds of menus", judged.len());
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
  // A filter by age begins at a moment that is another one at the next visit. Of the list in one window
  // the rows that fit are drawn, and on a phone fewer do: what a row has counts once.
  .map(e => `${e.tagName.toLowerCase()} ${e.closest('.list-window tbody') ? 'of a row'
    : (e.href || name(e)).replace(/(since|until)=[^&]*/, '$1')}`))];
";

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

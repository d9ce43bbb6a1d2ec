//! Pins in the dashboard: made on a path's page and by key, moved on, rolled back, ended after what only
//! they keep was counted; and paths that are hidden from clients.

use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};
use snowbank_tests::browser::Browser;
use snowbank_tests::people::Person;
use snowbank_tests::server::Server;

use super::access::{click, fill};
use super::fx1;
use super::scene::{indexed, private};

/// What the plain address of a pin says to this person.
async fn plain(server: &Server, who: &Person, pin: &str) -> anyhow::Result<(u16, String)> {
    let answer = server
        .request(Method::GET, &format!("/c/team/pins/{pin}/path"))
        .header("cookie", &who.cookie)
        .send()
        .await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_made_moved_on_rolled_back_and_ended_by_mouse_and_keys() -> anyhow::Result<()> {
    let (server, _home) = private().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let olga = server.owner("olga").await?;
    indexed(&server, &olga).await?;
    olga.sit_down(&browser, &server).await?;
    browser.open("/c/team/paths").await?;
    browser.press("g").await?;
    browser.press("i").await?;
    browser
        .shows("Nothing is pinned: retention alone decides what stays.")
        .await?;
    browser.accessible("the page of pins without any").await?;

    // On the path's own page.
    browser
        .open(&format!("/c/team/p/{}", fx1::TOP_HASH))
        .await?;
    click(&browser, "Pin…").await?;
    fill(&browser, "Name of the new pin", "prod").await?;
    browser.accessible("pinning a path").await?;
    click(&browser, "Pin it").await?;
    browser.shows("prod names this path now").await?;
    browser.shows("prod@1").await?;
    // By key, in a list: the next revision of the same pin.
    browser.open("/c/team/paths?q=mid-1.0").await?;
    browser.find("#paths-table tbody tr").await?;
    browser.press("j").await?;
    browser.press("p").await?;
    browser
        .until(
            "the question for the pin's name",
            "const select = document.querySelector('dialog[open] select'); if (!select || ![...select.options].some(it => it.value === 'prod')) return false; \
             select.value = 'prod'; select.dispatchEvent(new Event('change', {bubbles: true})); return true",
        )
        .await?;
    fill(&browser, "Note", "the middle is enough").await?;
    click(&browser, "Pin it").await?;
    browser.shows("prod@2").await?;
    let (_, path) = plain(&server, &olga, "prod").await?;
    ensure!(path == format!("{}\n", fx1::MID), "{path}");

    // Its page: the history, and the way back.
    browser.open("/c/team/pins").await?;
    browser.shows("1 pin keeps").await?;
    click(&browser, "prod@2").await?;
    browser.shows("the middle is enough").await?;
    browser.shows("It keeps 2 revisions; 3 paths of").await?;
    browser.accessible("the page of a pin").await?;
    click(&browser, "Roll back to revision 1").await?;
    browser
        .shows("prod names the path of revision 1 again.")
        .await?;
    browser.shows("@3").await?;
    let (_, path) = plain(&server, &olga, "prod").await?;
    ensure!(path == format!("{}\n", fx1::TOP), "{path}");
    let (_, path) = plain(&server, &olga, "prod@2").await?;
    ensure!(path == format!("{}\n", fx1::MID), "{path}");

    // Somebody else was faster: nothing is overwritten, and the page says so.
    let faster = json!({"path": fx1::LEAF, "expected": 3});
    olga.send(&server, Method::PUT, "/caches/team/pins/prod", faster)
        .await?;
    click(&browser, "Unpin…").await?;
    browser.shows("lose the only pin that keeps them").await?;
    click(&browser, "Unpin it").await?;
    browser.shows("is at revision 4, and you saw 3").await?;
    browser.open("/c/team/pins/prod").await?;
    browser.shows("@4").await?;
    click(&browser, "Unpin…").await?;
    browser.shows("3 paths of").await?;
    browser.accessible("unpinning").await?;
    click(&browser, "Unpin it").await?;
    browser.shows("There is no such pin").await?;
    ensure!(
        plain(&server, &olga, "prod").await?.0 == 404,
        "it is still there"
    );

    // What the pin keeps, as a filter of the list; and a reader is told who can.
    let again = json!({"path": fx1::MID, "expected": 0});
    olga.send(&server, Method::PUT, "/caches/team/pins/prod", again)
        .await?;
    let rita = olga
        .invite(
            &server,
            "rita",
            json!([{"role": "reader", "cache": "team"}]),
        )
        .await?;
    rita.sit_down(&browser, &server).await?;
    browser.open("/c/team/paths?pin=prod&sort=name").await?;
    browser.shows("kept by pin prod").await?;
    browser
        .until(
            "mid and leaf",
            "return document.querySelectorAll('#paths-table tbody tr').length === 2",
        )
        .await?;
    browser.open("/c/team/pins/prod").await?;
    browser
        .shows("Needs Maintainer of team. Owner: olga.")
        .await?;
    browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_hidden_from_clients_shown_everywhere_and_lifted() -> anyhow::Result<()> {
    let (server, _home) = private().await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let olga = server.owner("olga").await?;
    indexed(&server, &olga).await?;
    olga.sit_down(&browser, &server).await?;
    let narinfo = format!("/team/{}.narinfo", fx1::TOP_HASH);
    let status = async || -> anyhow::Result<u16> {
        let request = server.request(Method::GET, &narinfo);
        let answer = request.header("cookie", &olga.cookie).send().await?;
        Ok(answer.status().as_u16())
    };
    ensure!(status().await? == 200);
    browser.open("/c/team/quarantine").await?;
    browser.shows("Nothing is held back").await?;
    browser
        .open(&format!("/c/team/p/{}", fx1::TOP_HASH))
        .await?;
    browser
        .until(
            "the menu",
            "const menu = [...document.querySelectorAll('main details.menu')].find(it => it.textContent.includes('Hide from clients')); if (!menu) return false; menu.open = true; return true",
        )
        .await?;
    click(&browser, "Hide from clients…").await?;
    fill(&browser, "Why", "it phones home").await?;
    browser.accessible("hiding a path").await?;
    click(&browser, "Hide it").await?;
    browser.shows("Hidden: clients get 404").await?;
    browser.shows("In quarantine").await?;
    browser.shows("It phones home").await?;
    ensure!(status().await? == 404);
    browser.accessible("a hidden path").await?;
    browser.open("/c/team/paths?q=top-1.0").await?;
    browser.shows("in quarantine").await?;
    browser.open("/c/team/health/quarantined").await?;
    browser.shows("put into quarantine on").await?;
    browser.open("/c/team/quarantine").await?;
    browser.shows("1 of 1").await?;
    browser.accessible("the page of what is held back").await?;
    click(&browser, "Lift top-1.0").await?;
    browser.shows("may believe for up to an hour").await?;
    fill(&browser, "Why", "it was the test network").await?;
    click(&browser, "Lift it").await?;
    browser.shows("Nothing is held back").await?;
    ensure!(status().await? == 200);
    // Hidden again, and undone by one click.
    let wish = json!({"paths": [fx1::TOP_HASH, fx1::LEAF], "reason": "a try"});
    let hidden: Value = olga
        .send(&server, Method::POST, "/caches/team/quarantine", wish)
        .await?;
    ensure!(hidden["paths"] == 2, "{hidden}");
    browser.open("/c/team/quarantine").await?;
    click(&browser, "Undo").await?;
    browser
        .shows("Undone: clients are served 2 paths again.")
        .await?;
    ensure!(status().await? == 200);
    browser.finish().await
}

//! The files in a path, as a browser shows them.

use anyhow::ensure;
use snowbank_tests::browser::Browser;
use snowbank_tests::server::Setup;

use super::access::click;
use super::{fx1, pictures};

#[tokio::test(flavor = "multi_thread")]
async fn a30_the_files_tab_lists_what_is_in_a_path_without_a_listing() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let filled = snowbank::demo::prepare(home.path())?;
    // As buckets are that nobody asked for listings.
    for entry in std::fs::read_dir(&filled.bucket)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "ls") {
            std::fs::remove_file(file)?;
        }
    }
    let keys = format!("public_keys = [{:?}]", filled.public_key);
    let server = Setup::new()
        .folder("main", &filled.bucket, &[keys])
        .start()
        .await?;
    server.indexed("main").await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    for (path, contents) in [(fx1::LEAF, "leaf-1.0"), (fx1::TOP, fx1::MID)] {
        let hash = &path["/nix/store/".len()..][..32];
        ensure!(
            server.status(&format!("/main/{hash}.ls")).await? == 404,
            "the bucket has a listing of {path}"
        );
        browser.open(&format!("/c/main/p/{hash}")).await?;
        click(&browser, "Files").await?;
        browser.shows("This path is a single file").await?;
        browser.shows(contents).await?;
    }
    // A directory: opened by name, each place an address of its own.
    let rows = server
        .items("/api/v1/caches/main/paths?q=powder-3.14.0")
        .await?;
    let hash = rows[0]["hash"].as_str().unwrap_or_default().to_owned();
    browser.open(&format!("/c/main/p/{hash}/files")).await?;
    browser.shows("3 entries").await?;
    browser.accessible("files").await?;
    pictures::take(&browser, &pictures::folder()?, "files").await?;
    click(&browser, "bin/").await?;
    click(&browser, "powder").await?;
    browser.shows("executable").await?;
    ensure!(
        browser.location().await? == format!("/c/main/p/{hash}/files/bin/powder"),
        "{}",
        browser.location().await?
    );
    browser.find(".files pre").await?;
    browser.accessible("a file").await?;
    pictures::take(&browser, &pictures::folder()?, "file").await?;
    // What the download gives is the file.
    let whole = browser
        .script_async(
            "const done = arguments[arguments.length - 1];
             const link = document.querySelector('.files a[download]');
             fetch(link.href).then(async answer => done([link.download, (await answer.arrayBuffer()).byteLength, answer.headers.get('content-security-policy')]))",
            vec![],
        )
        .await?;
    let files = server
        .json(&format!(
            "/api/v1/caches/main/paths/{hash}/files?path=bin%2Fpowder"
        ))
        .await?;
    ensure!(
        whole[0] == "powder" && whole[1] == files["node"]["size"],
        "{whole} of {files}"
    );
    ensure!(
        whole[2]
            .as_str()
            .is_some_and(|policy| policy.contains("sandbox")),
        "{whole}"
    );
    // Found by its name; a place that is not there says so.
    browser.open(&format!("/c/main/p/{hash}/files")).await?;
    browser
        .find(".files-search input")
        .await?
        .send_keys("ARGPARSE")
        .await?;
    click(&browser, "Search").await?;
    browser.shows("1 name below here").await?;
    click(&browser, "lib/powder3.14/argparse.pw").await?;
    browser.shows("line 0 of the same song").await?;
    browser
        .open(&format!("/c/main/p/{hash}/files/no/such%FF"))
        .await?;
    browser.shows("There is no such thing").await?;
    browser.finish().await
}

//! Screenshots of every page, for people to look at: 1440 and 320 pixels, light and dark.
//!
//! They go to the folder that `SNOWBANK_SCREENSHOTS` names; those that the README shows lie in
//! `tests/screenshots`. Where it names none nobody looks at them, and one page shows that they
//! can be taken: it goes to `tests/screenshots/new`.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use snowbank_tests::browser::{Browser, Colours, Width};

use super::scene::Scene;

/// Where pictures go.
pub(super) fn folder() -> anyhow::Result<PathBuf> {
    let folder = std::env::var_os("SNOWBANK_SCREENSHOTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots/new"),
        PathBuf::from,
    );
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Pictures of what the browser shows, at both widths and in both themes.
pub(super) async fn take(browser: &Browser, folder: &Path, name: &str) -> anyhow::Result<()> {
    for width in [Width::Wide, Width::Narrow] {
        browser.resize(width).await?;
        for (colours, word) in [(Colours::Light, "light"), (Colours::Dark, "dark")] {
            browser.colours(colours).await?;
            let file = folder.join(format!("{name}-{}-{word}.webp", width.pixels()));
            browser.screenshot(&file).await?;
            ensure!(
                std::fs::metadata(&file)?.len() > 1000,
                "{} is empty",
                file.display()
            );
        }
    }
    browser.resize(Width::Wide).await?;
    browser.colours(Colours::Light).await
}

#[tokio::test(flavor = "multi_thread")]
async fn screenshots_of_every_page() -> anyhow::Result<()> {
    let folder = folder()?;
    let scenes = match std::env::var_os("SNOWBANK_SCREENSHOTS") {
        Some(_) => {
            let mut all = Scene::all().await?;
            all.push(Scene::month().await?);
            all
        }
        None => vec![Scene::founder().await?],
    };
    for scene in scenes {
        let Some(browser) = scene.browser().await? else {
            return Ok(());
        };
        for (name, path) in &scene.pages {
            browser.open(path).await?;
            take(&browser, &folder, name).await?;
        }
        browser.finish().await?;
    }
    Ok(())
}

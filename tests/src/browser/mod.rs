//! A real browser in front of the server: Chromium, driven through chromedriver.
//!
//! Every session watches two things by itself and fails the test over them when
//! it [finishes](Browser::finish): a violation of the content security policy,
//! and a request to anywhere but the server's own origin.
//!
//! | part | what |
//! |---|---|
//! | this file | the session: start, network, end |
//! | [`page`] | what a user does on a page: open, press, find, read, copy |
//! | [`appearance`] | widths, colours, screenshots |
//! | [`judgement`] | axe, and what the session watched |
//! | [`aria`] | the page as assistive technology gets it, as text |
//! | [`targets`] | the size of what can be hit |

pub mod appearance;
pub mod aria;
pub mod judgement;
pub mod page;
pub mod targets;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::session::handle::SessionHandle;

use crate::component;
use crate::process::Process;

pub use appearance::{Colours, Width};

/// How long anything on a page may take to appear.
const PATIENCE: Duration = Duration::from_secs(20);

/// A browser on one origin.
pub struct Browser {
    origin: String,
    session: Arc<SessionHandle>,
    driver: Option<WebDriver>,
    profile: TempDir,
    // Dropped last: it ends the driver.
    _chromedriver: Process,
}

impl Browser {
    /// Starts a browser for `origin`. `None` where browsers are skipped by name.
    ///
    /// # Errors
    /// When Chromium or chromedriver are missing or do not start.
    pub async fn start(origin: &str) -> anyhow::Result<Option<Self>> {
        Self::start_with(origin, &[]).await
    }

    /// The same with further switches of Chromium.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(origin: &str, switches: &[String]) -> anyhow::Result<Option<Self>> {
        if component::skipped(component::BROWSER) {
            return Ok(None);
        }
        let profile = tempfile::Builder::new()
            .prefix("snowbank-browser-")
            .tempdir()?;
        let mut chromedriver = Process::start(
            "chromedriver",
            Command::new("chromedriver")
                .arg("--port=0")
                .env("HOME", profile.path()),
        )
        .context(
            "chromedriver is missing: install chromium-driver, or set SNOWBANK_SKIP=browser",
        )?;
        let port: u16 = chromedriver
            .wait_for(PATIENCE, "its port", |log| {
                let rest = log.split("was started successfully on port ").nth(1)?;
                rest.split('.').next()?.parse().ok()
            })
            .await?;

        let mut capabilities = DesiredCapabilities::chrome();
        for switch in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--force-device-scale-factor=1",
            "--hide-scrollbars",
        ] {
            capabilities.add_arg(switch)?;
        }
        capabilities.add_arg(&format!("--user-data-dir={}", profile.path().display()))?;
        for switch in switches {
            capabilities.add_arg(switch)?;
        }
        let mut capabilities: Capabilities = capabilities.into();
        capabilities.set(
            "goog:loggingPrefs",
            json!({"performance": "ALL", "browser": "ALL"}),
        )?;

        let driver = WebDriver::builder(format!("http://127.0.0.1:{port}"), capabilities)
            .request_timeout(Duration::from_secs(60))
            .connect()
            .await
            .context("Chromium does not start")?;
        let browser = Self {
            origin: origin.trim_end_matches('/').to_owned(),
            session: driver.handle().clone(),
            driver: Some(driver),
            profile,
            _chromedriver: chromedriver,
        };
        // Kept in the session's storage, so that a reload does not lose what was seen before it.
        browser
            .cdp(
                "Page.addScriptToEvaluateOnNewDocument",
                json!({"source": "document.addEventListener('securitypolicyviolation', e => {
                    const seen = JSON.parse(sessionStorage.getItem('violations') || '[]');
                    seen.push(`${e.violatedDirective} blocked ${e.blockedURI} at ${e.sourceFile}:${e.lineNumber}`);
                    sessionStorage.setItem('violations', JSON.stringify(seen));
                });
                const ask = window.fetch; window.asking = 0;
                window.fetch = (...what) => { window.asking += 1; return ask(...what).finally(() => { window.asking -= 1; }); };"}),
            )
            .await?;
        browser.resize(Width::Wide).await?;
        Ok(Some(browser))
    }

    /// Sends a command of the DevTools protocol.
    ///
    /// # Errors
    /// When the browser refuses it.
    pub async fn cdp(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let driver = self.driver.as_ref().context("the session is over")?;
        driver
            .cdp()
            .send_raw(method, params)
            .await
            .with_context(|| format!("{method} failed"))
    }

    /// Cuts the network off, or gives it back.
    ///
    /// # Errors
    /// As [`Self::cdp`].
    pub async fn offline(&self, offline: bool) -> anyhow::Result<()> {
        self.cdp("Network.enable", json!({})).await?;
        self.cdp(
            "Network.emulateNetworkConditions",
            json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}),
        )
        .await?;
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            // The session is ended by force below; asking it first would block here.
            let _ = driver.leak();
        }
        // Chromium is a child of chromedriver and would outlive it: ended by its own profile folder,
        // which no other process has.
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        let Ok(processes) = std::fs::read_dir("/proc") else {
            return;
        };
        for process in processes.flatten() {
            let Some(id) = process
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u32>().ok())
            else {
                continue;
            };
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if command
                .split(|byte| *byte == 0)
                .any(|argument| argument == profile.as_bytes())
            {
                let _ = Command::new("kill")
                    .args(["-KILL", &id.to_string()])
                    .status();
            }
        }
    }
}

//! A real browser in front of the server: Chromium, driven through chromedriver.
//!
//! Every session watches two things by itself and fails the test over them when
//! it [finishes](Browser::finish): a violation of the content security policy,
//! and a request to anywhere but the server's own origin.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::session::handle::SessionHandle;

use crate::component;
use crate::process::Process;

/// How long anything on a page may take to appear.
const PATIENCE: Duration = Duration::from_secs(20);

/// A page width at which screenshots and checks are made, in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// A desktop: 1440.
    Wide,
    /// A small phone: 320.
    Narrow,
}

impl Width {
    /// In CSS pixels.
    pub const fn pixels(self) -> u32 {
        match self {
            Self::Wide => 1440,
            Self::Narrow => 320,
        }
    }
}

/// How a page is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// The light theme.
    Light,
    /// The dark theme.
    Dark,
    /// `forced-colors: active`, as Windows' high contrast.
    Forced,
}

impl Colours {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Light, Self::Dark, Self::Forced];
}

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
                });"}),
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

    /// Sets the window's width; the height is 900.
    ///
    /// # Errors
    /// As [`Self::cdp`].
    pub async fn resize(&self, width: Width) -> anyhow::Result<()> {
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width.pixels(), "height": 900, "deviceScaleFactor": 1, "mobile": false}),
        )
        .await?;
        Ok(())
    }

    /// Sets the colour scheme that the system asks for.
    ///
    /// # Errors
    /// As [`Self::cdp`].
    pub async fn colours(&self, colours: Colours) -> anyhow::Result<()> {
        let scheme = if colours == Colours::Dark {
            "dark"
        } else {
            "light"
        };
        let forced = if colours == Colours::Forced {
            "active"
        } else {
            "none"
        };
        self.cdp(
            "Emulation.setEmulatedMedia",
            json!({"features": [
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "forced-colors", "value": forced},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ]}),
        )
        .await?;
        Ok(())
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

    /// Loads a page and waits until the dashboard has drawn it: a heading is there
    /// and nothing on it is busy.
    ///
    /// # Errors
    /// When it does not come, with the page's text and console.
    pub async fn open(&self, path: &str) -> anyhow::Result<()> {
        self.session
            .goto(format!("{}{path}", self.origin))
            .await
            .with_context(|| format!("opening {path}"))?;
        self.drawn()
            .await
            .with_context(|| format!("opening {path}"))
    }

    /// Waits until the page has a heading and nothing on it is busy.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn drawn(&self) -> anyhow::Result<()> {
        self.until(
            "a drawn page",
            "return document.readyState === 'complete' && document.querySelector('main h1')?.textContent.trim() !== undefined \
             && document.querySelector('main h1').textContent.trim() !== '' \
             && !document.querySelector('[aria-busy=true]')",
        )
        .await
    }

    /// Runs a script in the page, as the body of a function with `arguments`.
    ///
    /// # Errors
    /// When it throws.
    pub async fn script(&self, body: &str, arguments: Vec<Value>) -> anyhow::Result<Value> {
        let answer = self
            .session
            .execute(body, arguments)
            .await
            .with_context(|| format!("the script failed: {body}"))?;
        Ok(answer.json().clone())
    }

    /// The same for a script whose last argument is called with the result.
    ///
    /// # Errors
    /// When it throws or takes longer than 30 s.
    pub async fn script_async(&self, body: &str, arguments: Vec<Value>) -> anyhow::Result<Value> {
        self.session
            .set_script_timeout(Duration::from_secs(30))
            .await?;
        Ok(self
            .session
            .execute_async(body, arguments)
            .await
            .context("the script failed")?
            .json()
            .clone())
    }

    /// Waits until the script returns something true.
    ///
    /// # Errors
    /// When it does not in 20 s, with what the page shows and what the console says.
    pub async fn until(&self, what: &str, body: &str) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let value = self.script(body, vec![]).await?;
            if !matches!(value, Value::Null | Value::Bool(false)) && value != "" && value != 0 {
                return Ok(());
            }
            if Instant::now() > end {
                let text = self.page_text().await.unwrap_or_default();
                let console = self.console().await.unwrap_or_default();
                let url = self.url().await.unwrap_or_default();
                bail!(
                    "{what} did not come within {PATIENCE:?} at {url}. The page shows:\n{text}\nThe console says:\n{}",
                    console.join("\n")
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the page shows the text.
    ///
    /// # Errors
    /// As [`Self::until`].
    pub async fn shows(&self, text: &str) -> anyhow::Result<()> {
        let quoted = serde_json::to_string(text)?;
        self.until(
            &format!("the text {quoted}"),
            &format!("return document.body.innerText.replace(/\\s+/g, ' ').includes({quoted})"),
        )
        .await
    }

    /// What the page shows, with every run of space made one.
    ///
    /// # Errors
    /// When the page is gone.
    pub async fn page_text(&self) -> anyhow::Result<String> {
        let text = self
            .script(
                "return document.body.innerText.replace(/[ \\t\\u00a0]+/g, ' ')",
                vec![],
            )
            .await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Where the browser is.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn url(&self) -> anyhow::Result<String> {
        Ok(self.session.current_url().await?.to_string())
    }

    /// The path and query of where the browser is.
    ///
    /// # Errors
    /// As [`Self::url`].
    pub async fn location(&self) -> anyhow::Result<String> {
        let url = self.session.current_url().await?;
        Ok(url.query().map_or_else(
            || url.path().to_owned(),
            |query| format!("{}?{query}", url.path()),
        ))
    }

    /// The first element that matches, waited for.
    ///
    /// # Errors
    /// When there is none.
    pub async fn find(&self, css: &str) -> anyhow::Result<WebElement> {
        self.until(
            &format!("an element {css}"),
            &format!(
                "return !!document.querySelector({})",
                serde_json::to_string(css)?
            ),
        )
        .await?;
        Ok(self.session.find(By::Css(css)).await?)
    }

    /// Types into the page, wherever the focus is.
    ///
    /// # Errors
    /// When the browser refuses.
    pub async fn press(&self, keys: &str) -> anyhow::Result<()> {
        self.session
            .action_chain()
            .send_keys(keys)
            .perform()
            .await?;
        Ok(())
    }

    /// Lets the page read and write the clipboard, as a user who was asked once.
    ///
    /// # Errors
    /// As [`Self::cdp`].
    pub async fn allow_clipboard(&self) -> anyhow::Result<()> {
        self.cdp(
            "Browser.grantPermissions",
            json!({"origin": self.origin, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
        )
        .await?;
        Ok(())
    }

    /// What is on the clipboard, found by pasting it into a field made for that.
    ///
    /// # Errors
    /// When the browser refuses.
    pub async fn clipboard(&self) -> anyhow::Result<String> {
        self.script(
            "const t = document.createElement('textarea'); t.id = 'pasted'; document.body.append(t); t.focus();",
            vec![],
        )
        .await?;
        self.session
            .action_chain()
            .key_down(Key::Control)
            .send_keys("v")
            .key_up(Key::Control)
            .perform()
            .await?;
        let text = self.script("const t = document.getElementById('pasted'); const v = t.value; t.remove(); return v", vec![]).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// A screenshot of the whole page as WebP, at most 4,000 pixels high.
    ///
    /// # Errors
    /// As [`Self::cdp`].
    pub async fn screenshot(&self, file: &Path) -> anyhow::Result<()> {
        let shot = self
            .cdp(
                "Page.captureScreenshot",
                json!({"format": "webp", "quality": 72}),
            )
            .await?;
        let data = shot["data"].as_str().context("a screenshot has data")?;
        std::fs::write(
            file,
            base64::engine::general_purpose::STANDARD.decode(data)?,
        )?;
        Ok(())
    }

    /// Lets axe-core judge the page by WCAG 2.2 A and AA.
    ///
    /// # Errors
    /// One line per violation, with the elements and what axe says of them.
    pub async fn accessible(&self, what: &str) -> anyhow::Result<()> {
        if component::skipped("axe") {
            return Ok(());
        }
        let file = component::tools().join("axe/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(&file).with_context(|| {
            format!(
                "{} is missing: `tests/run` installs it, or set SNOWBANK_SKIP=axe",
                file.display()
            )
        })?;
        self.script(&axe, vec![]).await?;
        let violations = self
            .script_async(
                "const done = arguments[arguments.length - 1];
                 axe.run(document, {resultTypes: ['violations'],
                   runOnly: {type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}})
                 .then(r => done(r.violations.map(v => `${v.id}: ${v.help}: ` + v.nodes.slice(0, 4).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary.replace(/\\s+/g, ' ')).join(' | '))),
                       e => done(['axe itself failed: ' + e]))",
                vec![],
            )
            .await?;
        let violations: Vec<String> = serde_json::from_value(violations)?;
        ensure!(
            violations.is_empty(),
            "axe on {what}:\n{}",
            violations.join("\n")
        );
        Ok(())
    }

    /// The console's warnings and errors since the last call.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn console(&self) -> anyhow::Result<Vec<String>> {
        let log = self.session.browser_log().await?;
        Ok(log
            .into_iter()
            .map(|entry| format!("{}: {}", entry.level, entry.message))
            .collect())
    }

    /// Every URL asked for since the last call.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn requests(&self) -> anyhow::Result<Vec<String>> {
        let mut urls = Vec::new();
        for entry in self.session.get_log("performance").await? {
            let event: Value = serde_json::from_str(&entry.message)?;
            if event["message"]["method"] == "Network.requestWillBeSent"
                && let Some(url) = event["message"]["params"]["request"]["url"].as_str()
            {
                urls.push(url.to_owned());
            }
        }
        Ok(urls)
    }

    /// Whether a URL is on the server's own origin, or no request to a network at all.
    pub fn is_own(&self, url: &str) -> bool {
        url.starts_with(&format!("{}/", self.origin))
            || ["data:", "blob:", "about:", "chrome:"]
                .iter()
                .any(|scheme| url.starts_with(scheme))
    }

    /// Ends the session after looking at what it watched.
    ///
    /// # Errors
    /// When the policy was violated, something other than the origin was asked, or the page panicked.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        let violations = self
            .script("return sessionStorage.getItem('violations')", vec![])
            .await?;
        ensure!(
            violations.is_null(),
            "the content security policy was violated: {violations}"
        );
        let asked = self.requests().await?;
        let outside: Vec<&String> = asked.iter().filter(|url| !self.is_own(url)).collect();
        ensure!(
            outside.is_empty(),
            "requests left the origin {}: {outside:?}",
            self.origin
        );
        let broken: Vec<String> = self
            .console()
            .await?
            .into_iter()
            .filter(|line| {
                line.contains("panicked at")
                    || line.contains("Content Security Policy")
                    || line.contains("Uncaught")
            })
            .collect();
        ensure!(
            broken.is_empty(),
            "the console says:\n{}",
            broken.join("\n")
        );
        if let Some(driver) = self.driver.take() {
            driver.quit().await?;
        }
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

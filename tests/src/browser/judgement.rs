//! What is judged of a page, and what a session watched by itself.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::Browser;
use crate::component;

impl Browser {
    /// Lets axe-core judge the page by WCAG 2.2 A and AA.
    ///
    /// # Errors
    /// One line per violation, with the elements and what axe says of them.
    pub async fn accessible(&self, what: &str) -> anyhow::Result<()> {
        self.accessible_in(what, "html").await
    }

    /// The same for a part of it: what opened on a page that was judged before.
    ///
    /// # Errors
    /// As [`Self::accessible`], and where there is no such part.
    pub async fn accessible_in(&self, what: &str, css: &str) -> anyhow::Result<()> {
        let tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
        self.axe(what, css, &json!({"type": "tag", "values": tags}))
            .await
    }

    /// Lets axe-core judge what another theme can change of a page that was judged whole in one: its
    /// colours.
    ///
    /// # Errors
    /// As [`Self::accessible`].
    pub async fn accessible_colours(&self, what: &str) -> anyhow::Result<()> {
        let rules = ["color-contrast", "link-in-text-block"];
        self.axe(what, "html", &json!({"type": "rule", "values": rules}))
            .await
    }

    async fn axe(&self, what: &str, css: &str, run_only: &Value) -> anyhow::Result<()> {
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
        if self.script("return !window.axe", vec![]).await? == true {
            self.script(&axe, vec![]).await?;
        }
        let violations = self
            .script_async(
                // What is fading in is judged as it will stand: half shown, its contrast is too low.
                "const done = arguments[arguments.length - 1];
                 for (const a of document.getAnimations()) { try { a.finish(); } catch { /* one without end */ } }
                 axe.run(arguments[0], {resultTypes: ['violations'], runOnly: arguments[1]})
                 .then(r => done(r.violations.map(v => `${v.id}: ${v.help}: ` + v.nodes.slice(0, 4).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary.replace(/\\s+/g, ' ')).join(' | '))),
                       e => done(['axe itself failed: ' + e]))",
                vec![css.into(), run_only.clone()],
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

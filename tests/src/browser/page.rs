//! What a user does on a page: opens it, presses keys, looks for something, copies.

use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::time::Duration;
use thirtyfour::TypingData;
use thirtyfour::prelude::*;

use super::{Browser, PATIENCE};

impl Browser {
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
    pub async fn press(&self, keys: impl Into<TypingData>) -> anyhow::Result<()> {
        self.session
            .action_chain()
            .send_keys(keys)
            .perform()
            .await?;
        Ok(())
    }

    /// Moves the focus by Tab, or by Shift-Tab `back`.
    ///
    /// # Errors
    /// When the browser refuses.
    pub async fn tab(&self, back: bool) -> anyhow::Result<()> {
        if back {
            self.chord(Key::Shift, Key::Tab).await
        } else {
            self.press(Key::Tab).await
        }
    }

    /// Presses keys while another is held down.
    ///
    /// # Errors
    /// When the browser refuses.
    pub async fn chord(&self, held: Key, keys: impl Into<TypingData>) -> anyhow::Result<()> {
        self.session
            .action_chain()
            .key_down(held.clone())
            .send_keys(keys)
            .key_up(held)
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
}

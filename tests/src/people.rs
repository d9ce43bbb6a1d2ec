//! People who use a server: the owner by the machine's own link, others by invitation.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::component;
use crate::server::Server;

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Person {
    /// `name=value` of the session.
    pub cookie: String,
}

impl Server {
    /// A fresh owner link by `snowbank owner-link`, run beside the server: the path of its page,
    /// `/invite/…`.
    ///
    /// # Errors
    /// When the program fails.
    pub fn owner_link(&self) -> anyhow::Result<String> {
        let output = Command::new(component::binary())
            .arg("owner-link")
            .arg("--data-dir")
            .arg(self.data())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .output()
            .context("starting snowbank owner-link")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "owner-link failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let at = text.find("/invite/").context("no link was printed")?;
        let link = text[at..].split_whitespace().next().unwrap_or_default();
        Ok(link.to_owned())
    }

    /// The owner of this name, signed in.
    ///
    /// # Errors
    /// When the link does not work within 20 s: the state may still be opening.
    pub async fn owner(&self, name: &str) -> anyhow::Result<Person> {
        let mut last = String::new();
        for _ in 0..40 {
            let link = self.owner_link()?;
            match self.enter(&link, Some(name)).await {
                Ok(person) => return Ok(person),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
        anyhow::bail!("nobody could sign in as {name}: {last}")
    }

    /// Whoever opens this link, signed in.
    ///
    /// # Errors
    /// When the link does not work.
    pub async fn enter(&self, link: &str, name: Option<&str>) -> anyhow::Result<Person> {
        let secret = link.rsplit('/').next().unwrap_or_default();
        let answer = self
            .request(reqwest::Method::POST, "/api/v1/session")
            .json(&json!({"link": secret, "name": name}))
            .send()
            .await?;
        let status = answer.status();
        let cookie = answer
            .headers()
            .get("set-cookie")
            .and_then(|value| value.to_str().ok()?.split(';').next())
            .map(str::to_owned);
        match cookie {
            Some(cookie) if status == 204 => Ok(Person { cookie }),
            _ => anyhow::bail!("{status}: {}", answer.text().await?),
        }
    }
}

impl Person {
    /// Makes this person the one at the browser.
    ///
    /// # Errors
    /// When the browser does not take the session's cookie.
    pub async fn sit_down(&self, browser: &Browser, server: &Server) -> anyhow::Result<()> {
        let (name, value) = self.cookie.split_once('=').context("a cookie")?;
        let cookie = json!({
            "name": name,
            "value": value,
            "url": server.origin,
            "httpOnly": true,
            "sameSite": "Strict",
        });
        browser.cdp("Network.setCookie", cookie).await?;
        Ok(())
    }

    /// Sends something as this person's browser would, and reads the JSON of the answer; `null`
    /// where it has none.
    ///
    /// # Errors
    /// When the answer is not 2xx, with its text.
    pub async fn send(
        &self,
        server: &Server,
        method: reqwest::Method,
        path: &str,
        body: Value,
    ) -> anyhow::Result<Value> {
        let mut request = server
            .request(method.clone(), &format!("/api/v1{path}"))
            .header("cookie", &self.cookie)
            .header("origin", &server.origin);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{method} {path}: {status} {text}");
        if text.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// A new token that reads these caches: its id and its text.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn token(
        &self,
        server: &Server,
        caches: &[&str],
    ) -> anyhow::Result<(String, String)> {
        let wish = json!({"name": "a test's", "caches": caches, "verbs": ["read"], "days": 1});
        let made = self
            .send(server, reqwest::Method::POST, "/tokens", wish)
            .await?;
        let text = |name: &str| made[name].as_str().map(str::to_owned);
        Ok((
            text("id").context("no id")?,
            text("secret").context("no secret")?,
        ))
    }

    /// Somebody whom this owner invites.
    ///
    /// # Errors
    /// When the invitation or its use is refused.
    pub async fn invite(&self, server: &Server, name: &str, grants: Value) -> anyhow::Result<Self> {
        let wish = json!({"name": name, "grants": grants});
        let made = self
            .send(server, reqwest::Method::POST, "/members", wish)
            .await?;
        let url = made["url"].as_str().context("no link")?;
        server.enter(url, Some(name)).await
    }
}

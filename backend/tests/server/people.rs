//! People at browsers, and what the tests ask in their name.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::harness::{TestServer, header};

/// Somebody with a cookie, a token, or nothing.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    pub cookie: Option<String>,
    pub bearer: Option<String>,
}

impl Actor {
    pub fn stranger() -> Self {
        Self::default()
    }

    pub fn with_token(token: &str) -> Self {
        Self {
            bearer: Some(token.to_owned()),
            ..Self::default()
        }
    }

    /// Sends a request to the API as a page of ours or a program would.
    pub async fn send(
        &self,
        server: &TestServer,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Response {
        let mut request = self.request(server, method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.expect("an answer")
    }

    pub fn request(&self, server: &TestServer, method: Method, path: &str) -> RequestBuilder {
        let url = server.url(&format!("/api/v1{path}"));
        let mut request = server.client.request(method, url);
        if let Some(cookie) = &self.cookie {
            request = request
                .header("cookie", cookie)
                .header("origin", server.server.site().public_url.origin());
        }
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer);
        }
        request
    }

    pub async fn get(&self, server: &TestServer, path: &str) -> Response {
        self.send(server, Method::GET, path, None).await
    }

    pub async fn post(&self, server: &TestServer, path: &str, body: Value) -> Response {
        self.send(server, Method::POST, path, Some(body)).await
    }

    /// The JSON of an answer of 2xx.
    pub async fn json(&self, server: &TestServer, path: &str) -> Value {
        read(self.get(server, path).await).await
    }

    /// A token of this member; its text.
    pub async fn token(&self, server: &TestServer, caches: Value, verbs: &[&str]) -> Value {
        let wish = json!({"name": "test", "caches": caches, "verbs": verbs, "days": 1});
        read(self.post(server, "/tokens", wish).await).await
    }

    /// The member at a link.
    pub async fn by_link(server: &TestServer, url: &str, name: Option<&str>) -> Self {
        let secret = url.rsplit('/').next().expect("a link");
        let answer = Self::stranger()
            .post(server, "/session", json!({"link": secret, "name": name}))
            .await;
        assert_eq!(
            answer.status(),
            204,
            "{}",
            answer.text().await.expect("text")
        );
        Self {
            cookie: Some(cookie_of(&answer)),
            bearer: None,
        }
    }

    /// Somebody whom an owner invites with these roles.
    pub async fn invite(&self, server: &TestServer, name: &str, grants: Value) -> Self {
        let link = read(
            self.post(server, "/members", json!({"name": name, "grants": grants}))
                .await,
        )
        .await;
        Self::by_link(server, link["url"].as_str().expect("a URL"), Some(name)).await
    }
}

/// The first owner, by the machine's own link.
pub async fn owner(server: &TestServer) -> Actor {
    settled(server).await;
    let link = server.server.site().access.owner_link().expect("a link");
    Actor::by_link(server, &link, Some("olga")).await
}

/// Another owner, by another link: a session belongs to the address it began at, and a server that
/// starts anew has another port.
pub async fn another_owner(server: &TestServer) -> Actor {
    settled(server).await;
    let link = server.server.site().access.owner_link().expect("a link");
    Actor::by_link(server, &link, Some("oscar")).await
}

/// Waits until the state can be read and written.
pub async fn settled(server: &TestServer) {
    let phase = server
        .server
        .site()
        .access
        .ledger()
        .settled(std::time::Duration::from_secs(20))
        .await;
    assert_eq!(phase, snowbank::ledger::Phase::Open, "{phase}");
}

pub fn cookie_of(answer: &Response) -> String {
    let set = header(answer, "set-cookie");
    set.split(';').next().expect("a cookie").to_owned()
}

pub async fn read(answer: Response) -> Value {
    let status = answer.status();
    let text = answer.text().await.expect("text");
    assert!(status.is_success(), "{status} {text}");
    serde_json::from_str(&text).expect("JSON")
}

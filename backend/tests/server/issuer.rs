//! A fake identity provider: discovery, keys that rotate, a token endpoint that checks PKCE.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A running issuer.
#[derive(Clone)]
pub struct Issuer {
    pub url: String,
    state: Arc<Mutex<Keys>>,
}

struct Keys {
    pair: EcdsaKeyPair,
    id: u32,
    /// How often the keys were asked for.
    asked: u32,
    /// The claims of the identity that a code stands for, with the PKCE challenge it needs.
    codes: HashMap<String, (Value, String)>,
}

fn pair() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("it")
}

impl Issuer {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let issuer = Self {
            url,
            state: Arc::new(Mutex::new(Keys {
                pair: pair(),
                id: 1,
                asked: 0,
                codes: HashMap::new(),
            })),
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        issuer
    }

    /// New keys; the old ones are gone.
    pub fn rotate(&self) {
        let mut state = self.state.lock().expect("a lock");
        state.pair = pair();
        state.id += 1;
    }

    pub fn asked(&self) -> u32 {
        self.state.lock().expect("a lock").asked
    }

    /// A signed identity with these claims; issuer and times are added where they are absent.
    pub fn sign(&self, claims: &Value) -> String {
        let now = snowbank::auth::records::now();
        let mut all = json!({"iss": self.url, "iat": now, "exp": now + 300});
        for (name, value) in claims.as_object().expect("claims") {
            all[name] = value.clone();
        }
        let state = self.state.lock().expect("a lock");
        let header = json!({"alg": "ES256", "kid": state.id.to_string(), "typ": "JWT"});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&all));
        let signature = state
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What a browser does there: takes the authorization request and comes back with a code.
    /// Gives the callback's query.
    pub fn approve(&self, address: &str, claims: Value) -> String {
        let query = address.split_once('?').expect("a query").1;
        let asked: HashMap<String, String> = serde_urlencoded(query);
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["code_challenge_method"], "S256");
        let mut claims = claims;
        claims["nonce"] = json!(asked["nonce"]);
        claims["aud"] = json!(asked["client_id"]);
        let mut state = self.state.lock().expect("a lock");
        let code = format!("code-{}", state.codes.len());
        state
            .codes
            .insert(code.clone(), (claims, asked["code_challenge"].clone()));
        format!("code={code}&state={}", asked["state"])
    }
}

fn serde_urlencoded(query: &str) -> HashMap<String, String> {
    snowbank::web::query::pairs(Some(query))
        .expect("a query")
        .into_iter()
        .collect()
}

async fn discovery(State(issuer): State<Issuer>) -> Json<Value> {
    let url = &issuer.url;
    Json(json!({
        "issuer": url,
        "jwks_uri": format!("{url}/keys"),
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
    }))
}

async fn keys(State(issuer): State<Issuer>) -> Json<Value> {
    let mut state = issuer.state.lock().expect("a lock");
    state.asked += 1;
    let point = state.pair.public_key().as_ref();
    Json(json!({"keys": [{
        "kty": "EC", "crv": "P-256", "kid": state.id.to_string(), "use": "sig", "alg": "ES256",
        "x": URL_SAFE_NO_PAD.encode(&point[1..33]),
        "y": URL_SAFE_NO_PAD.encode(&point[33..]),
    }]}))
}

async fn token(
    State(issuer): State<Issuer>,
    form: String,
) -> Result<Json<Value>, http::StatusCode> {
    let form = serde_urlencoded(&form);
    let found = issuer
        .state
        .lock()
        .expect("a lock")
        .codes
        .remove(&form["code"]);
    let (claims, challenge) = found.ok_or(http::StatusCode::BAD_REQUEST)?;
    let shown = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
    if shown != challenge || form["grant_type"] != "authorization_code" {
        return Err(http::StatusCode::BAD_REQUEST);
    }
    Ok(Json(
        json!({"id_token": issuer.sign(&claims), "token_type": "Bearer"}),
    ))
}

//! Batches for a machine that holds a key and never meets the server: what goes out, and what is taken
//! of what comes back.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};
use snowbank_shared::signature::{PublicKey, SecretKey};
use snowbank_shared::store_path::StoreDir;

use crate::harness::{Shelf, TestServer};
use crate::people::{owner, read};
use crate::signing::{hash, shelve, signs, team};
use crate::upload_site::Made;

#[tokio::test(flavor = "multi_thread")]
async fn signatures_of_another_machine_are_taken_only_where_they_verify_now() {
    let theirs = Shelf::new("").key;
    let offline = SecretKey::generate("team-9", [29; 32]).expect("a key");
    let made: Vec<Made> = (0..3)
        .map(|n| Made::file(&format!("path-{n}"), &format!("text {n}"), &[], &theirs))
        .collect();
    let server = TestServer::start(
        |shelf| made.iter().for_each(|made| shelve(shelf, made)),
        |config| {
            signs(config, &team());
            config.caches[0].public_keys.push(offline.public_key());
        },
    )
    .await;
    let olga = owner(&server).await;
    let batch = olga.json(&server, "/caches/main/batches?by=team-9").await;
    assert_eq!(
        batch["narinfos"].as_array().map(Vec::len),
        Some(3),
        "{batch}"
    );
    assert_eq!(batch["key"], offline.public_key().to_string());
    let answer = olga.get(&server, "/caches/main/batches?by=nobody-1").await;
    assert_eq!(answer.status(), 404);
    let sign = |made: &Made, of: &Made| {
        let fingerprint = of.parts.fingerprint(&StoreDir::default());
        json!({"hash": hash(made), "signature": offline.sign(fingerprint.as_bytes()).to_string()})
    };
    let signed = |key: &PublicKey, signatures: Vec<Value>| json!({"format": batch["format"], "key": key.to_string(), "signatures": signatures});
    let key = offline.public_key();
    // One is good, one is of another path.
    let body = signed(
        &key,
        vec![sign(&made[0], &made[0]), sign(&made[1], &made[2])],
    );
    let path = "/caches/main/batches/signed";
    let taken = read(olga.post(&server, path, body.clone()).await).await;
    assert_eq!(
        (&taken["changed"], &taken["refused"]),
        (&json!(1), &json!(1)),
        "{taken}"
    );
    let again = read(olga.post(&server, path, body).await).await;
    assert_eq!(
        (&again["changed"], &again["same"]),
        (&json!(0), &json!(1)),
        "{again}"
    );
    let shelf = server.shelf();
    let text = |made: &Made| fs::read_to_string(shelf.folder.join(made.key())).expect("a narinfo");
    assert_eq!(text(&made[0]).matches("Sig: team-9:").count(), 1);
    assert_eq!(
        (text(&made[1]), text(&made[2])),
        (made[1].text(), made[2].text())
    );
    let twice = vec![sign(&made[2], &made[2]), sign(&made[2], &made[2])];
    let impostor = SecretKey::generate("team-9", [30; 32]).expect("a key");
    for (body, status) in [
        (signed(&key, twice), 422),
        (signed(&impostor.public_key(), vec![]), 422),
        (
            json!({"format": "other", "key": key.to_string(), "signatures": []}),
            422,
        ),
        (
            signed(&theirs.public_key(), vec![sign(&made[2], &made[2])]),
            200,
        ),
    ] {
        let answer = olga.send(&server, Method::POST, path, Some(body)).await;
        assert_eq!(answer.status().as_u16(), status);
    }
    assert_eq!(
        text(&made[2]),
        made[2].text(),
        "by the key it says, or not at all"
    );
    let rest = olga
        .json(&server, "/caches/main/batches?by=team-9&q=path")
        .await;
    assert_eq!(rest["narinfos"].as_array().map(Vec::len), Some(2), "{rest}");
}

//! Sessions of uploads: parts in whatever breaks, and that nothing is left.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use snowbank::bucket::PutOptions;
use snowbank::ledger::Scope;
use snowbank_shared::api::uploads::{PART, parts_of};
use snowbank_shared::hash::Sha256;

use crate::people::{Actor, settled};
use crate::upload_site::{Made, Site, Uploader, said};

/// What the form would send of a path.
pub fn planned(made: &Made) -> Value {
    let parts = &made.parts;
    json!({
        "path": format!("/nix/store/{}", parts.store_path),
        "nar_hash": format!("sha256:{}", parts.nar_hash.to_nix32()),
        "nar_size": parts.nar_size,
        "nar_key": parts.url,
        "file_size": made.stored.len(),
        "compression": "zstd",
        "references": parts.references.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "signed_by": parts.signatures.iter().map(|one| one.key_name().to_owned()).collect::<Vec<_>>(),
    })
}

pub async fn plan(site: &Site, by: &Uploader, begin: bool, paths: &[&Made]) -> (u16, Value) {
    let paths: Vec<Value> = paths.iter().map(|made| planned(made)).collect();
    let body = json!({"from": "out", "begin": begin, "paths": paths});
    let actor = Actor::with_token(&by.token);
    let answer = actor
        .send(
            &site.server,
            Method::POST,
            "/caches/main/uploads",
            Some(body),
        )
        .await;
    told(answer).await
}

/// The status of an answer, and its JSON.
pub async fn told(answer: reqwest::Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("JSON"))
}

/// Begins a session and gives its id.
pub async fn begun(site: &Site, by: &Uploader, paths: &[&Made]) -> String {
    let (status, answer) = plan(site, by, true, paths).await;
    assert_eq!(status, 200, "{answer}");
    answer["session"]["id"].as_str().expect("an id").to_owned()
}

async fn part(site: &Site, by: &Uploader, id: &str, made: &Made, number: u64) -> (u16, String) {
    let start = (number - 1) * PART;
    let end = (start + PART).min(made.stored.len() as u64);
    let bytes = made.stored[start as usize..end as usize].to_vec();
    site.put(
        by,
        &format!("{}?upload={id}&part={number}", made.url()),
        bytes,
    )
    .await
}

pub async fn receipt(site: &Site, by: &Uploader, id: &str) -> Value {
    let actor = Actor::with_token(&by.token);
    actor
        .json(&site.server, &format!("/caches/main/uploads/{id}"))
        .await
}

pub async fn ended(site: &Site, by: &Uploader, method: Method, path: &str) -> (u16, Value) {
    let actor = Actor::with_token(&by.token);
    told(actor.send(&site.server, method, path, None).await).await
}

/// Uploads in parts that the bucket has and nobody completed.
async fn unfinished(site: &Site) -> usize {
    let bucket = &site.server.server.site().caches[0].bucket;
    let found = bucket.multipart_unfinished("nar/").await;
    found.expect("a listing").len()
}

/// The same server, started anew over the same folder.
async fn restarted(site: Site) -> Site {
    let Site { server, owner } = site;
    let server = server.restarted(|config| config.caches[0].make_key = true);
    let server = server.await;
    settled(&server).await;
    Site { server, owner }
}

/// An archive of more than two parts.
fn large(name: &str, by: &Uploader) -> Made {
    let mut state = 7_u64;
    let noise: String = (0..25_000_000)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'!' + (state >> 33) as u8 % 90)
        })
        .collect();
    let made = Made::file(name, &noise, &[], &by.key);
    assert_eq!(
        parts_of(made.stored.len() as u64),
        3,
        "{}",
        made.stored.len()
    );
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_go_on_after_whatever_broke_and_the_receipt_says_what_came() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let (large, small) = (
        large("large-1", &alice),
        Made::file("small-1", "x", &[], &alice.key),
    );
    let id = begun(&site, &alice, &[&large, &small]).await;
    assert_eq!(
        begun(&site, &alice, &[&small, &large]).await,
        id,
        "the same plan"
    );
    let (status, text) = part(&site, &bob, &id, &large, 1).await;
    assert_eq!(
        (status, text.starts_with("no-upload")),
        (404, true),
        "{text}"
    );
    // Not before the first, not twice, not half.
    let (status, text) = part(&site, &alice, &id, &large, 2).await;
    assert_eq!(
        (status, text.trim()),
        (409, "part-missing: part 1 comes next")
    );
    assert_eq!(
        part(&site, &alice, &id, &large, 1).await,
        (200, String::new())
    );
    assert_eq!(
        part(&site, &alice, &id, &large, 1).await,
        (200, String::new()),
        "again"
    );
    let half = large.stored[PART as usize..PART as usize + 1000].to_vec();
    let key = format!("{}?upload={id}&part=2", large.url());
    assert_eq!(site.put(&alice, &key, half).await.0, 400);
    for number in ["0", "4", "x", ""] {
        let key = format!("{}?upload={id}&part={number}", large.url());
        assert_eq!(
            site.put(&alice, &key, vec![0; 10]).await.0,
            400,
            "part {number}"
        );
    }
    let now = receipt(&site, &alice, &id).await;
    assert_eq!(
        (&now["paths"][0]["outcome"], &now["paths"][0]["parts"]),
        (&json!("arriving"), &json!(1))
    );
    assert_eq!(now["session"]["arrived"], json!(PART));
    assert_eq!(now["is_own"], true);
    // Others follow it, and can neither go on with it nor end it.
    let followed = receipt(&site, &bob, &id).await;
    assert_eq!(
        (&followed["is_own"], &followed["session"]["by"]),
        (&json!(false), &json!("alice"))
    );
    let address = format!("/caches/main/uploads/{id}");
    assert_eq!(ended(&site, &bob, Method::DELETE, &address).await.0, 403);
    assert_eq!(
        ended(&site, &bob, Method::POST, &format!("{address}/commit"))
            .await
            .0,
        403
    );
    // A connection that breaks in the middle of a part takes nothing apart.
    {
        use tokio::io::AsyncWriteExt as _;
        let mut stream = tokio::net::TcpStream::connect(site.server.server.addr)
            .await
            .expect("connected");
        let token = {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(format!("nix:{}", alice.token))
        };
        let head = format!(
            "PUT /main/{}?upload={id}&part=2 HTTP/1.1\r\nhost: x\r\nauthorization: Basic {token}\r\ncontent-length: {PART}\r\n\r\n",
            large.url()
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream
            .write_all(&large.stored[..1_000_000])
            .await
            .expect("sent");
    }
    // Nothing of it can be read, and what is on its way is no left-over.
    assert!(site.objects().is_empty(), "{:?}", site.objects());
    let intake = site.server.server.intake();
    intake.give_up_ended().await;
    assert_eq!(intake.sweep_unfinished(Duration::ZERO).await, 0);
    for number in [2, 3] {
        assert_eq!(
            part(&site, &alice, &id, &large, number).await,
            (200, String::new()),
            "{number}"
        );
    }
    assert_eq!(site.objects(), [large.url()]);
    assert_eq!(
        receipt(&site, &alice, &id).await["paths"][0]["outcome"],
        "arrived"
    );
    for made in [&large, &small] {
        if made.stored.len() < 1000 {
            assert_eq!(
                site.put(&alice, &made.url(), made.stored.clone()).await.0,
                200
            );
        }
        let key = format!("{}?upload={id}", made.key());
        assert_eq!(
            site.put(&alice, &key, made.text()).await,
            (200, String::new())
        );
    }
    let (status, done) = ended(&site, &alice, Method::POST, &format!("{address}/commit")).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!(
        (&done["session"]["state"], &done["session"]["published"]),
        (&json!("committed"), &json!(2))
    );
    let own = site.server.server.site().caches[0]
        .signer()
        .expect("a key")
        .name()
        .to_owned();
    for path in done["paths"].as_array().expect("paths") {
        assert_eq!(path["outcome"], "published");
        let signatures = path["signatures"].as_array().expect("names");
        assert!(
            signatures.contains(&json!("alice-1")) && signatures.contains(&json!(own)),
            "{path}"
        );
    }
    let nar = site.server.get(&format!("/main/{}", large.url())).await;
    assert_eq!(
        Sha256::digest(&nar.bytes().await.expect("bytes")),
        Sha256::digest(&large.stored)
    );
    assert_eq!(unfinished(&site).await, 0);
    assert_eq!(
        ended(&site, &alice, Method::DELETE, &address).await.0,
        409,
        "it has ended"
    );
    // Its owner's list has it, another's has not, a Maintainer sees all.
    let list = async |actor: &Actor, query: &str| {
        let list = actor
            .json(&site.server, &format!("/caches/main/uploads{query}"))
            .await;
        list["items"].as_array().expect("items").len()
    };
    assert_eq!(list(&Actor::with_token(&alice.token), "").await, 1);
    assert_eq!(list(&Actor::with_token(&bob.token), "?all=true").await, 0);
    assert_eq!(list(&site.owner, "").await, 0);
    assert_eq!(list(&site.owner, "?all=true").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_spoilt_or_left_behind_leaves_nothing() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let made = large("large-1", &alice);
    // A part that was changed on the way: refused at the end, nothing stays, and it begins again.
    let id = begun(&site, &alice, &[&made]).await;
    let mut spoilt = made.clone();
    let at = spoilt.stored.len() - 100;
    spoilt.stored[at] ^= 1;
    for number in [1, 2] {
        assert_eq!(part(&site, &alice, &id, &spoilt, number).await.0, 200);
    }
    let (status, text) = part(&site, &alice, &id, &spoilt, 3).await;
    assert_eq!(status, 422, "{text}");
    let now = receipt(&site, &alice, &id).await;
    assert_eq!(
        (&now["paths"][0]["outcome"], &now["paths"][0]["parts"]),
        (&json!("refused"), &json!(0))
    );
    assert!(site.objects().is_empty() && unfinished(&site).await == 0);
    for number in [1, 2] {
        assert_eq!(
            part(&site, &alice, &id, &made, number).await.0,
            200,
            "{number}"
        );
    }
    // Given up in the middle.
    assert_eq!(unfinished(&site).await, 1);
    let address = format!("/caches/main/uploads/{id}");
    let (status, text) = ended(&site, &alice, Method::DELETE, &address).await;
    assert_eq!(
        (status, &text["session"]["state"]),
        (200, &json!("cancelled"))
    );
    assert_eq!(unfinished(&site).await, 0);
    assert_eq!(part(&site, &alice, &id, &made, 3).await.0, 404);
    // Expired in the middle.
    let id = begun(&site, &alice, &[&made]).await;
    for number in [1, 2] {
        assert_eq!(part(&site, &alice, &id, &made, number).await.0, 200);
    }
    let ledger = site.server.server.site().ledger.clone();
    ledger
        .update(
            Scope::Cache("main"),
            &id.parse().expect("an id"),
            "test",
            |record: &snowbank::intake::UploadRecord| {
                let mut record = record.clone();
                if let snowbank::intake::UploadRecord::Session(head) = &mut record {
                    head.expires_at = head.began_at - 1;
                }
                Ok::<_, snowbank::ledger::LedgerError>(record)
            },
        )
        .await
        .expect("written");
    assert_eq!(part(&site, &alice, &id, &made, 3).await.0, 404);
    site.server.server.intake().give_up_ended().await;
    assert_eq!(unfinished(&site).await, 0);
    // What a server that was killed left behind: not before the grace time.
    let bucket = &site.server.server.site().caches[0].bucket;
    let options = PutOptions::of_type("application/x-nix-nar");
    let left = bucket
        .multipart_create(&made.url(), &options)
        .await
        .expect("begun");
    bucket
        .multipart_part(&left, 1, vec![0; PART as usize].into())
        .await
        .expect("sent");
    let elsewhere = bucket
        .multipart_create("other/x", &options)
        .await
        .expect("begun");
    let intake = site.server.server.intake();
    assert_eq!(intake.sweep_unfinished(Duration::from_secs(3600)).await, 0);
    assert_eq!(unfinished(&site).await, 1);
    assert_eq!(intake.sweep_unfinished(Duration::ZERO).await, 1);
    assert_eq!(unfinished(&site).await, 0);
    let others = bucket
        .multipart_unfinished("other/")
        .await
        .expect("a listing");
    assert_eq!(others.len(), 1, "not ours to give up");
    bucket.multipart_abort(&elsewhere).await.expect("given up");
    assert!(site.objects().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_session_is_there_and_unread_parts_begin_again() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let made = large("large-1", &alice);
    let id = begun(&site, &alice, &[&made]).await;
    for number in [1, 2] {
        assert_eq!(part(&site, &alice, &id, &made, number).await.0, 200);
    }
    let site = restarted(site).await;
    let now = receipt(&site, &alice, &id).await;
    assert_eq!(
        (&now["session"]["state"], &now["paths"][0]["parts"]),
        (&json!("open"), &json!(0))
    );
    let (status, text) = part(&site, &alice, &id, &made, 3).await;
    assert_eq!(
        (status, text.trim()),
        (409, "part-missing: part 1 comes next")
    );
    for number in [1, 2, 3] {
        assert_eq!(
            part(&site, &alice, &id, &made, number).await,
            (200, String::new())
        );
    }
    let key = format!("{}?upload={id}", made.key());
    assert_eq!(
        site.put(&alice, &key, made.text()).await,
        (200, String::new())
    );
    assert_eq!(
        receipt(&site, &alice, &id).await["paths"][0]["outcome"],
        "published"
    );
    // What is refused shows in its session, with the reason.
    let other = Made::file("other-1", "y", &[], &alice.key);
    let id = begun(&site, &alice, &[&other]).await;
    let unsigned = other.clone().unsigned();
    let url = site
        .server
        .url(&format!("/main/{}?upload={id}", other.key()));
    let request = site
        .server
        .client
        .put(url)
        .basic_auth("nix", Some(&alice.token));
    let (status, text) = said(
        request
            .body(unsigned.text())
            .send()
            .await
            .expect("an answer"),
    )
    .await;
    assert_eq!(status, 403, "{text}");
    let now = receipt(&site, &alice, &id).await;
    assert_eq!(now["session"]["refused"], 1);
    let reason = now["paths"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("has no signature"), "{reason}");
}

//! Uploads in parts, through the AWS SDK with its own checksums and trailers.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::store::store;

const PART: usize = 5 << 20;

fn named(parts: &[(i32, &str)]) -> CompletedMultipartUpload {
    let parts = parts.iter().map(|(number, tag)| {
        CompletedPart::builder()
            .part_number(*number)
            .e_tag(*tag)
            .build()
    });
    CompletedMultipartUpload::builder()
        .set_parts(Some(parts.collect()))
        .build()
}

#[tokio::test]
async fn parts_become_one_object() {
    let store = store().await;
    let sdk = store.sdk();
    let key = "nar/big.nar.zst";
    sdk.put_object()
        .bucket("main")
        .key("source")
        .body(vec![b's'; PART + 100].into())
        .send()
        .await
        .unwrap();
    let create = sdk
        .create_multipart_upload()
        .bucket("main")
        .key(key)
        .content_encoding("x-test")
        .metadata("by", "me");
    let id = create.send().await.unwrap().upload_id().unwrap().to_owned();
    let one = sdk
        .upload_part()
        .bucket("main")
        .key(key)
        .upload_id(&id)
        .part_number(1)
        .body(vec![b'1'; PART].into());
    let one = one.send().await.unwrap().e_tag().unwrap().to_owned();
    let copy = sdk
        .upload_part_copy()
        .bucket("main")
        .key(key)
        .upload_id(&id)
        .part_number(2);
    let two = copy
        .copy_source("main/source")
        .copy_source_range(format!("bytes=100-{}", PART + 99))
        .send()
        .await
        .unwrap();
    let two = two.copy_part_result().unwrap().e_tag().unwrap().to_owned();
    let three = sdk
        .upload_part()
        .bucket("main")
        .key(key)
        .upload_id(&id)
        .part_number(9)
        .body(b"end".to_vec().into());
    let three = three.send().await.unwrap().e_tag().unwrap().to_owned();

    let first = sdk
        .list_parts()
        .bucket("main")
        .key(key)
        .upload_id(&id)
        .max_parts(2)
        .send()
        .await
        .unwrap();
    assert_eq!(
        first
            .parts()
            .iter()
            .filter_map(aws_sdk_s3::types::Part::part_number)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    let rest = sdk
        .list_parts()
        .bucket("main")
        .key(key)
        .upload_id(&id)
        .part_number_marker(first.next_part_number_marker().unwrap());
    assert_eq!(rest.send().await.unwrap().parts()[0].part_number(), Some(9));
    let uploads = sdk
        .list_multipart_uploads()
        .bucket("main")
        .prefix("nar/")
        .send()
        .await
        .unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(id.as_str()));
    assert!(
        sdk.head_object()
            .bucket("main")
            .key(key)
            .send()
            .await
            .is_err(),
        "unfinished uploads are no objects"
    );

    let finish = |parts: &[(i32, &str)]| {
        sdk.complete_multipart_upload()
            .bucket("main")
            .key(key)
            .upload_id(&id)
            .multipart_upload(named(parts))
            .send()
    };
    for (parts, code) in [
        (
            vec![(9, three.as_str()), (1, one.as_str())],
            "InvalidPartOrder",
        ),
        (vec![(1, two.as_str())], "InvalidPart"),
        (vec![(1, one.as_str()), (5, two.as_str())], "InvalidPart"),
    ] {
        assert_eq!(finish(&parts).await.unwrap_err().code(), Some(code));
    }
    finish(&[(1, &one), (2, &two), (9, &three)]).await.unwrap();
    assert_eq!(
        finish(&[(1, &one)]).await.unwrap_err().code(),
        Some("NoSuchUpload")
    );

    let got = sdk
        .get_object()
        .bucket("main")
        .key(key)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (got.content_encoding(), got.content_type()),
        (Some("x-test"), Some("application/x-nix-nar"))
    );
    assert_eq!(got.metadata().unwrap()["by"], "me");
    let bytes = got.body.collect().await.unwrap().into_bytes();
    assert_eq!(bytes.len(), 2 * PART + 3);
    assert!(
        bytes[..PART].iter().all(|byte| *byte == b'1')
            && bytes[PART..2 * PART].iter().all(|byte| *byte == b's')
    );
    assert!(bytes.ends_with(b"end"));
    assert_eq!(
        std::fs::read_dir(store.folder().join(".s3/uploads"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let store = store().await;
    let sdk = store.sdk();
    let id = sdk
        .create_multipart_upload()
        .bucket("main")
        .key("a")
        .send()
        .await
        .unwrap()
        .upload_id()
        .unwrap()
        .to_owned();
    let part = sdk
        .upload_part()
        .bucket("main")
        .key("a")
        .upload_id(&id)
        .part_number(1)
        .body(b"x".to_vec().into());
    part.send().await.unwrap();
    for (number, code) in [(0, "InvalidArgument"), (10_001, "InvalidArgument")] {
        let part = sdk
            .upload_part()
            .bucket("main")
            .key("a")
            .upload_id(&id)
            .part_number(number)
            .body(b"x".to_vec().into());
        assert_eq!(part.send().await.unwrap_err().code(), Some(code));
    }
    let other = sdk
        .upload_part()
        .bucket("main")
        .key("other")
        .upload_id(&id)
        .part_number(1)
        .body(b"x".to_vec().into());
    assert_eq!(other.send().await.unwrap_err().code(), Some("NoSuchUpload"));
    sdk.abort_multipart_upload()
        .bucket("main")
        .key("a")
        .upload_id(&id)
        .send()
        .await
        .unwrap();
    let again = sdk
        .abort_multipart_upload()
        .bucket("main")
        .key("a")
        .upload_id(&id)
        .send()
        .await;
    assert_eq!(again.unwrap_err().code(), Some("NoSuchUpload"));
    assert_eq!(
        std::fs::read_dir(store.folder().join(".s3/uploads"))
            .unwrap()
            .count(),
        0
    );
    assert!(
        sdk.list_objects_v2()
            .bucket("main")
            .send()
            .await
            .unwrap()
            .contents()
            .is_empty()
    );
}

#[tokio::test]
async fn an_upload_in_parts_respects_conditions() {
    let store = store().await;
    let sdk = store.sdk();
    store.stored("/a", "here").await;
    let id = sdk
        .create_multipart_upload()
        .bucket("main")
        .key("a")
        .send()
        .await
        .unwrap()
        .upload_id()
        .unwrap()
        .to_owned();
    let part = sdk
        .upload_part()
        .bucket("main")
        .key("a")
        .upload_id(&id)
        .part_number(1)
        .body(b"x".to_vec().into());
    let tag = part.send().await.unwrap().e_tag().unwrap().to_owned();
    let complete = sdk
        .complete_multipart_upload()
        .bucket("main")
        .key("a")
        .upload_id(&id)
        .if_none_match("*");
    let refused = complete
        .multipart_upload(named(&[(1, &tag)]))
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("PreconditionFailed"));
    assert_eq!(store.get("/a").await.text().await.unwrap(), "here");
}

#[tokio::test]
async fn unfinished_uploads_are_listed_in_pages() {
    let store = store().await;
    let sdk = store.sdk();
    for key in ["a", "a", "b", "deep/c", "deep/d"] {
        sdk.create_multipart_upload()
            .bucket("main")
            .key(key)
            .send()
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    let (mut key, mut id) = (None, None);
    loop {
        let page = sdk
            .list_multipart_uploads()
            .bucket("main")
            .max_uploads(2)
            .set_key_marker(key)
            .set_upload_id_marker(id);
        let page = page.send().await.unwrap();
        seen.extend(
            page.uploads()
                .iter()
                .map(|upload| upload.key().unwrap().to_owned()),
        );
        if page.is_truncated() != Some(true) {
            break;
        }
        (key, id) = (
            page.next_key_marker().map(str::to_owned),
            page.next_upload_id_marker().map(str::to_owned),
        );
    }
    assert_eq!(seen, ["a", "a", "b", "deep/c", "deep/d"]);
    let rolled = sdk
        .list_multipart_uploads()
        .bucket("main")
        .delimiter("/")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (rolled.uploads().len(), rolled.common_prefixes().len()),
        (3, 1)
    );
}

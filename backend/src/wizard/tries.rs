//! What is tried in the bucket itself, once it is reached: listing, reading, its lifecycle rules,
//! writing; and the policy that gives the permission that is missing.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use snowbank_shared::api::access::{CheckOutcome, Connection};
use snowbank_shared::cache_info::CacheInfo;

use super::{AGES, CONDITIONS, INFO, LIST, Report, WRITE};
use crate::bucket::{Bucket, BucketError, BucketErrorKind, ListRequest, PutOptions};

pub(super) async fn list(connection: &Connection, bucket: &Bucket, report: &mut Report) {
    let request = ListRequest {
        delimiter: true,
        ..ListRequest::default()
    };
    let mut pages = Box::pin(bucket.list(request));
    match pages.try_next().await {
        Ok(page) => {
            let narinfos = page.map_or(0, |page| {
                page.objects
                    .iter()
                    .filter(|object| object.key.ends_with(".narinfo"))
                    .count()
            });
            let detail = match narinfos {
                0 => "It can be listed. No narinfo is among the first objects.".to_owned(),
                count => format!("It can be listed. {count} narinfos are among the first objects."),
            };
            report.add("list", LIST, CheckOutcome::Passed, detail);
        }
        Err(error) => {
            report.stopped = true;
            if denied(&error) {
                report.add(
                    "list",
                    LIST,
                    CheckOutcome::Failed,
                    "The store refuses the listing: the credentials lack `s3:ListBucket`. Without it nothing can be indexed.",
                );
                report.with_policy(policy(connection, false));
            } else {
                report.add("list", LIST, CheckOutcome::Failed, explained(&error));
            }
        }
    }
}

pub(super) async fn info(connection: &Connection, bucket: &Bucket, report: &mut Report) {
    match bucket.get_small("nix-cache-info", 64 * 1024).await {
        Ok(object) => match CacheInfo::parse(&object.bytes) {
            Ok(info) => report.add(
                "get",
                INFO,
                CheckOutcome::Passed,
                format!("A binary cache for {}.", info.store_dir),
            ),
            Err(_) => report.add(
                "get",
                INFO,
                CheckOutcome::Warning,
                "It is there and cannot be read as one; Snowbank serves its own.",
            ),
        },
        Err(error) if error.is_not_found() => report.add(
            "get",
            INFO,
            CheckOutcome::Warning,
            "It is not there: an empty bucket, another prefix, or not a binary cache. Snowbank serves its own.",
        ),
        Err(error) if denied(&error) => {
            report.add(
                "get",
                INFO,
                CheckOutcome::Failed,
                "The store refuses to hand it out: the credentials lack `s3:GetObject`.",
            );
            report.with_policy(policy(connection, false));
        }
        Err(error) => report.add("get", INFO, CheckOutcome::Failed, explained(&error)),
    }
}

/// Rules of the bucket that delete objects by age: Nix finds narinfos whose NARs are gone.
pub(super) async fn ages(bucket: &Bucket, report: &mut Report) {
    let (outcome, detail) = match bucket.harmful_rules().await {
        Ok(rules) if rules.is_empty() => (
            CheckOutcome::Passed,
            "None takes objects of the cache away.".to_owned(),
        ),
        Ok(rules) => {
            let rules: Vec<String> = rules.iter().map(ToString::to_string).collect();
            let detail = format!(
                "The store will break this cache: {}. Paths then stay listed while their contents are gone, whatever still needs them. Take these rules away first; Snowbank's own retention knows what is in use.",
                rules.join("; ")
            );
            (CheckOutcome::Warning, detail)
        }
        Err(error) if denied(&error) => (
            CheckOutcome::Warning,
            "The credentials lack `s3:GetLifecycleConfiguration`, so it is unknown whether a rule deletes objects by age. Look in the bucket's settings: such a rule breaks a cache.".to_owned(),
        ),
        Err(error) if matches!(error.status(), Some(400 | 405 | 501)) => (
            CheckOutcome::Skipped,
            "The store does not tell its rules over S3. If it has any, none may delete objects by age.".to_owned(),
        ),
        Err(error) => (CheckOutcome::Warning, explained(&error)),
    };
    report.add("lifecycle", AGES, outcome, detail);
}

pub(super) async fn write(connection: &Connection, bucket: &Bucket, report: &mut Report) {
    const READ_ONLY: &str = "Reading is enough to show and serve the cache; members, tokens and uploads need a place to write: this bucket, or `[state] bucket`.";
    let random = crate::secrets::random::<8>().map_or(0, u64::from_le_bytes);
    let key = format!(".snowbank/connection-test-{random:016x}");
    let body = Bytes::from_static(b"Snowbank tries whether it can write here.\n");
    let written = bucket.put(&key, body, &PutOptions::default()).await;
    if let Err(error) = written {
        let detail = if denied(&error) {
            format!("The credentials lack `s3:PutObject`. {READ_ONLY}")
        } else {
            format!("{} {READ_ONLY}", explained(&error))
        };
        report.add("write", WRITE, CheckOutcome::Warning, detail);
        report.with_policy(policy(connection, true));
        report.add(
            "conditions",
            CONDITIONS,
            CheckOutcome::Skipped,
            "Not tried: nothing can be written.",
        );
        return;
    }
    match bucket.delete(&key).await {
        Ok(()) => report.add("write", WRITE, CheckOutcome::Passed, "Both work."),
        Err(error) => {
            let detail = format!(
                "Writing works, deleting does not ({}): `{key}` is left behind, and revoked records could not be removed.",
                explained(&error)
            );
            report.add("write", WRITE, CheckOutcome::Warning, detail);
            report.with_policy(policy(connection, true));
        }
    }
    match bucket.probe(&format!("{key}-probe")).await {
        Ok(found) if found.create_if_absent && found.replace_if_unchanged => report.add(
            "conditions",
            CONDITIONS,
            CheckOutcome::Passed,
            "The store heeds them: several servers can share this bucket.",
        ),
        Ok(_) => report.add(
            "conditions",
            CONDITIONS,
            CheckOutcome::Warning,
            "The store ignores them: one server at a time can write here.",
        ),
        Err(error) => report.add(
            "conditions",
            CONDITIONS,
            CheckOutcome::Warning,
            explained(&error),
        ),
    }
}

fn denied(error: &BucketError) -> bool {
    matches!(error.kind(), BucketErrorKind::AccessDenied { .. })
}

fn explained(error: &BucketError) -> String {
    let mut text = error.to_string();
    if let Some((end, _)) = text.char_indices().nth(400) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What an IAM user needs, as JSON.
fn policy(connection: &Connection, writes: bool) -> String {
    let bucket = &connection.bucket;
    let prefix = connection.prefix.trim_matches('/');
    let below = if prefix.is_empty() {
        String::new()
    } else {
        format!("{prefix}/")
    };
    let actions = if writes {
        serde_json::json!([
            "s3:GetObject",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:AbortMultipartUpload"
        ])
    } else {
        serde_json::json!(["s3:GetObject"])
    };
    let policy = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:GetBucketLocation", "s3:GetLifecycleConfiguration"],
                "Resource": format!("arn:aws:s3:::{bucket}"),
            },
            {
                "Effect": "Allow",
                "Action": actions,
                "Resource": format!("arn:aws:s3:::{bucket}/{below}*"),
            },
        ],
    });
    serde_json::to_string_pretty(&policy).unwrap_or_default()
}

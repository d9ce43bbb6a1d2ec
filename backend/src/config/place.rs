//! Where something lies: a bucket with who we are to it, or a folder.

use super::reader::{Given, Table};
use super::{ConfigError, Source, path, take};
use crate::bucket::{CredentialSource, Credentials};

/// A bucket or a folder, where one is named.
type Place = Result<Option<Source>, ConfigError>;

/// What names a place, and the prefix. That it is named wrong or not at all is said after what is
/// unknown in its table.
pub(super) fn read_place(table: &mut Table) -> Result<(Place, Option<String>), ConfigError> {
    let key = table.key().to_owned();
    let bucket = take(table, "bucket", |given| given.text().map(str::to_owned))?;
    let folder = take(table, "folder", path)?;
    let given_prefix = take(table, "prefix", |given| given.text().map(str::to_owned))?;
    let prefix = given_prefix.clone().unwrap_or_default();
    let endpoint = take(table, "endpoint", |given| {
        let text = given.text()?;
        let fine = text.parse::<http::Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
        });
        if fine {
            Ok(text.trim_end_matches('/').to_owned())
        } else {
            Err(given.refuse("it is the endpoint with its scheme, such as `https://s3.example.org` or `http://127.0.0.1:9000`"))
        }
    })?;
    let region = take(table, "region", |given| given.text().map(str::to_owned))?;
    let path_style = take(table, "path_style", Given::boolean)?;
    let profile = take(table, "profile", |given| given.text().map(str::to_owned))?;
    let mut credentials = table.table("credentials")?;
    let read = read_credentials(credentials.table("read")?)?;
    let write = read_credentials(credentials.table("write")?)?;
    let delete = read_credentials(credentials.table("delete")?)?;
    credentials.finish()?;
    let place = match (bucket, folder) {
        (Some(bucket), None) => {
            let chosen = profile.map_or(CredentialSource::Chain, CredentialSource::Profile);
            let credentials = Credentials {
                read: read.unwrap_or(chosen),
                write,
                delete,
            };
            let source = Source::Bucket {
                bucket,
                prefix,
                endpoint,
                region,
                path_style,
                credentials,
            };
            Ok(Some(source))
        }
        (None, Some(folder)) => {
            let for_buckets =
                endpoint.is_some() || region.is_some() || path_style.is_some() || profile.is_some();
            if for_buckets || read.is_some() || write.is_some() || delete.is_some() {
                Err(ConfigError::Conflict(format!(
                    "`{key}.folder` is a local folder: endpoint, region, path_style, profile and credentials belong to `bucket`"
                )))
            } else {
                Ok(Some(Source::Folder { folder, prefix }))
            }
        }
        (Some(_), Some(_)) => Err(ConfigError::Conflict(format!(
            "`{key}` has both `bucket` and `folder`: it lies in one of them"
        ))),
        (None, None) => {
            let of_a_bucket = endpoint.is_some() || region.is_some() || path_style.is_some();
            if of_a_bucket
                || profile.is_some()
                || read.is_some()
                || write.is_some()
                || delete.is_some()
            {
                Err(ConfigError::Missing {
                    key: format!("{key}.bucket"),
                    needed: "the name of the bucket that its other settings are for".into(),
                })
            } else {
                Ok(None)
            }
        }
    };
    Ok((place, given_prefix))
}

fn read_credentials(mut table: Table) -> Result<Option<CredentialSource>, ConfigError> {
    let key = table.key().to_owned();
    let text = |given: &Given| given.text().map(str::to_owned);
    let id = take(&mut table, "access_key_id", text)?;
    let secret = take(&mut table, "secret_access_key", text)?;
    let token = take(&mut table, "session_token", text)?;
    let profile = take(&mut table, "profile", text)?;
    let anonymous = take(&mut table, "anonymous", Given::boolean)?.unwrap_or_default();
    table.finish()?;
    match (id, secret, profile, anonymous) {
        (None, None, None, false) if token.is_none() => Ok(None),
        (Some(access_key_id), Some(secret_access_key), None, false) => {
            Ok(Some(CredentialSource::Static {
                access_key_id,
                secret_access_key,
                session_token: token,
            }))
        }
        (None, None, Some(profile), false) if token.is_none() => {
            Ok(Some(CredentialSource::Profile(profile)))
        }
        (None, None, None, true) if token.is_none() => Ok(Some(CredentialSource::Anonymous)),
        _ => Err(ConfigError::Conflict(format!(
            "`{key}` is either access_key_id with secret_access_key, or profile, or anonymous = true"
        ))),
    }
}

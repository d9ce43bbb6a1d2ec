//! The wizard's test of a connection to a bucket: one row per check, each with what to do, and the
//! TOML to add to the configuration.
//!
//! Nothing is kept, no credential is repeated, and what is written to the bucket (one small object
//! below `.snowbank/`) is deleted again. Later checks are skipped where an earlier one makes them
//! pointless.

mod tries;

use std::time::Duration;

use snowbank_shared::api::access::{CheckOutcome, Connection, ConnectionCheck, ConnectionReport};

use crate::bucket::{Bucket, BucketConfig, CredentialSource, Credentials};
use crate::config::Slug;
use crate::outbound::{Outbound, OutboundError};

/// For all checks together.
const TIME_OUT: Duration = Duration::from_secs(45);

/// The report as it grows.
struct Report {
    checks: Vec<ConnectionCheck>,
    /// Whether the rest is pointless.
    stopped: bool,
}

impl Report {
    fn add(&mut self, check: &str, title: &str, outcome: CheckOutcome, detail: impl Into<String>) {
        self.checks.push(ConnectionCheck {
            check: check.to_owned(),
            title: title.to_owned(),
            outcome,
            detail: detail.into(),
            policy: None,
        });
    }

    fn with_policy(&mut self, policy: String) {
        if let Some(last) = self.checks.last_mut() {
            last.policy = Some(policy);
        }
    }
}

const SETTINGS: &str = "Settings";
const NAME: &str = "Name and address";
const REACH: &str = "Connection";
const LIST: &str = "List objects";
const INFO: &str = "Read nix-cache-info";
const AGES: &str = "Lifecycle rules";
const WRITE: &str = "Write and delete an object";
const CONDITIONS: &str = "Conditional writes";

/// The checks that come after the settings, in order.
const LATER: [(&str, &str); 7] = [
    ("dns", NAME),
    ("connect", REACH),
    ("list", LIST),
    ("get", INFO),
    ("lifecycle", AGES),
    ("write", WRITE),
    ("conditions", CONDITIONS),
];

/// Tries a connection.
pub async fn test(connection: &Connection, outbound: &Outbound) -> ConnectionReport {
    let mut report = Report {
        checks: Vec::new(),
        stopped: false,
    };
    let tried = tokio::time::timeout(TIME_OUT, run(connection, outbound, &mut report)).await;
    if tried.is_err() {
        report.stopped = true;
    }
    for (check, title) in LATER {
        if !report.checks.iter().any(|done| done.check == check) {
            let (outcome, why) = if tried.is_err() {
                (CheckOutcome::Failed, "No answer in time.")
            } else {
                (CheckOutcome::Skipped, "Not tried: an earlier check failed.")
            };
            report.add(check, title, outcome, why);
        }
    }
    ConnectionReport {
        checks: report.checks,
        toml: toml(connection),
    }
}

async fn run(connection: &Connection, outbound: &Outbound, report: &mut Report) {
    settings(connection, report);
    if report.stopped {
        return;
    }
    reach(connection, outbound, report).await;
    if report.stopped {
        return;
    }
    let bucket = match Bucket::connect(&config_of(connection)).await {
        Ok(bucket) => bucket,
        Err(error) => {
            report.add("list", LIST, CheckOutcome::Failed, error.to_string());
            return;
        }
    };
    tries::list(connection, &bucket, report).await;
    if report.stopped {
        return;
    }
    tries::info(connection, &bucket, report).await;
    tries::ages(&bucket, report).await;
    tries::write(connection, &bucket, report).await;
}

fn settings(connection: &Connection, report: &mut Report) {
    let name = connection.bucket.as_str();
    let good_name = (3..=63).contains(&name.len())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte)
        });
    let problem = if let Err(error) = connection.slug.parse::<Slug>() {
        Some(format!("The cache's name: {error}."))
    } else if !good_name {
        Some("A bucket's name has 3 to 63 lower-case letters, digits, dashes and dots.".to_owned())
    } else if connection.prefix.contains("..") || connection.prefix.len() > 500 {
        Some("The prefix is a plain path, such as `nix`.".to_owned())
    } else if connection.access_key_id.is_empty() != connection.secret_access_key.is_empty() {
        Some("Give both, the access key's id and its secret, or neither.".to_owned())
    } else {
        None
    };
    match problem {
        None => report.add(
            "settings",
            SETTINGS,
            CheckOutcome::Passed,
            "They can be right.",
        ),
        Some(problem) => {
            report.add("settings", SETTINGS, CheckOutcome::Failed, problem);
            report.stopped = true;
        }
    }
}

/// Scheme, host and port of the endpoint.
fn address(connection: &Connection) -> Option<(bool, String, u16)> {
    let region = match connection.region.as_str() {
        "" => "us-east-1",
        region => region,
    };
    let text = match connection.endpoint.as_str() {
        "" => format!("https://s3.{region}.amazonaws.com"),
        endpoint => endpoint.to_owned(),
    };
    let uri: http::Uri = text.parse().ok()?;
    let https = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    Some((https, uri.host()?.to_owned(), port))
}

async fn reach(connection: &Connection, outbound: &Outbound, report: &mut Report) {
    let Some((https, host, port)) = address(connection) else {
        let detail =
            "The endpoint is a URL with its scheme: https://minio.example.org:9000. Empty for AWS.";
        report.add("dns", NAME, CheckOutcome::Failed, detail);
        report.stopped = true;
        return;
    };
    match outbound.policy().resolve(&host, port, https).await {
        Ok(found) => {
            let detail = format!("{host} has {} addresses.", found.len());
            report.add(
                "dns",
                NAME,
                CheckOutcome::Passed,
                detail.replace("1 addresses", "1 address"),
            );
        }
        Err(error) => {
            let detail = match &error {
                OutboundError::Private { .. } => format!(
                    "{error}. If that is meant, add it to the server's configuration: outbound_allow = [\"…\"]."
                ),
                _ => format!("{error}."),
            };
            report.add("dns", NAME, CheckOutcome::Failed, detail);
            report.stopped = true;
            return;
        }
    }
    let scheme = if https { "https" } else { "http" };
    match outbound.get(&format!("{scheme}://{host}:{port}/")).await {
        // Whatever it says to a stranger: it speaks HTTP, and TLS where asked for.
        Ok(_) | Err(OutboundError::Status { .. } | OutboundError::TooLarge { .. }) if https => {
            report.add(
                "connect",
                REACH,
                CheckOutcome::Passed,
                "It answers, and its certificate is valid.",
            );
        }
        Ok(_) | Err(OutboundError::Status { .. } | OutboundError::TooLarge { .. }) => {
            let detail = "It answers over plain http: whoever is on the way can read and change what is sent.";
            report.add("connect", REACH, CheckOutcome::Warning, detail);
        }
        Err(error) => {
            let detail = format!(
                "{error}. Is the port right, and is a firewall or the certificate in the way?"
            );
            report.add("connect", REACH, CheckOutcome::Failed, detail);
            report.stopped = true;
        }
    }
}

fn config_of(connection: &Connection) -> BucketConfig {
    let read = if connection.anonymous {
        CredentialSource::Anonymous
    } else if !connection.access_key_id.is_empty() {
        CredentialSource::Static {
            access_key_id: connection.access_key_id.clone(),
            secret_access_key: connection.secret_access_key.clone(),
            session_token: None,
        }
    } else if !connection.profile.is_empty() {
        CredentialSource::Profile(connection.profile.clone())
    } else {
        CredentialSource::Chain
    };
    let mut config = BucketConfig {
        bucket: connection.bucket.clone(),
        prefix: connection.prefix.trim_matches('/').to_owned(),
        endpoint: Some(connection.endpoint.clone()).filter(|endpoint| !endpoint.is_empty()),
        region: Some(connection.region.clone()).filter(|region| !region.is_empty()),
        path_style: connection.path_style,
        credentials: Credentials {
            read,
            write: None,
            delete: None,
        },
        ..BucketConfig::default()
    };
    config.limits.connect_timeout = Duration::from_secs(5);
    config.limits.answer_timeout = Duration::from_secs(8);
    config
}

/// What to add to the configuration. Credentials that were typed are not in it.
fn toml(connection: &Connection) -> String {
    use std::fmt::Write as _;
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let slug = if connection.slug.parse::<Slug>().is_ok() {
        connection.slug.as_str()
    } else {
        "NAME"
    };
    let mut text = format!("[caches.{slug}]\nbucket = {}\n", quoted(&connection.bucket));
    for (name, value) in [
        ("prefix", connection.prefix.trim_matches('/')),
        ("endpoint", connection.endpoint.as_str()),
        ("region", connection.region.as_str()),
        ("profile", connection.profile.as_str()),
    ] {
        if !value.is_empty() {
            let _ = writeln!(text, "{name} = {}", quoted(value));
        }
    }
    if let Some(path_style) = connection.path_style {
        let _ = writeln!(text, "path_style = {path_style}");
    }
    if connection.anonymous {
        text.push_str("credentials.read.anonymous = true\n");
    } else if !connection.access_key_id.is_empty() {
        let variable = slug.to_uppercase().replace('-', "_");
        let _ = write!(
            text,
            "# The credentials belong into the server's environment:\n\
             # SNOWBANK_CACHES__{variable}__CREDENTIALS__READ__ACCESS_KEY_ID\n\
             # SNOWBANK_CACHES__{variable}__CREDENTIALS__READ__SECRET_ACCESS_KEY\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::Policy;

    fn connection() -> Connection {
        Connection {
            slug: "team".into(),
            bucket: "team-nix-cache".into(),
            endpoint: "http://127.0.0.1:1".into(),
            access_key_id: "AKIDTEST".into(),
            secret_access_key: "hush-hush".into(),
            ..Connection::default()
        }
    }

    #[tokio::test]
    async fn private_addresses_are_named_with_the_way_out() {
        let report = test(&connection(), &Outbound::new(Policy::default())).await;
        let row = report
            .checks
            .iter()
            .find(|check| check.check == "dns")
            .expect("a row");
        assert_eq!(row.outcome, CheckOutcome::Failed);
        assert!(row.detail.contains("outbound_allow"), "{}", row.detail);
        let skipped = report
            .checks
            .iter()
            .filter(|check| check.outcome == CheckOutcome::Skipped);
        assert_eq!(skipped.count(), 6);
    }

    #[tokio::test]
    async fn nothing_typed_as_a_secret_comes_back() {
        let policy = Policy::new(&["127.0.0.0/8".parse().expect("a block")]);
        let report = test(&connection(), &Outbound::new(policy)).await;
        let text = serde_json::to_string(&report).expect("JSON");
        assert!(
            !text.contains("hush") && !text.contains("AKIDTEST"),
            "{text}"
        );
        assert!(
            report
                .toml
                .contains("SNOWBANK_CACHES__TEAM__CREDENTIALS__READ__ACCESS_KEY_ID")
        );
        let row = report
            .checks
            .iter()
            .find(|check| check.check == "connect")
            .expect("a row");
        assert_eq!(row.outcome, CheckOutcome::Failed);
    }

    #[test]
    fn the_toml_cannot_be_broken_out_of() {
        let nasty = Connection {
            slug: "x]\nlisten = \"evil".into(),
            bucket: "a\"\nlisten = \"0.0.0.0:1".into(),
            ..Connection::default()
        };
        let text = toml(&nasty);
        let parsed: toml::Table = text.parse().expect("TOML");
        assert_eq!(parsed.keys().collect::<Vec<_>>(), ["caches"]);
    }
}

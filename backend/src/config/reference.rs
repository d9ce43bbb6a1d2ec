//! Every setting there is: the one table behind `--help`, the check for unknown
//! keys and the suggestions.

/// A setting.
pub struct Setting {
    /// The dotted key; `SLUG` stands for a cache's slug and `N` for a position.
    pub key: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What holds where it is not set.
    pub default: &'static str,
    /// What it does.
    pub does: &'static str,
}

const fn setting(
    key: &'static str,
    takes: &'static str,
    default: &'static str,
    does: &'static str,
) -> Setting {
    Setting {
        key,
        takes,
        default,
        does,
    }
}

/// Every setting, in the order of the help text.
pub const SETTINGS: &[Setting] = &[
    setting(
        "listen",
        "ADDR:PORT",
        "127.0.0.1:8080",
        "where to serve the dashboard, the API and the caches",
    ),
    setting(
        "public_url",
        "URL",
        "http:// and the listening address",
        "how people and machines reach the server; may have a path. Every link and snippet comes from it",
    ),
    setting(
        "cache_url",
        "URL",
        "public_url",
        "a second origin for the Nix protocol, such as a CDN in front of it",
    ),
    setting(
        "trusted_proxies",
        "ADDR or ADDR/BITS, a list",
        "none",
        "whose X-Forwarded-For is believed",
    ),
    setting(
        "outbound_allow",
        "ADDR or ADDR/BITS, a list",
        "none",
        "private addresses that the server may call: an identity provider's, an upstream's, a webhook's, a bucket's that the wizard tries or another cache's that Connect asks; to these http is allowed",
    ),
    setting(
        "oidc.issuer",
        "URL",
        "none",
        "the identity provider at which people sign in, exactly as it names itself; it sends them back to PUBLIC_URL/api/v1/login/oidc/callback",
    ),
    setting("oidc.client_id", "TEXT", "-", "who this server is to it"),
    setting(
        "oidc.client_secret",
        "TEXT",
        "none",
        "the secret that it gave; better client_secret_file, or from the environment",
    ),
    setting(
        "oidc.client_secret_file",
        "FILE",
        "none",
        "instead: a file that holds it",
    ),
    setting(
        "oidc.label",
        "TEXT",
        "Sign in with your organisation",
        "what the button says",
    ),
    setting(
        "oidc.scopes",
        "TEXT, a list",
        "openid, profile, email",
        "what is asked for; some providers send groups only where `groups` is among them",
    ),
    setting(
        "oidc.groups_claim",
        "TEXT",
        "groups",
        "the claim that lists a person's groups",
    ),
    setting(
        "oidc.roles.GROUP",
        "ROLE or ROLE:SLUG, a list",
        "none: nobody can sign in",
        "the roles of a group: reader, contributor, maintainer, owner, auditor, for all caches or one; GROUP `*` is everybody",
    ),
    setting(
        "data_dir",
        "DIR",
        "$XDG_DATA_HOME/snowbank",
        "keys, embedded buckets and the local index",
    ),
    setting(
        "secret_file",
        "FILE",
        "state.secret in data_dir",
        "the secret that seals the server's state; made at the first start",
    ),
    setting(
        "s3_listen",
        "ADDR:PORT",
        "none",
        "opens the embedded buckets to S3 clients here; the credentials are in s3-credentials in data_dir",
    ),
    setting(
        "s3_anonymous",
        "true or false",
        "false",
        "lets S3 clients in without credentials; only where s3_listen is a loopback address",
    ),
    setting(
        "metrics_listen",
        "ADDR:PORT",
        "none: /metrics of listen",
        "a listener of its own for /metrics",
    ),
    setting(
        "live_check.quiet",
        "TIME",
        "5s",
        "after which a machine that found the path of a live check and did not fetch it has refused its signature; 1s to 1m",
    ),
    setting(
        "live_check.silence",
        "TIME",
        "1m",
        "after which nobody is expected to ask for the path of a live check; 1s to 10m",
    ),
    setting(
        "state.bucket",
        "NAME",
        "that of the first cache, by slug",
        "the S3 bucket of the server's own state: people, tokens, audit. Better one that only the server can write; endpoint, region, path_style, profile and credentials as for a cache",
    ),
    setting(
        "state.folder",
        "DIR",
        "-",
        "instead of bucket: a local folder that is there, served by the embedded S3",
    ),
    setting(
        "state.prefix",
        "PATH",
        ".snowbank",
        "the state lies below it; never shown by a cache",
    ),
    setting(
        "state.writer",
        "this or a URL",
        "this",
        "only where the store ignores conditional writes: whether this server writes the state, or which other one does",
    ),
    setting(
        "state.client_addresses",
        "a time such as 30d",
        "30d",
        "how long the audit keeps the addresses that acts came from",
    ),
    setting(
        "caches.SLUG.bucket",
        "NAME",
        "-",
        "the S3 bucket the cache lies in",
    ),
    setting(
        "caches.SLUG.folder",
        "DIR",
        "-",
        "instead of bucket: a local folder that is there, served by the embedded S3",
    ),
    setting(
        "caches.SLUG.prefix",
        "PATH",
        "none",
        "the cache lies below it",
    ),
    setting(
        "caches.SLUG.endpoint",
        "URL",
        "AWS",
        "the S3 endpoint, with its scheme",
    ),
    setting(
        "caches.SLUG.region",
        "NAME",
        "of the environment, else us-east-1",
        "the region to sign for",
    ),
    setting(
        "caches.SLUG.path_style",
        "true or false",
        "true with an endpoint",
        "the bucket in the path instead of the host name",
    ),
    setting(
        "caches.SLUG.profile",
        "NAME",
        "none",
        "a profile of the AWS configuration files",
    ),
    setting(
        "caches.SLUG.credentials.read.access_key_id",
        "TEXT",
        "the AWS chain",
        "credentials for reading; also credentials.write and credentials.delete, where they differ",
    ),
    setting(
        "caches.SLUG.credentials.read.secret_access_key",
        "TEXT",
        "-",
        "better from the environment than in the file",
    ),
    setting(
        "caches.SLUG.credentials.read.session_token",
        "TEXT",
        "-",
        "of temporary credentials",
    ),
    setting(
        "caches.SLUG.credentials.read.profile",
        "NAME",
        "-",
        "instead: a profile of the AWS configuration files",
    ),
    setting(
        "caches.SLUG.credentials.read.anonymous",
        "true or false",
        "false",
        "instead: unsigned requests, for public buckets",
    ),
    setting(
        "caches.SLUG.title",
        "TEXT",
        "the slug",
        "the cache's name for people",
    ),
    setting(
        "caches.SLUG.store_dir",
        "DIR",
        "/nix/store",
        "the store directory that its paths are for",
    ),
    setting(
        "caches.SLUG.visibility",
        "public, private or unlisted",
        "public",
        "who may read it: a private cache answers members and tokens; an unlisted one hides its keys and configuration too",
    ),
    setting(
        "caches.SLUG.signing_key_files",
        "FILE, a list",
        "made, for a folder without narinfos",
        "secret keys of the cache; clients trust their public halves",
    ),
    setting(
        "caches.SLUG.public_keys",
        "NAME:BASE64, a list",
        "none",
        "more keys that clients of the cache trust, where the server has no secret of theirs",
    ),
    setting(
        "caches.SLUG.priority",
        "0 to 2147483647",
        "50",
        "smaller is asked first; cache.nixos.org has 40",
    ),
    setting(
        "caches.SLUG.serve",
        "all, signed or verified",
        "all",
        "which paths Nix clients get: all as they lie, or only those with a good signature, or only those whose content was verified",
    ),
    setting(
        "caches.SLUG.misses",
        "index or bucket",
        "index for a folder, else bucket",
        "who decides that a path is absent: the index alone, or a look into the bucket",
    ),
    setting(
        "caches.SLUG.nar",
        "proxy or redirect",
        "proxy",
        "send NARs through the server, or send clients to the bucket with a presigned URL",
    ),
    setting(
        "caches.SLUG.usage",
        "count or off",
        "count",
        "count who fetches what; off: nothing is counted or kept",
    ),
    setting(
        "caches.SLUG.access_logs.bucket",
        "NAME",
        "none",
        "the bucket of the access logs that tell who fetches past this server; endpoint, region, path_style, profile and credentials as of a cache",
    ),
    setting(
        "caches.SLUG.access_logs.folder",
        "DIR",
        "-",
        "instead: a folder that they are copied to; the server keeps a lock in it",
    ),
    setting(
        "caches.SLUG.access_logs.prefix",
        "TEXT",
        "empty",
        "what their names begin with, as the log service has it",
    ),
    setting(
        "caches.SLUG.access_logs.format",
        "s3 or cloudfront",
        "-",
        "how they are written: S3 server access logs, or standard logs of CloudFront",
    ),
    setting(
        "caches.SLUG.access_logs.origin",
        "bucket or server",
        "bucket",
        "what the CDN asks; server: only what it answers by itself counts, the rest is counted here",
    ),
    setting(
        "caches.SLUG.inventory.bucket",
        "NAME",
        "none",
        "the bucket that S3 writes inventories of the cache's bucket to, as CSV; endpoint, region, path_style, profile and credentials as of a cache",
    ),
    setting(
        "caches.SLUG.inventory.folder",
        "DIR",
        "-",
        "instead: a folder that they are copied to; the server keeps a lock in it",
    ),
    setting(
        "caches.SLUG.inventory.prefix",
        "PATH",
        "empty",
        "where their folders lie: PREFIX/SOURCE-BUCKET/ID",
    ),
    setting(
        "caches.SLUG.sweep",
        "a time such as 60s, 10m, 1h",
        "1m for a folder, else 10m",
        "how often to look for changes that others made",
    ),
    setting(
        "caches.SLUG.full_sweep",
        "a time such as 24h",
        "24h",
        "how often to list the whole bucket for exact sizes",
    ),
    setting(
        "caches.SLUG.verify_rate",
        "BYTES",
        "as many as read everything in 90 days",
        "bytes a second, as stored, that are read in the background to prove what archives contain; 0: none",
    ),
    setting(
        "caches.SLUG.max_nar_size",
        "BYTES",
        "21474836480 (20 GiB)",
        "the largest archive that may be uploaded, packed or not",
    ),
    setting(
        "caches.SLUG.max_bytes",
        "BYTES",
        "none",
        "what all archives may take together, as stored: uploads beyond it are refused",
    ),
    setting(
        "caches.SLUG.upstreams.N.url",
        "URL",
        "-",
        "a cache whose paths lie here too",
    ),
    setting(
        "caches.SLUG.upstreams.N.keys",
        "NAME:BASE64, a list",
        "none",
        "its keys: signatures by them are recognised, and an upload that differs from what they signed is refused",
    ),
    setting(
        "caches.SLUG.upstreams.N.mode",
        "check | virtual",
        "check",
        "virtual: what it has is not uploaded here, and clients fetch it from there; needs keys",
    ),
];

/// The nearest known name, if it is near enough to be a typing error, or begins with what was given.
pub(super) fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known
        .iter()
        .map(|name| (distance(given, name), *name))
        .filter(|(distance, name)| *distance <= name.len().max(given.len()) / 3)
        .min()
        .map(|(_, name)| name);
    near.or_else(|| {
        let begins = |name: &&&str| given.len() >= 3 && name.starts_with(given);
        known.iter().find(begins).copied()
    })
}

/// How many letters were left out, added, changed or swapped with their neighbour; both texts are short.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=right.len()).collect();
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let changed = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

/// The table as text for `--help`.
pub fn help() -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "Settings come from flags, over SNOWBANK_… variables, over the TOML file. A variable's name is the key in \
         capitals with `__` for each dot, and `_` for `-` in a slug: SNOWBANK_CACHES__TEAM__BUCKET. \
         Lists in variables and flags are separated by commas.\n",
    );
    for Setting {
        key,
        takes,
        default,
        does,
    } in SETTINGS
    {
        let _ = write!(
            text,
            "\n  {key} = {takes}\n      {does}\n      default: {default}\n"
        );
    }
    text.push_str(
        "\nExample:\n\n  public_url = \"https://cache.example.org\"\n\n  [caches.team]\n  bucket = \"team-nix-cache\"\n  \
         region = \"eu-central-1\"\n  signing_key_files = [\"/etc/snowbank/team-1.secret\"]\n\n\
         Without a file and without any cache the server makes a cache of its own: `main`, in a folder below \
         data_dir. With a file that names none it has none, and its start page helps to connect one.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_near_and_other_words_are_not() {
        let known = ["bucket", "folder", "priority"];
        assert_eq!(nearest("buckt", &known), Some("bucket"));
        assert_eq!(nearest("prioritiy", &known), Some("priority"));
        assert_eq!(nearest("prio", &known), Some("priority"));
        assert_eq!(nearest("visibility", &known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("raed", "read"), 1);
    }

    /// The help is the reference. The README says the same of each setting, but for those of which it says
    /// less there and more elsewhere.
    #[test]
    fn the_readme_says_what_the_help_says() {
        const SHORTER: [&str; 6] = [
            "oidc.issuer",
            "oidc.client_secret",
            "oidc.client_secret_file",
            "oidc.scopes",
            "oidc.roles.GROUP",
            "caches.SLUG.max_bytes",
        ];
        let readme = include_str!("../../../README.md");
        for setting in SETTINGS {
            if SHORTER.contains(&setting.key) {
                continue;
            }
            let row = format!("| `{}`", setting.key);
            let row = readme.lines().find(|line| line.starts_with(&row));
            let row = row.unwrap_or_else(|| panic!("no row of `{}`", setting.key));
            assert!(row.contains(setting.does), "{row}\nhelp: {}", setting.does);
        }
    }
}

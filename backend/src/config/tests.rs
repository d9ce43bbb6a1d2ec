//! Configurations, right and wrong.

use std::time::Duration;

use super::*;
use crate::bucket::CredentialSource;

fn load(toml: &str, environment: &[(&str, &str)], flags: &[&str]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("snowbank.toml");
    std::fs::write(&path, toml).expect("a file");
    let mut sources = Sources {
        file: Some(path),
        ..Sources::default()
    };
    sources.environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    for flag in flags {
        sources.set(flag)?;
    }
    Config::load(&sources)
}

fn error(toml: &str, environment: &[(&str, &str)], flags: &[&str]) -> String {
    let text = load(toml, environment, flags)
        .expect_err("a wrong configuration")
        .to_string();
    // The file lies in a folder of its own for each test.
    match (text.find("(in "), text.find("snowbank.toml")) {
        (Some(from), Some(to)) if from < to => format!("{}(in {}", &text[..from], &text[to..]),
        _ => text,
    }
}

#[test]
fn nothing_at_all_makes_one_embedded_cache() {
    let sources = Sources {
        environment: vec![("HOME".into(), "/home/x".into())],
        ..Sources::default()
    };
    let config = Config::load(&sources).expect("the default");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.data_dir, Path::new("/home/x/.local/share/snowbank"));
    let cache = &config.caches[0];
    assert_eq!(cache.slug.as_str(), "main");
    assert!(cache.make_key && cache.misses == Misses::Index);
    assert!(
        matches!(&cache.source, Source::Folder { folder, .. } if folder.ends_with("buckets/main"))
    );
}

#[test]
fn an_empty_file_means_no_cache_and_a_state_of_its_own() {
    let config = load("", &[("HOME", "/home/x")], &[]).expect("a configuration");
    assert!(config.caches.is_empty());
    let places = config.state.places(&config.caches);
    assert!(
        matches!(&places[0].source, Source::Folder { folder, prefix } if folder.ends_with("buckets/state") && prefix == ".snowbank")
    );
}

#[test]
fn roles_of_groups_are_read_and_wrong_ones_refused() {
    let toml = "[oidc]\nissuer = 'https://i.example'\nclient_id = 'c'\nroles.admins = ['owner']\nroles.dev = ['contributor:team', 'reader']";
    let oidc = load(toml, &[], &[])
        .expect("fine")
        .oidc
        .expect("a provider");
    assert_eq!(oidc.roles.len(), 2);
    assert_eq!(oidc.roles[1].1.len(), 2);
    assert!(error("[oidc]\nissuer = 'https://i.example'", &[], &[]).contains("client_id"));
    assert!(error("[oidc]\nissuer = 'i'\nclient_id = 'c'", &[], &[]).contains("oidc.issuer"));
    let bad = toml.replace("'owner'", "'king'");
    assert!(error(&bad, &[], &[]).contains("oidc.roles.admins"));
    assert!(!error("[oidc]\nclient_secret = 7", &[], &[]).contains('7'));
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let toml =
        "listen = '127.0.0.1:1'\n[caches.team-a]\nbucket = 'file'\npriority = 10\ntitle = 'T'";
    let environment = [
        ("SNOWBANK_LISTEN", "127.0.0.1:2"),
        ("SNOWBANK_CACHES__TEAM_A__BUCKET", "environment"),
        ("SNOWBANK_CACHES__TEAM_A__PRIORITY", "20"),
        (
            "SNOWBANK_CACHES__TEAM_A__CREDENTIALS__READ__ANONYMOUS",
            "true",
        ),
        ("SNOWBANK_SOMETHING_ELSE", "ignored"),
    ];
    let config = load(
        toml,
        &environment,
        &["listen=127.0.0.1:3", "caches.team-a.bucket=flag"],
    )
    .expect("fine");
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.caches[0].priority, 20);
    assert_eq!(config.caches[0].title, "T");
    assert!(
        matches!(&config.caches[0].source, Source::Bucket { bucket, credentials, .. }
        if bucket == "flag" && credentials.read == CredentialSource::Anonymous)
    );
}

#[test]
fn a_bucket_has_the_defaults_of_a_bucket() {
    let toml =
        "[caches.t]\nbucket = 'b'\nsweep = '2m'\nnar = 'redirect'\nserve = 'signed'\ntitle='x'";
    let config = load(toml, &[], &[]).expect("fine");
    let cache = &config.caches[0];
    assert_eq!(
        (cache.misses, cache.nar, cache.serve),
        (Misses::Bucket, NarDelivery::Redirect, Serve::Signed)
    );
    assert_eq!(cache.sweep, Duration::from_secs(120));
    assert!(!cache.make_key && cache.usage);
    let off = load("[caches.t]\nbucket = 'b'\nusage = 'off'", &[], &[]).expect("fine");
    assert!(!off.caches[0].usage);
}

#[test]
fn a_wrong_value_names_key_value_origin_and_what_is_allowed() {
    insta::assert_snapshot!(
        [
            error("listen = 'localhost'", &[], &[]),
            error("", &[("SNOWBANK_LISTEN", "8080")], &[]),
            error("public_url = 'cache.example.org'", &[], &[]),
            error("trusted_proxies = ['10.0.0.0/40']", &[], &[]),
            error("[caches.t]\nbucket = 'b'\npriority = -1", &[], &[]),
            error("[caches.t]\nbucket = 'b'\npriority = 'high'", &[], &[]),
            error("[caches.t]\nbucket = 'b'\nvisibility = 'secret'", &[], &[]),
            error("[caches.t]\nbucket = 'b'", &[], &["caches.t.nar=stream"]),
            error("[caches.t]\nbucket = 'b'\nsweep = '10 minutes'", &[], &[]),
            error(
                "[caches.t]\nbucket = 'b'\nendpoint = 's3.example.org'",
                &[],
                &[]
            ),
            error(
                "[caches.t]\nbucket = 'b'\npublic_keys = ['nokey']",
                &[],
                &[]
            ),
            error("[caches.t]\nbucket = 'b'\npath_style = 'yes'", &[], &[]),
            error("[caches.t]\nbucket = 7", &[], &[]),
            error("[caches]\nt = 'b'", &[], &[]),
            error("s3_listen = '0.0.0.0:9000'\ns3_anonymous = true", &[], &[]),
            error(
                "[caches.t]\nbucket = 'b'\ntitle = \"two\\nlines\"",
                &[],
                &[]
            ),
        ]
        .join("\n")
    );
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    insta::assert_snapshot!(
        [
            error("lisen = '127.0.0.1:1'", &[], &[]),
            error("[caches.t]\nbuckt = 'b'\nbucket = 'c'", &[], &[]),
            error("[caches.t]\nbucket = 'c'\nmode = 'virtual'", &[], &[]),
            error(
                "[caches.t]\nbucket = 'c'",
                &[("SNOWBANK_CACHES__T__PRIO", "1")],
                &[]
            ),
            error(
                "[caches.t]\nbucket = 'c'\n[caches.t.credentials.raed]\nprofile = 'x'",
                &[],
                &[]
            ),
            error("colour = 'blue'", &[], &[]),
            error("", &[], &["caches.main"]),
        ]
        .join("\n")
    );
}

#[test]
fn what_is_unknown_is_said_before_what_is_missing() {
    for (toml, unknown) in [
        ("[caches.t]\nbuckt = 'b'", "caches.t.buckt"),
        (
            "lisen = '127.0.0.1:1'\n[caches.t]\ntitle = 'no place'",
            "lisen",
        ),
        (
            "[caches.a]\ntitle = 'no place'\n[caches.b]\nbuckt = 'b'",
            "caches.b.buckt",
        ),
        ("[state]\nbuket = 'b'\nregion = 'eu'", "state.buket"),
        (
            "[oidc]\nissuer = 'https://i.example'\nclientid = 'c'",
            "oidc.clientid",
        ),
        (
            "[[caches.t.upstreams]]\nulr = 'u'\n[caches.t]\nbucket = 'b'",
            "caches.t.upstreams.0.ulr",
        ),
    ] {
        let said = error(toml, &[], &[]);
        assert!(
            said.starts_with(&format!("there is no setting `{unknown}`")),
            "{toml}: {said}"
        );
    }
    assert_eq!(
        error("[oidc]\nclient_id = 'c'", &[], &[]),
        "`oidc.issuer` is missing: the provider's URL"
    );
}

#[test]
fn settings_that_cannot_stand_together_are_refused() {
    insta::assert_snapshot!(
        [
            error("[caches.t]\ntitle = 'no place'", &[], &[]),
            error("[caches.t]\nbucket = 'b'\nfolder = 'f'", &[], &[]),
            error("[caches.t]\nfolder = 'f'\nregion = 'r'", &[], &[]),
            error("[caches.api]\nbucket = 'b'", &[], &[]),
            error("[caches.Team]\nbucket = 'b'", &[], &[]),
            error(
                "public_url = 'https://h/nix'\n[caches.nix]\nbucket = 'b'",
                &[],
                &[]
            ),
            error(
                "[caches.a]\nbucket = 'b'\nprefix = 'x'\n[caches.b]\nbucket = 'b'\nprefix = '/x/'",
                &[],
                &[]
            ),
            error(
                "[caches.t]\nbucket = 'b'\n[caches.t.credentials.read]\naccess_key_id = 'x'",
                &[],
                &[]
            ),
            error(
                "[[caches.t.upstreams]]\nkeys = []\n[caches.t]\nbucket = 'b'",
                &[],
                &[]
            ),
            error(
                "[[caches.t.upstreams]]\nurl = 'https://u.example'\nmode = 'virtual'\n[caches.t]\nbucket = 'b'",
                &[],
                &[]
            ),
            error(
                "[[caches.t.upstreams]]\nurl = 'https://u.example'\nmode = 'ghost'\n[caches.t]\nbucket = 'b'",
                &[],
                &[]
            ),
            error(
                "[[caches.t.upstreams]]\nurl = 'https://u.example/#x'\nmode = 'virtual'\nkeys = ['cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=']\n[caches.t]\nbucket = 'b'",
                &[],
                &[]
            ),
        ]
        .join("\n")
    );
}

#[test]
fn a_secret_is_not_repeated_in_an_error() {
    let text = error(
        "[caches.t]\nbucket = 'b'\n[caches.t.credentials.read]\nsecret_access_key = 12345678",
        &[],
        &[],
    );
    assert!(
        text.contains("secret_access_key") && !text.contains("12345678"),
        "{text}"
    );
}

#[test]
fn broken_toml_names_the_file_and_the_line() {
    let text = load("listen = ", &[], &[]).expect_err("broken").to_string();
    assert!(
        text.contains("snowbank.toml") && text.contains("line 1"),
        "{text}"
    );
}

#[test]
fn every_setting_of_the_reference_is_known() {
    for setting in reference::SETTINGS {
        let key = setting.key.replace("SLUG", "t").replace(".N.", ".0.");
        // A value that no setting but a text takes: it has to be refused for its value or taken, never as unknown.
        let result = load("[caches.t]\nbucket = 'b'", &[], &[&format!("{key}=\u{1}")]);
        assert!(
            !matches!(result, Err(ConfigError::UnknownKey { .. })),
            "{key}"
        );
    }
}

#[test]
fn access_logs_and_inventories_have_a_place_and_a_format() {
    let toml = "[caches.t]\nbucket = 'b'\ninventory = { bucket = 'i', prefix = 'x/b/all/' }\n\
        access_logs = { bucket = 'l', prefix = 'access/', format = 'cloudfront', origin = 'server' }";
    let config = load(toml, &[], &[]).expect("fine");
    let cache = &config.caches[0];
    let logs = cache.access_logs.as_ref().expect("logs");
    assert_eq!(
        (logs.format, logs.origin),
        (LogFormat::Cloudfront, LogOrigin::Server)
    );
    // What names begin with is kept as it is written.
    assert!(matches!(&logs.source, Source::Bucket { prefix, .. } if prefix == "access/"));
    let inventory = cache.inventory.as_ref().expect("an inventory");
    assert_eq!(inventory.prefix(), "x/b/all");
    let none = load("[caches.t]\nbucket = 'b'", &[], &[]).expect("fine");
    assert!(none.caches[0].access_logs.is_none() && none.caches[0].inventory.is_none());
    for (logs, words) in [
        ("bucket = 'l'", "`caches.t.access_logs.format`"),
        ("format = 's3'", "`caches.t.access_logs.bucket`"),
        ("bucket = 'l'\nformat = 'nginx'", "`s3`, `cloudfront`"),
        (
            "bucket = 'l'\nformat = 's3'\norigin = 'server'",
            "written by the bucket",
        ),
        ("bucket = 'l'\nformat = 's3'\nperiod = '1h'", "no setting"),
        (
            "folder = '/no/such/folder'\nformat = 's3'",
            "no such folder",
        ),
    ] {
        let toml = format!("[caches.t]\nbucket = 'b'\n[caches.t.access_logs]\n{logs}");
        let said = error(&toml, &[], &[]);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn secrets_do_not_lie_where_objects_lie() {
    for toml in [
        "data_dir = '/x/cache/data'\n[caches.t]\nfolder = '/x/cache'",
        "data_dir = '/d'\nsecret_file = '/x/cache/secret'\n[caches.t]\nfolder = '/x/cache'",
        "data_dir = '/d'\n[caches.t]\nfolder = '/x/cache'\n[caches.u]\nbucket = 'b'\nsigning_key_files = ['/x/cache/k']",
    ] {
        let text = error(toml, &[], &[]);
        assert!(text.contains("inside the folder of cache `t`"), "{text}");
    }
    let beside = "data_dir = '/usr-data'\n[caches.t]\nfolder = '/usr'";
    load(beside, &[], &[]).expect("beside is fine");
}

#[test]
fn a_folder_that_is_not_there_is_refused_and_not_made() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let data = format!("data_dir = '{}'\n", at("data"));
    for (table, key) in [("caches.t", "caches.t.folder"), ("state", "state.folder")] {
        let toml = format!("{data}[{table}]\nfolder = '{}'", at("cahce"));
        let said = error(&toml, &[], &[]);
        let whole = format!("`{key}` is {}, and there is no such folder", at("cahce"));
        assert!(said.starts_with(&whole), "{said}");
    }
    assert!(!dir.path().join("cahce").exists());
    std::fs::create_dir(dir.path().join("cache")).expect("a folder");
    for own in [at("cache"), at("data/buckets/t")] {
        let toml = format!("{data}[caches.t]\nfolder = '{own}'");
        load(&toml, &[], &[]).expect("there, or the server's own");
    }
    std::fs::write(dir.path().join("file"), "").expect("a file");
    let toml = format!("{data}[caches.t]\nfolder = '{}'", at("file"));
    assert!(error(&toml, &[], &[]).contains("no such folder"));
}

#[test]
fn the_state_lies_in_the_first_cache_s_bucket_unless_told_otherwise() {
    let two = "[caches.b]\nbucket = 'bucket-b'\n[caches.a]\nbucket = 'bucket-a'\nprefix = 'nix'\n[caches.d]\nbucket = 'bucket-a'";
    let config = load(two, &[], &[]).expect("fine");
    let places = config.state.places(&config.caches);
    let names: Vec<_> = places
        .iter()
        .map(|place| match &place.source {
            Source::Bucket { bucket, prefix, .. } => format!("{bucket}/{prefix}"),
            Source::Folder { .. } => "folder".to_owned(),
        })
        .collect();
    assert_eq!(names, ["bucket-a/.snowbank", "bucket-b/.snowbank"]);
    let hidden = config.state.hidden_from(&config.caches[0]);
    assert_eq!(hidden.as_deref(), Some(".snowbank/"));

    let named = format!("[state]\nbucket = 'own'\nprefix = '/a/b/'\nregion = 'eu'\n{two}");
    let config = load(&named, &[("SNOWBANK_STATE__CLIENT_ADDRESSES", "1d")], &[]).expect("fine");
    let places = config.state.places(&config.caches);
    assert_eq!(places.len(), 1);
    assert!(places[0].named && places[0].source.prefix() == "a/b");
    assert_eq!(config.state.hidden_from(&config.caches[0]), None);
    assert_eq!(config.state.client_addresses, Duration::from_secs(86400));
}

#[test]
fn a_state_that_would_hide_a_cache_or_be_read_by_others_is_refused() {
    let cache = "[caches.a]\nbucket = 'bucket-a'\nprefix = 'nix/x'";
    for (state, says) in [
        ("prefix = ''", "`state.prefix` is empty"),
        ("prefix = 'nix'", "cache `a` lies below `state.prefix`"),
        ("region = 'eu'", "`state.bucket` is missing"),
        (
            "folder = '/srv/state'\nprefix = ''",
            "hidden from S3 clients",
        ),
        ("writer = 'somebody'", "`this`, or the URL"),
        ("bucket = 'x'\nbuket = 'y'", "did you mean `state.bucket`?"),
    ] {
        let said = error(&format!("[state]\n{state}\n{cache}"), &[], &[]);
        assert!(said.contains(says), "{state}: {said}");
    }
    let inside = "data_dir = '/srv/state/data'\n[state]\nfolder = '/srv/state'\n";
    let said = error(&format!("{inside}{cache}"), &[], &[]);
    assert!(said.contains("inside the folder of the state"), "{said}");
}

#[test]
fn another_server_may_write() {
    let cache = "[caches.a]\nbucket = 'bucket-a'";
    let config = load(
        &format!("[state]\nwriter = 'https://one.example.org'\n{cache}"),
        &[],
        &[],
    );
    let writer = config.expect("fine").state.writer.expect("an address");
    assert_eq!(writer.to_string(), "https://one.example.org");
    let config = load(&format!("[state]\nwriter = 'this'\n{cache}"), &[], &[]);
    assert!(config.expect("fine").state.writer.is_none());
}

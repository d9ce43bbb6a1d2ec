//! What is fuzzed: plain functions of bytes that must not panic.
//!
//! They check promises, not only the absence of crashes: what is accepted is
//! written back to the same bytes, what comes in pieces is judged as the whole.
//! Two things run them: libFuzzer (`cargo +nightly fuzz run nar` in `shared/`),
//! and on stable, in every test run, the properties of `tests/fuzz_targets.rs`.

use snowbank_shared::api;
use snowbank_shared::cache_info::CacheInfo;
use snowbank_shared::explain::recognise;
use snowbank_shared::nar::{
    Event, Listing, ListingBuilder, ListingLimits, NarError, NarParser, NarWriter, ReferenceScanner,
};
use snowbank_shared::narinfo::{NarInfo, NarInfoParts};
use snowbank_shared::nix_conf::diff;
use snowbank_shared::nix_conf::doctor::{Question, examine};
use snowbank_shared::nix_conf::merge::{Addition, OnConflict, Outcome, Surroundings, merge};
use snowbank_shared::nix_conf::remove::remove;
use snowbank_shared::nix_conf::{ClientSettings, SubstituterUrl, keys_txt, parse_keys_txt};
use snowbank_shared::signature::{KeyRing, SecretKey};
use snowbank_shared::store_path::{StoreDir, StorePathHash};

/// The NAR parser, writer, listing and reference scanner. The first byte of
/// the input is the size of the chunks, the rest the archive.
pub fn nar(input: &[u8]) {
    let Some((&first, archive)) = input.split_first() else {
        return;
    };
    let size = usize::from(first) + 1;
    let whole = parse_nar(archive, archive.len().max(1));
    let pieces = parse_nar(archive, size);
    assert_eq!(
        whole, pieces,
        "chunks of {size} bytes are judged differently"
    );
    if let Ok((rewritten, listing)) = whole {
        assert_eq!(
            rewritten, archive,
            "accepted, but not the one archive of its tree"
        );
        let text = listing.to_json();
        let read = Listing::from_json(text.as_bytes(), ListingLimits::default());
        assert_eq!(
            read.as_ref(),
            Ok(&listing),
            "a listing that does not come back"
        );
    }
    let _ = Listing::from_json(
        archive,
        ListingLimits {
            nodes: 1000,
            text: 10_000,
        },
    );

    let Some(hash) = archive
        .last_chunk::<32>()
        .and_then(|hash| StorePathHash::parse(hash).ok())
    else {
        return;
    };
    let mut scanner = ReferenceScanner::new([hash]);
    archive.chunks(size).for_each(|chunk| scanner.push(chunk));
    assert!(scanner.found().eq([hash]), "the hash at the end is found");
}

fn parse_nar(archive: &[u8], size: usize) -> Result<(Vec<u8>, Listing), NarError> {
    let mut parser = NarParser::new();
    let mut builder = ListingBuilder::new(ListingLimits::default());
    let mut rewritten = Vec::new();
    let mut writer = NarWriter::new(|bytes: &[u8]| rewritten.extend_from_slice(bytes));
    for chunk in archive.chunks(size) {
        parser.push(chunk, &mut |event: Event<'_>| {
            builder.event(&event);
            writer
                .event(event)
                .expect("the writer takes what the parser reports");
        })?;
    }
    parser.finish()?;
    writer
        .finish()
        .expect("the writer is complete when the parser is");
    Ok((
        rewritten,
        builder.finish().expect("a listing of every archive"),
    ))
}

/// The narinfo parser: what it takes it gives back byte for byte, what it refuses
/// it refuses with a line that exists, and a signature more changes nothing else.
pub fn narinfo(input: &[u8]) {
    let store_dir = StoreDir::default();
    let lines = input.iter().filter(|byte| **byte == b'\n').count() + 1;
    let plain = |text: String| assert!(!text.contains(char::is_control), "{text:?}");
    let strict = NarInfo::parse_strict(input, &store_dir);
    let narinfo = match NarInfo::parse(input, &store_dir) {
        Ok(narinfo) => narinfo,
        Err(error) => {
            assert!(
                error
                    .line
                    .is_none_or(|line| (1..=lines).contains(&(line as usize)))
            );
            plain(error.to_string());
            assert_eq!(strict, Err(error), "strict is not stricter");
            return;
        }
    };
    assert_eq!(narinfo.to_bytes(), input);
    for oddity in narinfo.oddities() {
        let shown = api::Oddity::from(oddity);
        assert!(
            shown
                .line
                .is_none_or(|line| (1..=lines).contains(&(line as usize)))
        );
        plain(shown.message);
    }
    assert_eq!(narinfo.references().len(), narinfo.references().count());
    let key = narinfo.nar_key();
    assert!(
        !key.split('/').any(|part| matches!(part, "" | "." | "..")),
        "{key}"
    );
    let judgement = KeyRing::default().with_upstreams().judge(&narinfo);
    assert_eq!(judgement.signatures.len(), narinfo.signatures().len());

    let secret = SecretKey::generate("fuzz-1", [1; 32]).expect("a good name");
    let signature = secret.sign(narinfo.fingerprint().as_bytes());
    let more = narinfo
        .add_signature(&signature)
        .expect("readable with a signature more");
    if more.signatures().len() > narinfo.signatures().len() {
        let less = more.remove_signature(&signature.to_string());
        assert_eq!(less.as_ref(), Ok(&narinfo), "a trace is left");
    }

    let Ok(strict) = strict else { return };
    let parts = NarInfoParts {
        store_path: strict.store_path().to_store_path(),
        url: strict.url().to_owned(),
        compression: strict.codec().expect("a known compression"),
        file_hash: strict.file_hash(),
        file_size: strict.file_size(),
        nar_hash: strict.nar_hash(),
        nar_size: strict.nar_size(),
        references: strict
            .references()
            .map(|path| path.to_store_path())
            .collect(),
        deriver: strict.deriver().map(|path| path.to_store_path()),
        signatures: strict
            .signatures()
            .map(|text| text.parse().expect("a signature"))
            .collect(),
        ca: strict.ca(),
    };
    let printed = parts
        .to_narinfo(&store_dir)
        .expect("what is printed anew is readable");
    assert_eq!(printed.fingerprint(), strict.fingerprint());
}

/// What is written into nix.conf: two lines of three or more tokens, whatever URL,
/// keys and title come in. The first line is the URL, the second the title, the rest keys.
pub fn nix_conf(input: &[u8]) {
    let _ = CacheInfo::parse(input);
    let text = String::from_utf8_lossy(input);
    let mut parts = text.splitn(3, '\n');
    let mut part = || parts.next().unwrap_or_default();
    let (url, title, keys) = (part(), part(), part());
    let keys = parse_keys_txt(keys).unwrap_or_default();
    assert_eq!(parse_keys_txt(&keys_txt(title, &keys)).as_ref(), Ok(&keys));
    let Ok(url) = url.parse::<SubstituterUrl>() else {
        return;
    };
    let settings = ClientSettings::new(url, keys);
    let lines = 1 + usize::from(!settings.keys().is_empty());
    let conf = settings.nix_conf();
    assert_eq!(conf.lines().count(), lines);
    assert_eq!(
        conf.split_ascii_whitespace().count(),
        2 * lines + 1 + settings.keys().len()
    );
    assert!(!conf.contains('#'), "a comment begins: {conf}");
    let block = settings.nix_conf_block(title, title);
    assert_eq!(block.lines().count(), lines + 2);
    // In the module nothing but our own quotes is not escaped.
    let module = settings.nixos_module();
    let mut quotes = 0;
    let mut escaped = false;
    for c in module.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quotes += 1,
            '$' => panic!("an antiquotation: {module}"),
            _ => {}
        }
    }
    assert_eq!(quotes, 2 + 2 * settings.keys().len());
}

/// The merge of a nix.conf, the simulation, the doctor and the difference: whatever the file,
/// merging twice is merging once, taking back gives the same bytes, and no line of others is lost.
pub fn nix_conf_merge(input: &[u8]) {
    const URL: &str = "https://cache.example.com/team";
    const KEY: &str = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
    const PAGE: &str = "https://console.example.com/c/team";
    let text = String::from_utf8_lossy(input);
    let settings = ClientSettings::new(URL.parse().expect("a URL"), [KEY.parse().expect("a key")]);
    let addition = Addition::new(settings, "team", PAGE);
    let around = Surroundings::default();
    let once = merge(&text, &addition, OnConflict::Ask, &around);
    if once.outcome != Outcome::Changed {
        assert_eq!(once.text, text, "changed, and says that it did not");
    } else {
        let twice = merge(&once.text, &addition, OnConflict::Ask, &around);
        assert_eq!(twice.text, once.text, "a second merge changes it");
        if !text.contains(PAGE) {
            let back = remove(&once.text, &addition, &around);
            assert_eq!(back.text, text, "it does not come back");
        }
        let lines = diff::lines(&text, &once.text);
        let rebuilt: String = lines
            .iter()
            .filter(|line| line.kind != diff::Kind::Removed)
            .flat_map(|line| {
                [
                    line.text.as_str(),
                    if line.unterminated { "" } else { "\n" },
                ]
            })
            .collect();
        assert_eq!(rebuilt, once.text, "the difference is another");
    }
    for finding in examine(&Question::new(&text)).into_iter().flatten() {
        assert!(text.get(finding.start..finding.end).is_some());
        if let Some(fix) = finding.fix {
            fix.apply(&text);
        }
    }
    for found in recognise(&text) {
        assert!(found.line as usize <= text.lines().count());
    }
}

//! The NAR parser against archives that real Nix was given, and its verdicts.
//!
//! The archives of PROTOCOL.md §19 are built here, string by string, so that
//! every rule is tested everywhere. Those that lie in the vectors were fed to
//! Nix 2.8.0 and 2.34.8; the parser must be as strict as the latter.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use snowbank_shared::nar::{
    Event, Listing, ListingBuilder, ListingLimits, NarError, NarErrorKind, NarParser,
    ReferenceScanner,
};
use snowbank_shared::store_path::StorePathHash;

/// The folder of test vectors, or `None`, said aloud, where it is absent.
fn vectors(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SNOWBANK_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    if folder.join("README.md").is_file() {
        return Some(folder);
    }
    eprintln!("SKIPPED: {test}: vectors not found");
    None
}

fn parse(nar: &[u8]) -> Result<Listing, NarError> {
    let mut builder = ListingBuilder::new(ListingLimits::default());
    let mut parser = NarParser::new();
    for chunk in nar.chunks(4096) {
        parser.push(chunk, &mut |event: Event<'_>| builder.event(&event))?;
    }
    assert_eq!(parser.finish()?, nar.len() as u64);
    Ok(builder.finish().expect("a listing of every valid archive"))
}

/// The strings of an archive, each with its length and padding.
fn strings<'a>(strings: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for string in strings {
        out.extend_from_slice(&(string.len() as u64).to_le_bytes());
        out.extend_from_slice(string);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    out
}

/// An archive of these words; `''` is the empty one.
fn nar(words: &str) -> Vec<u8> {
    strings(
        std::iter::once(&b"nix-archive-1"[..]).chain(words.split_whitespace().map(
            |word| match word {
                "''" => &b""[..],
                word => word.as_bytes(),
            },
        )),
    )
}

/// A directory whose root holds one empty file under each of `names`.
fn directory<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut all: Vec<&[u8]> = vec![b"nix-archive-1", b"(", b"type", b"directory"];
    for name in names {
        all.extend([
            &b"entry"[..],
            b"(",
            b"name",
            name,
            b"node",
            b"(",
            b"type",
            b"regular",
            b"contents",
            b"",
            b")",
            b")",
        ]);
    }
    all.push(b")");
    strings(all)
}

fn symlink(target: &[u8]) -> Vec<u8> {
    strings([
        &b"nix-archive-1"[..],
        b"(",
        b"type",
        b"symlink",
        b"target",
        target,
        b")",
    ])
}

fn nested(directories: usize) -> Vec<u8> {
    let words = format!(
        "{} ( type regular contents '' ) {}",
        "( type directory entry ( name d node ".repeat(directories),
        ") ) ".repeat(directories)
    );
    nar(&words)
}

fn patched(mut bytes: Vec<u8>, at: usize, patch: &[u8]) -> Vec<u8> {
    bytes[at..at + patch.len()].copy_from_slice(patch);
    bytes
}

fn joined(mut bytes: Vec<u8>, more: &[u8]) -> Vec<u8> {
    bytes.extend_from_slice(more);
    bytes
}

const FILE: &str = "( type regular contents hello )";

/// One case: its id in §19, the archive, and `None` for accept or what the refusal says: offset and words.
type Case = (&'static str, Vec<u8>, Option<(u64, &'static str)>);

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let file = || nar(FILE);
    let entry = |body: &str| nar(&format!("( type directory entry ( {body} ) )"));
    let node = "node ( type regular contents x )";
    vec![
        ("ok-plain", file(), None),
        ("executable", nar("( type regular executable '' contents hello )"), None),
        ("empty directory", directory([]), None),
        ("nar-empty", vec![], Some((0, "ends early"))),
        ("nar-magic", patched(file(), 8, b"Nix"), Some((0, "does not begin"))),
        ("magic of another length", strings([&b"nix-archive-12"[..]]), Some((0, "does not begin"))),
        ("nar-truncated", file()[..100].to_vec(), Some((100, "contents"))),
        ("nar-cut-last", file()[..file().len() - 16].to_vec(), Some((104, "\")\""))),
        ("padding of the last word cut", file()[..file().len() - 1].to_vec(), Some((119, "padding"))),
        ("nar-trailing", joined(file(), b"x"), Some((120, "after the end"))),
        ("a second archive", joined(file(), &file()), Some((120, "after the end"))),
        ("nar-padding", patched(file(), 102, b"x"), Some((102, "padding"))),
        ("nar-pad-name", patched(directory([&b"a"[..]]), 139, b"x"), Some((139, "padding"))),
        ("nar-unsorted", directory([&b"b"[..], b"a"]), Some((312, "not sorted: \"a\" after \"b\""))),
        ("nar-dup", directory([&b"a"[..], b"a"]), Some((312, "two directory entries are named \"a\""))),
        ("nar-locale-sort", directory([&b"a"[..], b"B"]), Some((312, "not sorted"))),
        ("bytes sort as unsigned", directory([&b"z"[..], b"\x80"]), None),
        ("a prefix sorts first", directory([&b"a"[..], b"a\x01"]), None),
        ("nar-name-slash", directory([&b"x/y"[..]]), Some((128, "slash"))),
        ("nar-name-dot", directory([&b"."[..]]), Some((128, "itself"))),
        ("nar-name-dotdot", directory([&b".."[..]]), Some((128, "itself"))),
        ("three dots", directory([&b"..."[..]]), None),
        ("nar-name-empty", directory([&b""[..]]), Some((128, "0 bytes"))),
        ("nar-name-abs", directory([&b"/etc/x"[..]]), Some((128, "slash"))),
        ("nar-name-traverse", directory([&b"../../x"[..]]), Some((128, "slash"))),
        ("nar-name-nul", directory([&b"f\0g"[..]]), Some((128, "NUL"))),
        ("nar-name-256", directory([&[b'n'; 256][..]]), Some((128, "256 bytes"))),
        ("nar-name-255", directory([&[b'n'; 255][..]]), None),
        ("nar-name-backslash", directory([&b"a\\b"[..]]), None),
        ("nar-name-newline", directory([&b"a\nb"[..]]), None),
        ("nar-name-notutf8", directory([&b"a\xff"[..]]), None),
        ("nar-case", directory([&b"A"[..], b"a"]), None),
        ("nar-casehack", directory([&b"a~nix~case~hack~1"[..]]), None),
        ("nar-type", nar("( type fifo )"), Some((56, "found \"fifo\""))),
        ("nar-notype", nar("( )"), Some((40, "expected \"type\", found \")\""))),
        ("nar-type-twice", nar("( type regular type regular contents '' )"), Some((72, "found \"type\""))),
        ("nar-nocontents", nar("( type regular )"), Some((72, "\"contents\", found \")\""))),
        ("nar-two-contents", nar("( type regular contents a contents b )"), Some((104, "found \"contents\""))),
        ("nar-exec-after", nar("( type regular contents a executable '' )"), Some((104, "found \"executable\""))),
        ("executable twice", nar("( type regular executable '' executable '' contents a )"), Some((104, "found \"executable\""))),
        ("nar-exec-value", nar("( type regular executable yes contents a )"), Some((96, "3 bytes"))),
        ("nar-exec-dir", nar("( type directory executable '' )"), Some((80, "\"entry\" or \")\""))),
        ("nar-link-empty", symlink(b""), Some((88, "0 bytes"))),
        ("nar-link-nul", symlink(b"a\0b"), Some((88, "NUL"))),
        ("nar-link-4095", symlink(&[b'x'; 4095]), None),
        ("nar-link-4096", symlink(&[b'x'; 4096]), Some((88, "4096 bytes"))),
        ("nar-link-notarget", nar("( type symlink )"), Some((72, "\"target\""))),
        ("nar-link-abs", symlink(b"/etc/passwd"), None),
        ("nar-symlink-dir-dup",
            nar("( type directory entry ( name d node ( type symlink target /tmp ) ) entry ( name d node ( type directory ) ) )"),
            Some((320, "two directory entries"))),
        ("nar-name-after-node", entry(&format!("{node} name a")), Some((112, "expected \"name\""))),
        ("nar-entry-nonode", entry("name a"), Some((144, "expected \"node\""))),
        ("nar-entry-noname", entry(node), Some((112, "expected \"name\""))),
        ("nar-len-huge", patched(file(), 88, &(1_u64 << 63).to_le_bytes()), Some((120, "the contents of a file"))),
        ("the largest length", patched(file(), 88, &u64::MAX.to_le_bytes()), Some((120, "the contents of a file"))),
        ("nar-str-huge", patched(file(), 40, &(1_u64 << 40).to_le_bytes()), Some((40, "1099511627776 bytes"))),
        ("a word of 33 bytes", nar(&"x".repeat(33).replacen('x', "( x", 1)), Some((40, "33 bytes"))),
        ("nar-deep-63", nested(63), None),
        ("nar-deep-64", nested(64), Some((8712, "nest deeper"))),
        ("nar-deep-2000", nested(2000), Some((8712, "nest deeper"))),
    ]
}

#[test]
fn every_rule_of_the_format_is_kept() {
    for (id, bytes, expected) in cases() {
        match (parse(&bytes), expected) {
            (Ok(_), None) => {}
            (Ok(_), Some(_)) => panic!("{id}: accepted"),
            (Err(error), None) => panic!("{id}: {error}"),
            (Err(error), Some((offset, words))) => {
                let text = error.to_string();
                assert!(
                    text.contains(words),
                    "{id}: \"{text}\" should say \"{words}\""
                );
                let trailing = matches!(error.kind, NarErrorKind::TrailingData);
                assert_eq!(
                    error.code(),
                    if trailing { "trailing-data" } else { "bad-nar" },
                    "{id}"
                );
                assert_eq!(error.offset, offset, "{id}: {text}");
            }
        }
    }
}

/// The NAR files of one of the caches in `bad`, as they lie there.
fn archives(cache: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(folder) = fs::read_dir(cache.join("nar")) else {
        return Vec::new();
    };
    folder
        .map(|file| file.unwrap().path())
        .map(|path| (path.display().to_string(), decoded(&path)))
        .collect()
}

/// A NAR file, decompressed by the codec that its extension names.
fn decoded(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let mut out = Vec::new();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("nar") => return bytes,
        Some("xz") => xz2::read::XzDecoder::new(bytes.as_slice()).read_to_end(&mut out),
        Some("zst") => zstd::Decoder::new(bytes.as_slice())
            .unwrap()
            .read_to_end(&mut out),
        Some("bz2") => bzip2::read::MultiBzDecoder::new(bytes.as_slice()).read_to_end(&mut out),
        Some("br") => brotli::Decompressor::new(bytes.as_slice(), 4096).read_to_end(&mut out),
        other => panic!("{}: extension {other:?}", path.display()),
    }
    .unwrap();
    out
}

#[test]
fn verdicts_are_those_of_nix() {
    let Some(vectors) = vectors("verdicts_are_those_of_nix") else {
        return;
    };
    let manifest = fs::read(vectors.join("bad/manifest.json")).unwrap();
    let manifest: Vec<serde_json::Value> = serde_json::from_slice(&manifest).unwrap();
    let mut checked = 0;
    for case in manifest.iter().filter(|case| case["group"] == "nar") {
        let id = case["id"].as_str().unwrap();
        // Nix reads no further than the archive's end; what follows is refused here.
        let accepted = case["nix_2_34_8"] == "accept" && id != "nar-trailing";
        for (file, bytes) in archives(&vectors.join("bad").join(id)) {
            let result = parse(&bytes);
            assert_eq!(result.is_ok(), accepted, "{id} ({file}): {result:?}");
            checked += 1;
        }
    }
    assert!(checked >= 37, "only {checked} archives");
}

#[test]
fn archives_of_upstream_test_suites() {
    let Some(vectors) = vectors("archives_of_upstream_test_suites") else {
        return;
    };
    let valid = [
        "functional-case.nar",
        "functional-unnormalized.nar",
        "functional-case-collision.nar",
        "tvix-emptydirectory.nar",
        "tvix-onebyteregular.nar",
        "tvix-symlink.nar",
        "regular-one-byte-zero-padding.nar",
    ];
    let mut accepted = Vec::new();
    let mut refused = 0;
    for file in fs::read_dir(vectors.join("nar-upstream")).unwrap() {
        let file = file.unwrap();
        match parse(&fs::read(file.path()).unwrap()) {
            Ok(_) => accepted.push(file.file_name().into_string().unwrap()),
            Err(error) => {
                eprintln!("{:?}: {error}", file.file_name());
                refused += 1;
            }
        }
    }
    let mut expected = valid.map(str::to_owned).to_vec();
    accepted.sort();
    expected.sort();
    assert_eq!(accepted, expected);
    assert_eq!(refused, 12);
}

/// A field of a narinfo as it stands there.
fn field<'a>(narinfo: &'a str, name: &str) -> &'a str {
    let line = narinfo
        .lines()
        .find(|line| line.starts_with(name))
        .unwrap_or_default();
    line.strip_prefix(name)
        .and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or_default()
}

#[test]
fn real_archives_have_their_listings_and_references() {
    let Some(vectors) = vectors("real_archives_have_their_listings_and_references") else {
        return;
    };
    let mut archives = 0;
    let mut listings = 0;
    for cache in [
        "cache-xz",
        "cache-zstd",
        "cache-br",
        "cache-bzip2",
        "cache-ca",
        "cache-drv",
    ] {
        let cache = vectors.join("closure").join(cache);
        let mut narinfos = Vec::new();
        for file in fs::read_dir(&cache).unwrap() {
            let path = file.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "narinfo")
            {
                narinfos.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
        let hash = |base: &str| StorePathHash::parse(&base.as_bytes()[..32]).unwrap();
        let known: Vec<_> = narinfos
            .iter()
            .map(|(_, narinfo)| {
                hash(
                    field(narinfo, "StorePath")
                        .strip_prefix("/nix/store/")
                        .unwrap(),
                )
            })
            .collect();
        for (path, narinfo) in &narinfos {
            let nar = decoded(&cache.join(field(narinfo, "URL")));
            let listing = parse(&nar).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(
                nar.len().to_string(),
                field(narinfo, "NarSize"),
                "{}",
                path.display()
            );
            archives += 1;
            if let Ok(text) = fs::read(path.with_extension("ls")) {
                assert_eq!(listing.to_json().as_bytes(), text, "{}", path.display());
                assert_eq!(
                    Listing::from_json(&text, ListingLimits::default()),
                    Ok(listing)
                );
                listings += 1;
            }
            // Nix took the references of these paths from their bytes.
            let mut scanner = ReferenceScanner::new(known.iter().copied());
            for chunk in nar.chunks(1000) {
                scanner.push(chunk);
            }
            let mut declared: Vec<_> = field(narinfo, "References")
                .split_whitespace()
                .map(hash)
                .collect();
            declared.sort_unstable();
            if field(narinfo, "StorePath").ends_with(".drv") || cache.ends_with("cache-ca") {
                continue;
            }
            assert_eq!(
                scanner.found().collect::<Vec<_>>(),
                declared,
                "{}",
                path.display()
            );
        }
    }
    assert_eq!((archives, listings), (24 * 4 + 3 + 22, 24 * 4));
}

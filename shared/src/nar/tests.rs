//! Properties of the NAR format: what is written is read back, whatever the
//! chunks, and no bytes at all make the parser panic or break its promises.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::store_path::StorePathHash;

/// A file tree, as the events of an archive describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tree {
    File { contents: Vec<u8>, executable: bool },
    Symlink(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, Tree>),
}

impl Tree {
    fn write(&self, writer: &mut NarWriter<impl FnMut(&[u8])>) {
        match self {
            Self::File {
                contents,
                executable,
            } => writer.file(contents, *executable),
            Self::Symlink(target) => writer.symlink(target),
            Self::Directory(entries) => {
                writer.directory().unwrap();
                for (name, node) in entries {
                    writer.entry(name).unwrap();
                    node.write(writer);
                }
                writer.end()
            }
        }
        .unwrap();
    }

    fn nar(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = NarWriter::new(|bytes: &[u8]| out.extend_from_slice(bytes));
        self.write(&mut writer);
        let size = writer.finish().unwrap();
        assert_eq!(size, out.len() as u64);
        out
    }
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-zA-Z0-9._+-]{1,12}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 1..=255),
    ]
    .prop_filter("a file name", |name| FileName::check(name).is_ok())
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-z/.]{1,30}".prop_map(String::into_bytes),
        prop::collection::vec(1_u8..=255, 1..200),
        Just(vec![b'x'; MAX_TARGET]),
    ]
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (prop::collection::vec(any::<u8>(), 0..100), any::<bool>()).prop_map(
            |(contents, executable)| Tree::File {
                contents,
                executable
            }
        ),
        target().prop_map(Tree::Symlink),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop::collection::btree_map(name(), inner, 0..6).prop_map(Tree::Directory)
    })
}

/// Splits `bytes` at chunk lengths taken from `sizes` in turn.
fn chunks<'a>(bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (head, tail) = rest.split_at(rest.len().min(*sizes.next()?));
        rest = tail;
        Some(head)
    })
}

/// An event that owns its bytes, contents joined.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Directory,
    Entry(Vec<u8>),
    End,
    Regular {
        size: u64,
        executable: bool,
        offset: u64,
        contents: Vec<u8>,
    },
    Symlink(Vec<u8>),
}

fn parse(bytes: &[u8], sizes: &[usize]) -> (Vec<Seen>, Result<u64, NarError>) {
    let mut seen: Vec<Seen> = Vec::new();
    let mut parser = NarParser::new();
    for chunk in chunks(bytes, sizes) {
        let result = parser.push(chunk, &mut |event: Event<'_>| match event {
            Event::Directory => seen.push(Seen::Directory),
            Event::Entry { name } => seen.push(Seen::Entry(name.to_vec())),
            Event::DirectoryEnd => seen.push(Seen::End),
            Event::Regular {
                size,
                executable,
                offset,
            } => {
                seen.push(Seen::Regular {
                    size,
                    executable,
                    offset,
                    contents: Vec::new(),
                });
            }
            Event::Contents(piece) => {
                assert!(!piece.is_empty());
                match seen.last_mut() {
                    Some(Seen::Regular { contents, .. }) => contents.extend_from_slice(piece),
                    other => panic!("contents after {other:?}"),
                }
            }
            Event::Symlink { target } => seen.push(Seen::Symlink(target.to_vec())),
        });
        if let Err(error) = result {
            assert!(!parser.is_complete());
            assert_eq!(
                parser.push(b"x", &mut |_| panic!("an event after an error")),
                Err(error.clone())
            );
            return (seen, Err(error));
        }
    }
    let complete = parser.is_complete();
    let result = parser.finish();
    assert_eq!(complete, result.is_ok());
    (seen, result)
}

/// The archive that a sequence of events describes.
fn rewrite(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = NarWriter::new(|piece: &[u8]| out.extend_from_slice(piece));
    let mut parser = NarParser::new();
    parser
        .push(bytes, &mut |event: Event<'_>| writer.event(event).unwrap())
        .unwrap();
    writer.finish().unwrap();
    out
}

fn listing(bytes: &[u8]) -> Listing {
    let mut builder = ListingBuilder::new(ListingLimits::default());
    let mut parser = NarParser::new();
    parser
        .push(bytes, &mut |event: Event<'_>| builder.event(&event))
        .unwrap();
    parser.finish().unwrap();
    builder.finish().unwrap()
}

fn agrees(tree: &Tree, node: &ListingNode, nar: &[u8]) -> bool {
    match (tree, node) {
        (
            Tree::File {
                contents,
                executable,
            },
            ListingNode::Regular {
                size,
                executable: is,
                nar_offset,
            },
        ) => {
            let start = nar_offset.unwrap() as usize;
            *executable == *is
                && contents.len() as u64 == *size
                && nar[start..][..contents.len()] == contents[..]
        }
        (Tree::Symlink(target), ListingNode::Symlink { target: is }) => target == is,
        (Tree::Directory(tree), ListingNode::Directory { entries }) => {
            tree.len() == entries.len()
                && tree.iter().zip(entries).all(|((name, tree), (is, node))| {
                    name == is.as_bytes() && agrees(tree, node, nar)
                })
        }
        _ => false,
    }
}

/// A change to an archive that usually breaks it.
#[derive(Debug, Clone)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Swap(prop::sample::Index, prop::sample::Index),
    Length(prop::sample::Index, u64),
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Set(at, value) => {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            Self::Insert(at, piece) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, piece.iter().copied());
            }
            Self::Remove(at, length) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            // Two aligned words: often lengths or tags.
            Self::Swap(a, b) => {
                let words = bytes.len() / 8;
                let (a, b) = (a.index(words) * 8, b.index(words) * 8);
                for index in 0..8 {
                    bytes.swap(a + index, b + index);
                }
            }
            Self::Length(at, value) => {
                let at = at.index(bytes.len() / 8) * 8;
                bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            }
        }
        if bytes.len() < 8 {
            bytes.resize(8, 0);
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, value)| Mutation::Set(at, value)),
        (index(), prop::collection::vec(any::<u8>(), 1..20))
            .prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        (index(), 1..40_usize).prop_map(|(at, length)| Mutation::Remove(at, length)),
        (index(), index()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        (
            index(),
            prop_oneof![any::<u64>(), 0..300_u64, Just(u64::MAX)]
        )
            .prop_map(|(at, value)| Mutation::Length(at, value)),
    ]
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..70_usize, 1..5)
}

proptest! {
    #[test]
    fn trees_come_back_whatever_the_chunks(tree in tree(), sizes in sizes()) {
        let nar = tree.nar();
        let (whole, result) = parse(&nar, &[nar.len()]);
        prop_assert_eq!(result, Ok(nar.len() as u64));
        prop_assert_eq!(&parse(&nar, &sizes).0, &whole);
        prop_assert_eq!(&rewrite(&nar), &nar);
        prop_assert!(agrees(&tree, &listing(&nar).root, &nar));
    }

    #[test]
    fn listings_come_back_from_their_text(tree in tree()) {
        let listing = listing(&tree.nar());
        let text = listing.to_json();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        prop_assert_eq!(Listing::from_json(text.as_bytes(), ListingLimits::default()), Ok(listing));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), sizes in sizes()) {
        prop_assert!(parse(&bytes, &sizes).1.is_err());
        let _ = Listing::from_json(&bytes, ListingLimits::default());
    }

    #[test]
    fn mutated_archives_are_refused_alike_in_any_chunks(
        tree in tree(),
        mutations in prop::collection::vec(mutation(), 1..4),
        sizes in sizes(),
    ) {
        let mut bytes = tree.nar();
        for mutation in &mutations {
            mutation.apply(&mut bytes);
        }
        let (seen, result) = parse(&bytes, &[bytes.len()]);
        let (seen_in_chunks, result_in_chunks) = parse(&bytes, &sizes);
        prop_assert_eq!(&result, &result_in_chunks);
        prop_assert_eq!(seen, seen_in_chunks);
        match result {
            // A tree has one archive: what is accepted is what the writer would write.
            Ok(_) => prop_assert_eq!(rewrite(&bytes), bytes),
            Err(error) => {
                prop_assert!(error.offset <= bytes.len() as u64);
                let text = error.to_string();
                prop_assert!(text.len() < 1024 && text.chars().all(|c| c == '…' || (' '..='~').contains(&c)), "{}", text);
            }
        }
    }

    #[test]
    fn mutated_listings_never_panic(tree in tree(), at in any::<prop::sample::Index>(), piece in prop::collection::vec(any::<u8>(), 0..4)) {
        let mut text = listing(&tree.nar()).to_json().into_bytes();
        let at = at.index(text.len());
        text.splice(at..(at + 1).min(text.len()), piece);
        let _ = Listing::from_json(&text, ListingLimits::default());
    }

    #[test]
    fn references_are_found_across_chunk_borders(
        planted in prop::collection::vec(("[0-9abcdfghijklmnpqrsvwxyz]{32}", 0..80_usize), 0..5),
        absent in prop::collection::vec("[0-9abcdfghijklmnpqrsvwxyz]{32}", 0..3),
        dense in any::<bool>(),
        sizes in sizes(),
    ) {
        let mut bytes = Vec::new();
        for (hash, gap) in &planted {
            // Filler of the alphabet itself makes every window a candidate for a look.
            bytes.extend((0..*gap).map(|index| if dense || index % 3 == 0 { b'0' } else { 0xff }));
            bytes.extend_from_slice(hash.as_bytes());
        }
        let key = |hash: &String| StorePathHash::parse(hash.as_bytes()).unwrap();
        let candidates: Vec<_> = planted.iter().map(|(hash, _)| key(hash)).chain(absent.iter().map(key)).collect();
        let mut scanner = ReferenceScanner::new(candidates.clone());
        for chunk in chunks(&bytes, &sizes) {
            scanner.push(chunk);
        }
        let mut expected: Vec<_> = candidates.into_iter().filter(|hash| memchr::memmem::find(&bytes, &hash.to_ascii()).is_some()).collect();
        expected.sort_unstable();
        expected.dedup();
        prop_assert_eq!(scanner.found().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn sizes_are_those_of_nix() {
    assert_eq!(
        Tree::File {
            contents: vec![],
            executable: false
        }
        .nar()
        .len(),
        112
    );
    assert_eq!(Tree::Directory(BTreeMap::new()).nar().len(), 96);
}

#[test]
fn a_listing_beyond_its_limits_says_so() {
    let file = || Tree::File {
        contents: vec![],
        executable: false,
    };
    let nar = Tree::Directory((0..10_u8).map(|n| (vec![b'a' + n], file())).collect()).nar();
    for (limits, fits) in [
        (
            ListingLimits {
                nodes: 11,
                text: 10,
            },
            true,
        ),
        (
            ListingLimits {
                nodes: 10,
                text: 10,
            },
            false,
        ),
        (ListingLimits { nodes: 11, text: 9 }, false),
    ] {
        let mut builder = ListingBuilder::new(limits);
        NarParser::new()
            .push(&nar, &mut |event: Event<'_>| builder.event(&event))
            .unwrap();
        let result = builder.finish();
        assert_eq!(result.is_ok(), fits, "{limits:?}: {result:?}");
        let text = listing(&nar).to_json();
        assert_eq!(Listing::from_json(text.as_bytes(), limits), result);
    }
}

#[test]
fn names_that_are_not_utf8_are_kept_and_told_apart() {
    let file = || Tree::File {
        contents: b"x".to_vec(),
        executable: false,
    };
    let tree = Tree::Directory(
        [&b"a\xff"[..], b"a\xfe", "a\u{fffd}".as_bytes(), b"plain"]
            .map(|name| (name.to_vec(), file()))
            .into(),
    );
    let listing = listing(&tree.nar());
    let text = listing.to_json();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["root"]["entries"].as_object().unwrap().len(), 4);
    assert_eq!(text.matches("name_b64").count(), 2);
    assert_eq!(
        Listing::from_json(text.as_bytes(), ListingLimits::default()).unwrap(),
        listing
    );
    assert!(matches!(
        listing.find(b"a\xff"),
        Some(ListingNode::Regular { size: 1, .. })
    ));
    assert_eq!(listing.find(b"plain/x"), None);
    // Nix 2.8 writes the bytes as they are.
    let raw = b"{\"version\":1,\"root\":{\"type\":\"directory\",\"entries\":{\"a\xff\":{\"type\":\"regular\",\"size\":1}}}}";
    let listing = Listing::from_json(raw, ListingLimits::default()).unwrap();
    assert!(listing.find(b"a\xff").is_some());
}

#[test]
fn listings_of_other_writers_are_read() {
    let read = |text: &str| Listing::from_json(text.as_bytes(), ListingLimits::default());
    // Sorted keys and `executable` always, as Nix 2.35 writes; spaces, escapes, unknown members.
    let listing = read(
        r#" { "root": {"entries": {"b\u00e9\ud83d\ude00": {"executable": false, "narOffset": 0, "size": 3, "type": "regular"},
            "a/": 0, "x": {}}, "type": "directory"}, "version": 1} "#,
    );
    assert!(matches!(listing, Err(ListingError::Syntax { .. })));
    let listing = read(
        r#" { "root": {"future": [1, {"a": "}"}, null], "entries": {"bé\ud83d\ude00": {"executable": false, "narOffset": 0, "size": 3, "type": "regular"}
            }, "type": "directory"}, "version": 1, "more": -1.5e3 } "#,
    )
    .unwrap();
    assert_eq!(
        listing.find("bé😀".as_bytes()),
        Some(&ListingNode::Regular {
            size: 3,
            executable: false,
            nar_offset: None
        })
    );
    for wrong in [
        "",
        "[]",
        "{}",
        r#"{"version":1}"#,
        r#"{"version":2,"root":{"type":"regular","size":1}}"#,
        r#"{"root":{"type":"regular","size":1}} x"#,
        r#"{"root":{"type":"regular","size":-1}}"#,
        r#"{"root":{"type":"regular"}}"#,
        r#"{"root":{"type":"fifo"}}"#,
        r#"{"root":{"size":1}}"#,
        r#"{"root":{"type":"directory"}}"#,
        r#"{"root":{"type":"directory","entries":{"..":{"type":"regular","size":1}}}}"#,
        r#"{"root":{"type":"directory","entries":{"a":{"type":"regular","size":1},"a":{"type":"regular","size":1}}}}"#,
        r#"{"root":{"type":"directory","entries":{"a":{"type":"regular","size":1}"#,
        r#"{"root":{"type":"symlink","target":"\ud800"}}"#,
    ] {
        assert!(
            matches!(read(wrong), Err(ListingError::Syntax { .. })),
            "{wrong}"
        );
    }
    let deep = format!(
        "{{\"root\":{}",
        r#"{"type":"directory","entries":{"d":"#.repeat(100_000)
    );
    assert!(matches!(read(&deep), Err(ListingError::Syntax { .. })));
    let deep = format!("{{\"future\":{}", "[".repeat(1_000_000));
    assert!(matches!(read(&deep), Err(ListingError::Syntax { .. })));
}

#[test]
fn the_writer_refuses_what_no_archive_holds() {
    let mut writer = NarWriter::new(|_: &[u8]| {});
    assert!(matches!(
        writer.entry(b"a"),
        Err(WriteError::OutOfPlace { .. })
    ));
    assert_eq!(writer.symlink(b""), Err(WriteError::Target));
    assert_eq!(
        writer.symlink(&[b'a'; MAX_TARGET + 1]),
        Err(WriteError::Target)
    );
    writer.directory().unwrap();
    writer.entry(b"b").unwrap();
    assert!(matches!(writer.end(), Err(WriteError::OutOfPlace { .. })));
    writer.regular(2, false).unwrap();
    assert_eq!(
        writer.contents(b"abc"),
        Err(WriteError::TooMuch { more: 1 })
    );
    writer.contents(b"ab").unwrap();
    assert_eq!(writer.entry(b"a"), Err(WriteError::Unsorted));
    assert_eq!(writer.entry(b"b"), Err(WriteError::Unsorted));
    assert!(matches!(writer.entry(b"a/b"), Err(WriteError::Name(_))));
    assert!(matches!(
        writer.finish(),
        Err(WriteError::OutOfPlace { .. })
    ));
}

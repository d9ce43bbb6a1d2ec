use super::*;
use crate::nar::{ListingBuilder, NarParser, NarWriter};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A tree of a test: what lies under each name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    File(Vec<u8>, bool),
    Link(Vec<u8>),
    Folder(BTreeMap<Vec<u8>, Node>),
}

fn write(node: &Node, writer: &mut NarWriter<impl FnMut(&[u8])>) {
    match node {
        Node::File(contents, executable) => writer.file(contents, *executable).expect("a file"),
        Node::Link(target) => writer.symlink(target).expect("a link"),
        Node::Folder(entries) => {
            writer.directory().expect("a directory");
            for (name, node) in entries {
                writer.entry(name).expect("an entry");
                write(node, writer);
            }
            writer.end().expect("its end");
        }
    }
}

fn archive(node: &Node) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = NarWriter::new(|piece: &[u8]| bytes.extend_from_slice(piece));
    write(node, &mut writer);
    writer.finish().expect("an archive");
    bytes
}

fn contents(node: &Node) -> Vec<FileEntry> {
    let mut builder = ContentsBuilder::new(ListingLimits::default());
    let mut parser = NarParser::new();
    for piece in archive(node).chunks(13) {
        parser
            .push(piece, &mut |event| builder.event(&event))
            .expect("an archive");
    }
    parser.finish().expect("whole");
    builder.finish().expect("a list")
}

fn folder<const N: usize>(entries: [(&[u8], Node); N]) -> Node {
    Node::Folder(entries.map(|(name, node)| (name.to_vec(), node)).into())
}

fn file(text: &str) -> Node {
    Node::File(text.as_bytes().to_vec(), false)
}

#[test]
fn every_file_is_listed_with_what_it_hashes_to() {
    let tree = folder([
        (
            b"bin",
            folder([(b"sh", Node::File(b"\x7fELF\0".to_vec(), true))]),
        ),
        (b"empty", file("")),
        (b"odd\xff", file("text")),
        (b"sh", Node::Link(b"bin/sh".to_vec())),
    ]);
    let found = contents(&tree);
    let names: Vec<&str> = found.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["", "bin", "bin/sh", "empty", "odd\u{fffd}", "sh"]);
    assert!(found[2].executable && found[2].binary == Some(true));
    let hash = |bytes: &[u8]| Some(format!("sha256:{}", Sha256::digest(bytes).to_nix32()));
    assert_eq!(found[2].sha256, hash(b"\x7fELF\0"));
    assert_eq!((&found[3].sha256, found[3].size), (&hash(b""), Some(0)));
    assert_eq!(found[4].path().as_ref(), b"odd\xff");
    assert_eq!(found[4].binary, Some(false));
    assert_eq!(found[5].target.as_deref(), Some("bin/sh"));
    // As it crosses the wire.
    let text = serde_json::to_string(&found).expect("JSON");
    assert_eq!(
        serde_json::from_str::<Vec<FileEntry>>(&text).expect("read"),
        found
    );
}

#[test]
fn two_builds_differ_in_these_files() {
    let first = folder([
        (b"a", file("same")),
        (b"b", folder([(b"x", file("one")), (b"y", file("12"))])),
        (b"b-", Node::Link(b"a".to_vec())),
        (b"c", file("gone")),
        (b"d", file("kind")),
        (b"e", file("run")),
    ]);
    let second = folder([
        (b"a", file("same")),
        (
            b"b",
            folder([
                (b"x", file("two")),
                (b"y", file("123")),
                (b"z", file("new")),
            ]),
        ),
        (b"b-", Node::Link(b"b".to_vec())),
        (b"d", folder([])),
        (b"e", Node::File(b"run".to_vec(), true)),
    ]);
    let found = between(&contents(&first), &contents(&second));
    assert_eq!(
        (found.added, found.removed, found.changed, found.same),
        (1, 1, 5, 3)
    );
    let told: Vec<(&str, Change, &[Aspect])> = found
        .items
        .iter()
        .map(|item| {
            let name = item.entry().expect("a file").name.as_str();
            (name, item.change, item.aspects.as_slice())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("b/x", Change::Changed, &[Aspect::Content][..]),
            ("b/y", Change::Changed, &[Aspect::Size]),
            ("b/z", Change::Added, &[]),
            ("b-", Change::Changed, &[Aspect::Target]),
            ("c", Change::Removed, &[]),
            ("d", Change::Changed, &[Aspect::Type]),
            ("e", Change::Changed, &[Aspect::Executable]),
        ]
    );
}

#[test]
fn beyond_the_limits_there_is_no_list() {
    let mut builder = ContentsBuilder::new(ListingLimits {
        nodes: 2,
        text: 100,
    });
    let mut parser = NarParser::new();
    let tree = folder([(b"a", file("1")), (b"b", file("2"))]);
    parser
        .push(&archive(&tree), &mut |event| builder.event(&event))
        .expect("an archive");
    assert!(matches!(
        builder.finish(),
        Err(ListingError::TooLarge { .. })
    ));
}

#[test]
fn a_listing_lays_out_as_its_archive_is() {
    let tree = folder([
        (
            b"bin",
            folder([(b"sh", Node::File(vec![1; 13], true)), (b"t", file(""))]),
        ),
        (b"none", folder([])),
        (b"sh", Node::Link(b"bin/sh".to_vec())),
    ]);
    let bytes = archive(&tree);
    let mut builder = ListingBuilder::new(ListingLimits::default());
    let mut parser = NarParser::new();
    parser
        .push(&bytes, &mut |event| builder.event(&event))
        .expect("an archive");
    let listing = builder.finish().expect("a listing");
    let mut without = crate::nar::Listing::from_json(
        listing
            .to_json()
            .replace(",\"narOffset\":", ",\"ignored\":")
            .as_bytes(),
        ListingLimits::default(),
    )
    .expect("a listing");
    assert_ne!(without, listing);
    assert_eq!(without.lay_out(), Some(bytes.len() as u64));
    assert_eq!(without, listing);
    // What somebody made up is found out.
    let lies = listing.to_json().replace("\"size\":13", "\"size\":21");
    let mut lies = crate::nar::Listing::from_json(lies.as_bytes(), ListingLimits::default())
        .expect("a listing");
    assert_eq!(lies.lay_out(), None, "the offset after it does not fit");
}

#[test]
fn names_in_addresses_are_bytes() {
    let path = b"odd\xff/a b/%2F";
    assert_eq!(address_of(path), "odd%FF/a%20b/%252F");
    assert_eq!(path_of(&address_of(path)).as_deref(), Some(&path[..]));
    for bad in ["a/../b", "a%2Fb", "a%00b", "."] {
        assert_eq!(path_of(bad), None, "{bad}");
    }
    assert_eq!(path_of("").as_deref(), Some(&b""[..]));
}

fn tree() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        (proptest::collection::vec(any::<u8>(), 0..9), any::<bool>())
            .prop_map(|(contents, executable)| Node::File(contents, executable)),
        "[a-c]{1,3}".prop_map(|target| Node::Link(target.into_bytes())),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        proptest::collection::btree_map(
            "[ab.-]{1,2}"
                .prop_filter("a name", |name| name != "." && name != "..")
                .prop_map(String::into_bytes),
            inner,
            0..4,
        )
        .prop_map(Node::Folder)
    })
}

/// Every node by its path.
fn flat(node: &Node, path: Vec<u8>, into: &mut BTreeMap<Vec<u8>, Node>) {
    if let Node::Folder(entries) = node {
        for (name, node) in entries {
            let mut below = path.clone();
            below.push(b'/');
            below.extend_from_slice(name);
            flat(node, below, into);
        }
        into.insert(path, Node::Folder(BTreeMap::new()));
    } else {
        into.insert(path, node.clone());
    }
}

proptest! {
    /// The counts are those of a naive comparison, and the sizes those of the archive.
    #[test]
    fn differences_equal_a_naive_comparison(first in tree(), second in tree()) {
        let found = between(&contents(&first), &contents(&second));
        let (mut one, mut two) = (BTreeMap::new(), BTreeMap::new());
        flat(&first, Vec::new(), &mut one);
        flat(&second, Vec::new(), &mut two);
        let added = two.keys().filter(|path| !one.contains_key(*path)).count() as u64;
        let removed = one.keys().filter(|path| !two.contains_key(*path)).count() as u64;
        let same = one.iter().filter(|(path, node)| two.get(*path) == Some(node)).count() as u64;
        prop_assert_eq!((found.added, found.removed, found.same), (added, removed, same));
        prop_assert_eq!(found.changed, one.len() as u64 - removed - same);
        let bytes = archive(&first);
        let mut builder = ListingBuilder::new(ListingLimits::default());
        let mut parser = NarParser::new();
        parser.push(&bytes, &mut |event| builder.event(&event)).expect("an archive");
        let mut listing = builder.finish().expect("a listing");
        prop_assert_eq!(listing.lay_out(), Some(bytes.len() as u64));
    }
}

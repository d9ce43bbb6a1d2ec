use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

/// What S3 says a listing is: all items in order, without any cleverness.
fn naive(
    keys: &BTreeSet<String>,
    prefix: &str,
    delimiter: &str,
    after: &str,
    hidden: &[String],
) -> Vec<String> {
    let items: BTreeSet<String> = keys
        .iter()
        .filter(|key| {
            key.starts_with(prefix) && !hidden.iter().any(|hidden| key.starts_with(hidden.as_str()))
        })
        .map(|key| match key[prefix.len()..].find(delimiter) {
            Some(found) if !delimiter.is_empty() => {
                key[..prefix.len() + found + delimiter.len()].to_owned()
            }
            _ => key.clone(),
        })
        .filter(|item| item.as_str() > after)
        .collect();
    items.into_iter().collect()
}

fn folder_with(keys: &BTreeSet<String>) -> (tempfile::TempDir, Folder) {
    let dir = tempfile::tempdir().unwrap();
    for key in keys {
        let path = dir.path().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, key).unwrap();
    }
    let folder = Folder::open(dir.path(), false).unwrap();
    (dir, folder)
}

fn all_pages(folder: &Folder, query: &Query<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut after = query.after.to_owned();
    let began = Instant::now();
    let mut since = None;
    loop {
        let page = list(
            folder,
            &Query {
                after: &after,
                since,
                ..query.clone()
            },
        )
        .unwrap();
        assert!(page.items.len() <= query.limit);
        assert!(!page.truncated || page.items.len() == query.limit);
        for item in &page.items {
            if let Item::Object { key, version } = item {
                assert_eq!(version.size, key.len() as u64);
            }
            found.push(item.name().to_owned());
        }
        if !page.truncated {
            return found;
        }
        after = found.last().unwrap().clone();
        since = Some(began);
    }
}

/// Keys over a small alphabet, so that prefixes, delimiters and clashes meet.
fn keys() -> impl Strategy<Value = BTreeSet<String>> {
    let part = "[a.\\-0é]{1,3}".prop_filter("dots", |part| part != "." && part != "..");
    let key = prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    prop::collection::btree_set(key, 0..40).prop_map(|mut keys| {
        // A name is a file or a folder, never both: drop the keys that others need as folders.
        let folders: BTreeSet<String> = keys
            .iter()
            .flat_map(|key| {
                key.match_indices('/')
                    .map(|(end, _)| key[..end].to_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        keys.retain(|key| !folders.contains(key));
        keys
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn a_listing_is_what_the_naive_model_says(
        keys in keys(),
        prefix in "[a.\\-0/é]{0,4}",
        delimiter in prop::sample::select(vec!["", "/", "/", "a", "é", "0/", "/a", "-."]),
        after in "[a.\\-0/é]{0,6}",
        limit in 1_usize..8,
        hidden in prop::sample::select(vec![vec![], vec!["a/".to_owned()], vec![".".to_owned(), "0/a/".to_owned()]]),
    ) {
        let (_dir, folder) = folder_with(&keys);
        let query = Query { prefix: &prefix, delimiter, after: &after, limit, since: None, hidden: &hidden };
        prop_assert_eq!(all_pages(&folder, &query), naive(&keys, &prefix, delimiter, &after, &hidden));
    }
}

#[test]
fn files_and_folders_of_one_name_are_in_key_order() {
    let keys: BTreeSet<String> = ["a.narinfo", "a/b", "a-", "a0", "nar/a", "nix-cache-info"]
        .iter()
        .map(|key| (*key).to_owned())
        .collect();
    let (_dir, folder) = folder_with(&keys);
    let query = Query {
        limit: 2,
        ..Query::default()
    };
    assert_eq!(
        all_pages(&folder, &query),
        ["a-", "a.narinfo", "a/b", "a0", "nar/a", "nix-cache-info"]
    );
}

#[test]
fn empty_folders_and_the_servers_own_are_not_listed() {
    let keys: BTreeSet<String> = ["a", "deep/er/b"]
        .iter()
        .map(|key| (*key).to_owned())
        .collect();
    let (dir, folder) = folder_with(&keys);
    fs::create_dir_all(dir.path().join("empty/inside")).unwrap();
    for delimiter in ["", "/"] {
        let query = Query {
            delimiter,
            limit: 10,
            ..Query::default()
        };
        let expected = if delimiter.is_empty() {
            vec!["a", "deep/er/b"]
        } else {
            vec!["a", "deep/"]
        };
        assert_eq!(all_pages(&folder, &query), expected);
    }
    for prefix in [".s3/", ".s3", "../", "deep//", "a/"] {
        let query = Query {
            prefix,
            limit: 10,
            ..Query::default()
        };
        assert_eq!(all_pages(&folder, &query), Vec::<String>::new(), "{prefix}");
    }
}

#[test]
fn links_are_listed_only_where_they_can_be_read() {
    let keys: BTreeSet<String> = ["nar/a"].iter().map(|key| (*key).to_owned()).collect();
    let (dir, folder) = folder_with(&keys);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x"), "secret").unwrap();
    std::os::unix::fs::symlink(outside.path().join("x"), dir.path().join("x")).unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("y")).unwrap();
    std::os::unix::fs::symlink(".", dir.path().join("nar/loop")).unwrap();
    let page = list(
        &folder,
        &Query {
            limit: 10,
            ..Query::default()
        },
    )
    .unwrap();
    assert_eq!(
        page.items.iter().map(Item::name).collect::<Vec<_>>(),
        ["nar/a"]
    );
}

#[test]
fn a_hundred_thousand_keys_are_sorted_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected: Vec<String> = (0..100_000_u64)
        .map(|n| format!("{:016x}.narinfo", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    for name in &expected {
        fs::File::create(dir.path().join(name)).unwrap();
    }
    expected.sort();
    let folder = Folder::open(dir.path(), false).unwrap();
    let began = Instant::now();
    let mut found = Vec::with_capacity(expected.len());
    let mut after = String::new();
    let mut since = None;
    loop {
        let page = list(
            &folder,
            &Query {
                after: &after,
                limit: 1000,
                since,
                ..Query::default()
            },
        )
        .unwrap();
        found.extend(page.items.iter().map(|item| item.name().to_owned()));
        // Somebody else writes all the time; the listing goes on from the names it began with.
        fs::write(dir.path().join(format!("~{}", found.len())), "").unwrap();
        if !page.truncated {
            break;
        }
        after = found.last().unwrap().clone();
        since = Some(began);
    }
    println!("100,000 keys in pages of 1,000: {:?}", began.elapsed());
    assert_eq!(found, expected);
    assert_eq!(
        folder.names.reads(),
        1,
        "the folder was read once for a hundred pages"
    );
}

//! Cursors, closures and referrers in pages.

use super::properties::pages;
use super::support::{Path, hash, index, name};
use crate::index::{Id, PathQuery, QueryError, View};

fn view(paths: &[Path]) -> std::sync::Arc<View> {
    let index = index();
    index.apply_bulk(paths.iter().map(Path::put).collect());
    index.settle();
    index.view()
}

fn id(view: &View, number: u32) -> Id {
    view.find(&hash(number)).unwrap()
}

#[test]
fn a_cursor_is_answered_after_its_path_went() {
    let index = index();
    let paths: Vec<Path> = (0..100).map(|number| Path::new(number, &[])).collect();
    index.apply(paths.iter().map(Path::put).collect());
    let query = PathQuery {
        sort: "-nar_size".parse().unwrap(),
        limit: 10,
        ..PathQuery::default()
    };
    let all = pages(&index.view(), &query);
    let page = index.view().query(&query).unwrap();
    // The last row of the page goes, and so does the next one.
    index.apply(
        all[9..=10]
            .iter()
            .map(|&number| crate::index::Change::Remove(hash(number)))
            .collect(),
    );
    let rest = index
        .view()
        .query(&PathQuery {
            cursor: page.next,
            limit: 200,
            ..query
        })
        .unwrap();
    let expected: Vec<String> = all[11..]
        .iter()
        .map(|&number| hash(number).to_string())
        .collect();
    let found: Vec<String> = rest.items.into_iter().map(|row| row.hash).collect();
    assert_eq!((found, rest.total), (expected, 98));
}

#[test]
fn what_is_no_cursor_is_refused() {
    let view = view(&[Path::new(1, &[]), Path::new(2, &[])]);
    let by_name = PathQuery {
        limit: 1,
        ..PathQuery::default()
    };
    let next = view.query(&by_name).unwrap().next.unwrap();
    for (cursor, sort) in [
        ("", "name"),
        ("x", "name"),
        ("!!!", "name"),
        (&next[..10], "name"),
        (&next, "nar_size"),
        (&next, "-name"),
    ] {
        let query = PathQuery {
            cursor: Some(cursor.to_owned()),
            sort: sort.parse().unwrap(),
            ..PathQuery::default()
        };
        assert_eq!(
            view.query(&query).unwrap_err(),
            QueryError::BadCursor,
            "{cursor} {sort}"
        );
    }
    for cursor in ["", "x", "AAAA", "!!!"] {
        assert_eq!(
            view.closure(id(&view, 1), 10, Some(cursor)).unwrap_err(),
            QueryError::BadCursor
        );
        assert_eq!(
            view.health(None, 10, Some(cursor)).unwrap_err(),
            QueryError::BadCursor
        );
    }
}

#[test]
fn a_closure_in_pages_is_the_closure() {
    // A chain with side branches, a cycle, and references that are missing.
    let paths: Vec<Path> = (0..60)
        .map(|n| Path::new(n, &[n, n + 1, n / 2, (n + 7) % 60, 1_000 + n % 5]))
        .collect();
    let view = view(&paths);
    let whole = view.closure(id(&view, 0), 1_000, None).unwrap();
    assert_eq!((whole.paths, whole.missing, whole.items.len()), (60, 6, 66));
    assert_eq!(whole.next, None);
    assert_eq!(
        whole.items[0].path,
        format!("/nix/store/{}-{}", hash(0), name(0))
    );
    assert!(
        whole.items[..60].iter().all(|row| row.present)
            && whole.items[60..].iter().all(|row| !row.present)
    );
    assert!(
        whole.items[..60].is_sorted_by_key(|row| row.depth)
            && whole.items[60..].is_sorted_by_key(|row| row.depth)
    );
    assert_eq!(
        whole.nar_size,
        paths.iter().map(|path| path.nar_size).sum::<u64>()
    );
    for limit in [1, 7, 60, 65, 66] {
        let (mut items, mut cursor) = (Vec::new(), None);
        loop {
            let page = view
                .closure(id(&view, 0), limit, cursor.as_deref())
                .unwrap();
            assert!(page.items.len() <= limit);
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(items, whole.items, "{limit}");
    }
}

#[test]
fn referrers_are_paged_sorted_and_searched() {
    let mut paths: Vec<Path> = (1..300).map(|number| Path::new(number, &[0])).collect();
    paths.push(Path::new(0, &[0]));
    let view = view(&paths);
    let mut query = PathQuery {
        sort: "-nar_size".parse().unwrap(),
        limit: 100,
        ..PathQuery::default()
    };
    let mut sizes = Vec::new();
    loop {
        let page = view.referrers(id(&view, 0), &query).unwrap();
        assert_eq!(page.total, 299);
        sizes.extend(page.items.iter().map(|row| row.nar_size));
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(sizes.len(), 299);
    assert!(sizes.is_sorted_by(|a, b| a >= b));
    let query = PathQuery {
        q: "python3".to_owned(),
        ..PathQuery::default()
    };
    let page = view.referrers(id(&view, 0), &query).unwrap();
    assert_eq!(
        page.total,
        paths
            .iter()
            .filter(|path| path.name.starts_with("Python3"))
            .count() as u64
    );
    let row = view.row(id(&view, 0));
    assert_eq!((row.reference_count, row.referrer_count), (0, 299));
}

#[test]
fn pasted_addresses_find_their_path() {
    let paths: Vec<Path> = (0..50).map(|number| Path::new(number, &[])).collect();
    let view = view(&paths);
    let path = &paths[17];
    let file = path.file_hash().to_nix32();
    for text in [
        hash(17).to_string(),
        hash(17).to_string()[..6].to_owned(),
        path.base(),
        format!("/nix/store/{}", path.base()),
        format!("https://example.org/main/{}.narinfo", hash(17)),
        format!("nar/{file}.nar.xz"),
        format!("https://example.org/main/nar/{file}.nar.xz"),
        file,
        path.nar_hash().to_string(),
        path.nar_hash().to_base16(),
        path.name.to_uppercase(),
    ] {
        let query = PathQuery {
            q: text.clone(),
            ..PathQuery::default()
        };
        assert_eq!(pages(&view, &query), [17], "{text}");
    }
    let query = PathQuery {
        q: format!("{}-gone", hash(999)),
        ..PathQuery::default()
    };
    assert_eq!(pages(&view, &query), [0; 0]);
}

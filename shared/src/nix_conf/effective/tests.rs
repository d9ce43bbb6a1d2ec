use super::*;

const NIXOS: &str = DEFAULT_SUBSTITUTER;

fn layer(text: &str) -> Layer<'_> {
    Layer { name: "f", text }
}

fn substituters(layers: &[&str]) -> Vec<String> {
    let layers: Vec<Layer<'_>> = layers.iter().map(|text| layer(text)).collect();
    Effective::of(&layers, &unseen, None).texts("substituters")
}

#[test]
fn lists_are_computed_as_nix_does() {
    for (layers, is) in [
        (
            &["extra-substituters = A\nsubstituters = B\n"][..],
            &["B"][..],
        ),
        (
            &["substituters = B\nextra-substituters = A\nsubstituters = C"],
            &["C"],
        ),
        (&["substituters = B\nextra-substituters = A"], &["B", "A"]),
        (&["substituters = S", "substituters = U"], &["U"]),
        (&["substituters = S", "extra-substituters = U"], &["S", "U"]),
        (
            &["extra-substituters = https://x#frag https://y"],
            &[NIXOS, "https://x"],
        ),
        (&["substituters=B"], &[NIXOS]),
        (&["substituters = https://d;"], &["https://d;"]),
        (&["extra-substitutors = A"], &[NIXOS]),
        (&["\u{feff}substituters = A"], &[NIXOS]),
        (&["extra-binary-caches = A\r\n"], &[NIXOS, "A"]),
        (&["substituters ="], &[]),
    ] {
        assert_eq!(substituters(layers), is, "{layers:?}");
    }
}

#[test]
fn what_is_lost_names_who_threw_it_away() {
    let effective = Effective::of_text("extra-substituters = A\n\nsubstituters = B\n");
    let [lost] = effective.lost.as_slice() else {
        panic!("one value is lost: {effective:?}");
    };
    assert_eq!(
        (
            lost.value.text.as_str(),
            lost.value.origin.line,
            lost.by.line
        ),
        ("A", 1, 3)
    );
    let rows = compare(&Effective::of_text(""), &effective);
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.value.as_str(),
                row.before,
                row.after,
                row.lost.is_some(),
            )
        })
        .collect();
    assert_eq!(
        told[..3],
        [
            (NIXOS, true, false, false),
            ("B", false, true, false),
            ("A", false, false, true)
        ]
    );
}

#[test]
fn included_files_stand_where_they_are_included() {
    let text = "extra-substituters = A\ninclude b.conf\n!include gone.conf\nextra-substituters = C\ninclude hidden.conf\n";
    let includes = |file: &str, path: &str| match (file, path) {
        ("f", "b.conf") => Included::Text {
            name: "b.conf".to_owned(),
            text: "substituters = B\ninclude loop.conf".to_owned(),
        },
        ("f", "hidden.conf") => Included::Unseen,
        (_, "loop.conf") => Included::Text {
            name: "loop.conf".to_owned(),
            text: "include loop.conf".to_owned(),
        },
        _ => Included::Missing,
    };
    let effective = Effective::of(&[layer(text)], &includes, None);
    assert_eq!(effective.texts("substituters"), ["B", "C"]);
    assert_eq!(effective.unseen[0].text, "hidden.conf");
    assert_eq!(effective.fatal.len(), 1, "{:?}", effective.fatal);
    assert_eq!(effective.fatal[0].reason, FatalReason::TooDeep);
    let missing = Effective::of(&[layer("include x\n")], &|_, _| Included::Missing, None);
    assert_eq!(
        missing.fatal[0].reason,
        FatalReason::IncludeMissing("x".to_owned())
    );
}

#[test]
fn versions_differ() {
    let text = "substituters = \"https://a\"\nbuild-dir = /x\n";
    let at = |version| Effective::of(&[layer(text)], &unseen, Some(version));
    let (old, new) = (at(NixVersion::OLD), at(NixVersion::NEW));
    assert_eq!((old.fatal.len(), old.unknown.len()), (0, 1));
    assert_eq!((new.fatal.len(), new.unknown.len()), (1, 0));
    for good in [
        "https://a;",
        "auto",
        "/srv/store",
        "s3://b?x=y",
        "HTTPS://x",
    ] {
        assert!(is_store(good), "{good}");
    }
    for bad in ["a,b", "x", "\"https://a\"", "https://a\u{b}b"] {
        assert!(!is_store(bad), "{bad}");
    }
}

#[test]
fn the_order_of_files_is_nixs() {
    let (a, b, c, d) = (layer("a"), layer("b"), layer("c"), layer("d"));
    assert_eq!(load_order(Some(a), &[b, c], Some(d)), [a, c, b, d]);
}

#[test]
fn addresses_are_compared_by_what_they_mean() {
    for (a, b) in [
        (
            "https://Cache.Example.com/team/",
            "HTTPS://cache.example.com/team",
        ),
        ("https://x?priority=30", "https://x/"),
        ("s3://b?region=r&endpoint=e", "s3://b?endpoint=e&region=r"),
    ] {
        assert_eq!(comparable(a), comparable(b));
    }
    assert_ne!(comparable("https://x/A"), comparable("https://x/a"));
    assert_ne!(comparable("https://x//"), comparable("https://x"));
}

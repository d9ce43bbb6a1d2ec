use super::*;

fn rule(uploaders: Uploaders, names: &[&str], most: Option<u64>, ruling: Ruling) -> PolicyRule {
    PolicyRule {
        uploaders,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        max_nar_size: most,
        ruling,
    }
}

fn members(names: &[&str]) -> Uploaders {
    Uploaders::Members {
        members: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[test]
fn rules_read_as_sentences() {
    let one = Ruling::Approval { approvals: 1 };
    let refuse = Ruling::Refuse {
        reason: "Systems come from CI.".into(),
    };
    let keys = Uploaders::Keys {
        keys: vec!["ci-1".into()],
    };
    let text: Vec<String> = [
        rule(Uploaders::Anyone, &["nixos-system-*"], None, one),
        rule(Uploaders::Anyone, &[], Some(5 << 30), Ruling::Publish),
        rule(
            members(&["alice", "bob", "carol"]),
            &["a*", "b"],
            None,
            refuse,
        ),
        rule(keys, &[], Some(1000), Ruling::Builders { builders: 2 }),
        rule(
            Uploaders::Machines,
            &[],
            None,
            Ruling::Approval { approvals: 2 },
        ),
    ]
    .iter()
    .map(PolicyRule::sentence)
    .collect();
    insta::assert_snapshot!(text.join("\n"), @r"
    Paths named `nixos-system-*` need 1 approval by a Maintainer who is not the uploader.
    Paths of at most 5 GiB are published at once.
    Paths named `a*` or `b` uploaded by alice, bob or carol are refused: Systems come from CI.
    Paths of at most 1000 bytes signed by `ci-1` need 2 contributors who built the same content, each with a key of their own.
    Paths uploaded by machines need 2 approvals by different Maintainers who are not the uploader.
    ");
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rules = [
        rule(members(&["alice"]), &["x-*"], None, Ruling::Publish),
        rule(
            Uploaders::Anyone,
            &["x-*"],
            Some(10),
            Ruling::Approval { approvals: 1 },
        ),
        rule(
            Uploaders::Machines,
            &[],
            None,
            Ruling::Builders { builders: 2 },
        ),
    ];
    let upload = |member, name, nar_size| Candidate {
        member,
        key: Some("k-1"),
        name,
        nar_size,
    };
    let rule_of = |upload: Candidate<'_>| decide(&rules, &upload).0;
    assert_eq!(rule_of(upload(Some("alice"), "x-1", 99)), Some(0));
    assert_eq!(rule_of(upload(Some("bob"), "x-1", 10)), Some(1));
    assert_eq!(rule_of(upload(Some("bob"), "x-1", 11)), None);
    assert_eq!(rule_of(upload(Some("alice"), "y-1", 1)), None);
    assert_eq!(rule_of(upload(None, "y-1", 1)), Some(2));
    assert_eq!(
        decide(&rules, &upload(Some("bob"), "y", 1)).1,
        &Ruling::Publish
    );
}

#[test]
fn what_cannot_be_is_said() {
    let fine = rule(Uploaders::Anyone, &["x"], None, Ruling::Publish);
    assert_eq!(fine.fault(), None);
    let bad = [
        rule(members(&[]), &[], None, Ruling::Publish),
        rule(members(&["a\nb"]), &[], None, Ruling::Publish),
        rule(Uploaders::Anyone, &[""], None, Ruling::Publish),
        rule(
            Uploaders::Anyone,
            &["x"; MOST_NAMES + 1],
            None,
            Ruling::Publish,
        ),
        rule(Uploaders::Anyone, &[], Some(0), Ruling::Publish),
        rule(
            Uploaders::Anyone,
            &[],
            None,
            Ruling::Approval { approvals: 0 },
        ),
        rule(
            Uploaders::Anyone,
            &[],
            None,
            Ruling::Approval { approvals: 6 },
        ),
        rule(
            Uploaders::Anyone,
            &[],
            None,
            Ruling::Builders { builders: 1 },
        ),
        rule(
            Uploaders::Anyone,
            &[],
            None,
            Ruling::Refuse { reason: " ".into() },
        ),
    ];
    for rule in bad {
        assert!(rule.fault().is_some(), "{rule:?}");
    }
    let many = Policy {
        rules: vec![fine; MOST_RULES + 1],
        ..Policy::default()
    };
    assert!(many.fault().is_some());
}

#[test]
fn a_rule_is_flat_json() {
    let rule = rule(
        members(&["alice"]),
        &["x-*"],
        None,
        Ruling::Approval { approvals: 2 },
    );
    let json = serde_json::to_value(&rule).expect("JSON");
    let expected = serde_json::json!({
        "who": "members", "members": ["alice"], "names": ["x-*"],
        "max_nar_size": null, "then": "approval", "approvals": 2,
    });
    assert_eq!(json, expected);
    assert_eq!(
        serde_json::from_value::<PolicyRule>(json).expect("a rule"),
        rule
    );
    let short = serde_json::json!({"who": "anyone", "then": "publish"});
    assert_eq!(
        serde_json::from_value::<PolicyRule>(short).expect("a rule"),
        PolicyRule::default()
    );
}

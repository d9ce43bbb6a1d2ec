use std::io::{Read as _, Write as _};
use std::sync::Arc;

use super::*;

fn key(text: &str) -> ObjectKey<'_> {
    ObjectKey::parse(text).unwrap()
}

fn put(
    folder: &Folder,
    name: &str,
    text: &str,
    condition: &Condition,
) -> Result<Version, ChangeError> {
    let mut temporary = folder.temporary().unwrap();
    temporary.file.write_all(text.as_bytes()).unwrap();
    folder.publish(temporary, key(name), &Headers::default(), condition)
}

fn get(folder: &Folder, name: &str) -> Option<String> {
    let (mut file, _) = folder.open_object(key(name)).unwrap()?;
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    Some(text)
}

fn remove(folder: &Folder, name: &str, condition: &Condition) -> Result<bool, ChangeError> {
    let mut changed = Vec::new();
    let removed = folder.remove(key(name), condition, &mut changed)?;
    folder.sync(&changed)?;
    Ok(removed)
}

#[test]
fn one_folder_has_one_server() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path(), true).unwrap();
    let error = Folder::open(dir.path(), true).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("process {}", std::process::id())),
        "{error}"
    );
    drop(folder);
    Folder::open(dir.path(), true).unwrap();
}

#[test]
fn what_a_killed_process_left_is_removed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join(".s3/tmp")).unwrap();
    fs::write(dir.path().join(".s3/tmp/17"), "half").unwrap();
    let folder = Folder::open(dir.path(), true).unwrap();
    assert_eq!(fs::read_dir(dir.path().join(".s3/tmp")).unwrap().count(), 0);
    let temporary = folder.temporary().unwrap();
    drop(temporary);
    assert_eq!(fs::read_dir(dir.path().join(".s3/tmp")).unwrap().count(), 0);
}

#[test]
fn put_get_and_delete() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path(), true).unwrap();
    assert_eq!(get(&folder, "nar/deep/a"), None);
    let first = put(&folder, "nar/deep/a", "one", &Condition::Always).unwrap();
    assert_eq!(get(&folder, "nar/deep/a").as_deref(), Some("one"));
    assert_eq!(folder.version(key("nar/deep/a")).unwrap(), Some(first));
    let second = put(&folder, "nar/deep/a", "two", &Condition::Always).unwrap();
    assert_ne!(first.etag(), second.etag());
    assert!(second.modified > first.modified);
    assert!(remove(&folder, "nar/deep/a", &Condition::Always).unwrap());
    assert!(!remove(&folder, "nar/deep/a", &Condition::Always).unwrap());
    assert!(
        !dir.path().join("nar/deep").exists(),
        "empty folders do not pile up"
    );
    assert!(
        dir.path().join("nar").exists(),
        "others rely on the outermost folder"
    );
}

#[test]
fn conditions() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path(), false).unwrap();
    assert!(matches!(
        put(&folder, "a", "x", &Condition::Present),
        Err(ChangeError::NoObject)
    ));
    assert!(matches!(
        put(&folder, "a", "x", &Condition::Matches("t".into())),
        Err(ChangeError::NoObject)
    ));
    let first = put(&folder, "a", "x", &Condition::Absent).unwrap();
    assert!(matches!(
        put(&folder, "a", "y", &Condition::Absent),
        Err(ChangeError::ConditionFailed)
    ));
    assert!(matches!(
        put(&folder, "a", "y", &Condition::Differs(first.etag())),
        Err(ChangeError::ConditionFailed)
    ));
    let second = put(&folder, "a", "y", &Condition::Matches(first.etag())).unwrap();
    assert!(matches!(
        put(&folder, "a", "z", &Condition::Matches(first.etag())),
        Err(ChangeError::ConditionFailed)
    ));
    assert_eq!(get(&folder, "a").as_deref(), Some("y"));
    assert!(matches!(
        remove(&folder, "a", &Condition::Matches(first.etag())),
        Err(ChangeError::ConditionFailed)
    ));
    assert!(remove(&folder, "a", &Condition::Matches(second.etag())).unwrap());
    assert_eq!(
        fs::read_dir(dir.path().join(".s3/tmp")).unwrap().count(),
        0,
        "refused puts leave nothing"
    );
}

#[test]
fn a_name_is_a_file_or_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path(), false).unwrap();
    put(&folder, "a/b", "x", &Condition::Always).unwrap();
    for condition in [Condition::Always, Condition::Absent] {
        let error = put(&folder, "a", "y", &condition).unwrap_err();
        assert!(matches!(error, ChangeError::Clash { .. }), "{error}");
        let error = put(&folder, "a/b/c/d", "y", &condition).unwrap_err();
        assert!(
            error.to_string().starts_with("\"a/b\" is an object"),
            "{error}"
        );
    }
    assert_eq!(get(&folder, "a/b").as_deref(), Some("x"));
    // A folder without objects is no obstacle.
    remove(&folder, "a/b", &Condition::Always).unwrap();
    put(&folder, "a", "y", &Condition::Absent).unwrap();
    assert_eq!(get(&folder, "a").as_deref(), Some("y"));
}

#[test]
fn exactly_one_of_many_racing_writers_wins() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Arc::new(Folder::open(dir.path(), false).unwrap());
    for round in 0..50 {
        let name = format!("round/{round}");
        let base = put(
            &folder,
            &format!("{name}-match"),
            "base",
            &Condition::Absent,
        )
        .unwrap()
        .etag();
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let (folder, name, base) = (folder.clone(), name.clone(), base.clone());
                std::thread::spawn(move || {
                    let text = n.to_string();
                    let created = put(&folder, &name, &text, &Condition::Absent).is_ok();
                    let changed = put(
                        &folder,
                        &format!("{name}-match"),
                        &text,
                        &Condition::Matches(base),
                    )
                    .is_ok();
                    (created.then_some(text.clone()), changed.then_some(text))
                })
            })
            .collect();
        let results: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        let created: Vec<_> = results
            .iter()
            .filter_map(|result| result.0.clone())
            .collect();
        let changed: Vec<_> = results
            .iter()
            .filter_map(|result| result.1.clone())
            .collect();
        assert_eq!((created.len(), changed.len()), (1, 1));
        assert_eq!(get(&folder, &name), created.first().cloned());
        assert_eq!(
            get(&folder, &format!("{name}-match")),
            changed.first().cloned()
        );
    }
}

#[test]
fn a_folder_that_empties_while_others_fill_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Arc::new(Folder::open(dir.path(), false).unwrap());
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let folder = folder.clone();
            std::thread::spawn(move || {
                for _ in 0..300 {
                    let name = format!("top/inner/{n}");
                    put(&folder, &name, "x", &Condition::Always).unwrap();
                    assert!(remove(&folder, &name, &Condition::Always).unwrap());
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn others_can_read_what_we_write() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path(), false).unwrap();
    put(&folder, "a", "x", &Condition::Always).unwrap();
    fs::write(dir.path().join("plain"), "x").unwrap();
    let mode = |name: &str| {
        fs::metadata(dir.path().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("a"), mode("plain"));
}

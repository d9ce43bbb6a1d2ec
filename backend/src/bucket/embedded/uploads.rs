//! Multipart uploads: parts wait in `.s3/uploads/{id}/` until they are put together or dropped.
//!
//! `about.json` says which key and headers the object will have; each part is a file named by its
//! number. Parts come by rename, so a part is there whole or not at all, and an unfinished upload
//! survives a restart, as it does on S3. Uploads that nobody touched for a week are dropped at start.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::folder::{ChangeError, Condition, Folder, Temporary};
use super::headers::Headers;
use super::key::ObjectKey;
use super::version::Version;

/// Highest part number, as on S3.
pub const MAX_PART_NUMBER: i32 = 10_000;
/// Smallest size in bytes of any part but the last, as on S3: 5 MiB.
pub const MIN_PART: u64 = 5 << 20;
/// Largest size in bytes of a finished object, as on S3: 5 TiB.
pub const MAX_OBJECT: u64 = 5 << 40;
/// Uploads that are older are dropped at start.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);

/// An unfinished upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its id: 32 hex digits.
    pub id: String,
    /// The key that it will have.
    pub key: String,
    /// The headers that it will have.
    pub headers: Headers,
    /// When it began.
    pub initiated: SystemTime,
}

#[derive(Serialize, Deserialize)]
struct About {
    key: String,
    headers: Headers,
}

/// A part that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// 1 to [`MAX_PART_NUMBER`].
    pub number: i32,
    /// Its file.
    pub version: Version,
}

/// Why an upload was not finished.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// No parts were named.
    #[error("the request names no parts")]
    Empty,
    /// The numbers do not rise.
    #[error("the parts are not in ascending order")]
    Order,
    /// A part is missing or has another entity tag.
    #[error("part {0} was not uploaded, or its entity tag differs")]
    Part(i32),
    /// A part before the last is too small.
    #[error("part {number} has {size} bytes; every part but the last needs {MIN_PART}")]
    TooSmall {
        /// Which.
        number: i32,
        /// Its size in bytes.
        size: u64,
    },
    /// All parts together are too large.
    #[error("the parts have more than {MAX_OBJECT} bytes together")]
    TooLarge,
    /// The object was not changed.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<io::Error> for CompleteError {
    fn from(error: io::Error) -> Self {
        Self::Change(error.into())
    }
}

fn dir(folder: &Folder, id: &str) -> PathBuf {
    folder.uploads().join(id)
}

fn is_id(id: &str) -> bool {
    id.len() == 32
        && id
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn sync(folder: &Folder, path: &std::path::Path) -> io::Result<()> {
    if folder.durable() {
        File::open(path)?.sync_all()
    } else {
        Ok(())
    }
}

/// Begins an upload. Returns its id.
///
/// # Errors
/// When it cannot be kept on disk.
pub fn create(folder: &Folder, key: ObjectKey<'_>, headers: &Headers) -> io::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = dir(folder, &id);
    fs::create_dir_all(&path)?;
    let about = About {
        key: key.as_str().to_owned(),
        headers: headers.clone(),
    };
    fs::write(path.join("about.json"), serde_json::to_vec(&about)?)?;
    sync(folder, &path.join("about.json"))?;
    sync(folder, &path)?;
    sync(folder, &folder.uploads())?;
    Ok(id)
}

/// The upload of that id for that key; `None` when there is none.
///
/// # Errors
/// When it is there and cannot be read.
pub fn find(folder: &Folder, id: &str, key: &str) -> io::Result<Option<Upload>> {
    Ok(open(folder, id)?.filter(|upload| upload.key == key))
}

fn open(folder: &Folder, id: &str) -> io::Result<Option<Upload>> {
    if !is_id(id) {
        return Ok(None);
    }
    let path = dir(folder, id).join("about.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // A kill in the moment of creation leaves a file that nobody knows the id of.
    let Ok(about) = serde_json::from_slice::<About>(&text) else {
        return Ok(None);
    };
    let initiated = fs::metadata(&path)?.modified()?;
    Ok(Some(Upload {
        id: id.to_owned(),
        key: about.key,
        headers: about.headers,
        initiated,
    }))
}

/// All unfinished uploads, by key and then by id.
///
/// # Errors
/// When they cannot be read.
pub fn all(folder: &Folder) -> io::Result<Vec<Upload>> {
    let mut uploads = Vec::new();
    for id in ids(folder)? {
        uploads.extend(open(folder, &id)?);
    }
    uploads.sort_by(|a, b| (&a.key, &a.id).cmp(&(&b.key, &b.id)));
    Ok(uploads)
}

fn ids(folder: &Folder) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder.uploads()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut ids = Vec::new();
    for entry in entries {
        ids.extend(entry?.file_name().into_string().ok().filter(|id| is_id(id)));
    }
    Ok(ids)
}

/// Keeps a part, in place of one with the same number. `None` when the upload has gone meanwhile.
///
/// # Errors
/// When it cannot be kept on disk.
pub fn put_part(
    folder: &Folder,
    upload: &Upload,
    number: i32,
    part: Temporary,
) -> io::Result<Option<Version>> {
    let version = folder.settle(&part)?;
    let path = dir(folder, &upload.id);
    match part.rename(&path.join(format!("{number:05}"))) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    sync(folder, &path)?;
    Ok(Some(version))
}

/// The parts that have arrived, by number.
///
/// # Errors
/// When they cannot be read.
pub fn parts(folder: &Folder, upload: &Upload) -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(dir(folder, &upload.id))? {
        let entry = entry?;
        if let Some(number) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        {
            parts.push(Part {
                number,
                version: Version::of(&entry.metadata()?),
            });
        }
    }
    parts.sort_by_key(|part| part.number);
    Ok(parts)
}

/// Puts the named parts together, in that order, and publishes the object.
///
/// # Errors
/// When the parts are not as named, the condition does not hold, or the system refuses. The upload is
/// then as it was.
pub fn complete(
    folder: &Folder,
    upload: &Upload,
    key: ObjectKey<'_>,
    named: &[(i32, Option<String>)],
    condition: &Condition,
) -> Result<Version, CompleteError> {
    if named.is_empty() {
        return Err(CompleteError::Empty);
    }
    if named.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(CompleteError::Order);
    }
    let path = dir(folder, &upload.id);
    let mut whole = folder.temporary()?;
    let mut total = 0_u64;
    for (n, (number, tag)) in named.iter().enumerate() {
        let mut part = match File::open(path.join(format!("{number:05}"))) {
            Ok(part) => part,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(CompleteError::Part(*number));
            }
            Err(error) => return Err(error.into()),
        };
        let version = Version::of(&part.metadata()?);
        if tag.as_ref().is_some_and(|tag| *tag != version.etag()) {
            return Err(CompleteError::Part(*number));
        }
        if version.size < MIN_PART && n + 1 < named.len() {
            return Err(CompleteError::TooSmall {
                number: *number,
                size: version.size,
            });
        }
        total += version.size;
        if total > MAX_OBJECT {
            return Err(CompleteError::TooLarge);
        }
        if io::copy(&mut part, &mut whole.file)? != version.size {
            return Err(CompleteError::Part(*number));
        }
    }
    let version = folder.publish(whole, key, &upload.headers, condition)?;
    abort(folder, upload)?;
    Ok(version)
}

/// Drops an upload and its parts.
///
/// # Errors
/// When they cannot be removed.
pub fn abort(folder: &Folder, upload: &Upload) -> io::Result<()> {
    match fs::remove_dir_all(dir(folder, &upload.id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Drops uploads that nobody touched for a week. Returns how many.
///
/// # Errors
/// When they cannot be read or removed.
pub fn drop_forgotten(folder: &Folder, now: SystemTime) -> io::Result<u64> {
    let mut dropped = 0;
    for id in ids(folder)? {
        let path = dir(folder, &id);
        // The folder's own time moves with each new part.
        let touched = fs::metadata(&path)?.modified()?;
        if now.duration_since(touched).is_ok_and(|age| age > FORGOTTEN) {
            fs::remove_dir_all(&path)?;
            dropped += 1;
        }
    }
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    fn part(folder: &Folder, upload: &Upload, number: i32, bytes: &[u8]) -> String {
        let mut temporary = folder.temporary().unwrap();
        temporary.file.write_all(bytes).unwrap();
        put_part(folder, upload, number, temporary)
            .unwrap()
            .unwrap()
            .etag()
    }

    #[test]
    fn parts_become_one_object() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), true).unwrap();
        let key = ObjectKey::parse("nar/x.nar").unwrap();
        let headers = Headers {
            content_encoding: Some("zstd".into()),
            ..Headers::default()
        };
        let id = create(&folder, key, &headers).unwrap();
        let upload = find(&folder, &id, "nar/x.nar").unwrap().unwrap();
        assert_eq!(find(&folder, &id, "other").unwrap(), None);
        assert_eq!(find(&folder, "../../etc", "nar/x.nar").unwrap(), None);
        let big = vec![7; usize::try_from(MIN_PART).unwrap()];
        let first = part(&folder, &upload, 1, &big);
        let stale = part(&folder, &upload, 7, b"old end");
        let last = part(&folder, &upload, 7, b"end");
        let small = part(&folder, &upload, 3, b"small");
        assert_eq!(
            parts(&folder, &upload)
                .unwrap()
                .iter()
                .map(|part| part.number)
                .collect::<Vec<_>>(),
            [1, 3, 7]
        );

        let finish = |named: &[(i32, Option<String>)]| {
            complete(&folder, &upload, key, named, &Condition::Absent)
        };
        let tag = |tag: &String| Some(tag.clone());
        assert!(matches!(finish(&[]), Err(CompleteError::Empty)));
        assert!(matches!(
            finish(&[(7, tag(&last)), (1, tag(&first))]),
            Err(CompleteError::Order)
        ));
        assert!(matches!(
            finish(&[(1, tag(&first)), (7, tag(&stale))]),
            Err(CompleteError::Part(7))
        ));
        assert!(matches!(
            finish(&[(1, tag(&first)), (2, tag(&last))]),
            Err(CompleteError::Part(2))
        ));
        assert!(matches!(
            finish(&[(3, tag(&small)), (7, tag(&last))]),
            Err(CompleteError::TooSmall { number: 3, .. })
        ));
        assert!(
            folder.version(key).unwrap().is_none(),
            "nothing is published before the parts are right"
        );
        let version = finish(&[(1, tag(&first)), (7, tag(&last))]).unwrap();
        assert_eq!(version.size, MIN_PART + 3);
        let (mut file, _) = folder.open_object(key).unwrap().unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert!(bytes.starts_with(&big) && bytes.ends_with(b"end"));
        assert_eq!(folder.headers(key, &version).unwrap(), headers);
        assert_eq!(all(&folder).unwrap(), []);
    }

    #[test]
    fn uploads_survive_a_restart_and_are_dropped_when_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let key = ObjectKey::parse("a").unwrap();
        let id = {
            let folder = Folder::open(dir.path(), true).unwrap();
            create(&folder, key, &Headers::default()).unwrap()
        };
        let folder = Folder::open(dir.path(), true).unwrap();
        let upload = find(&folder, &id, "a").unwrap().unwrap();
        assert_eq!(all(&folder).unwrap(), std::slice::from_ref(&upload));
        assert_eq!(drop_forgotten(&folder, SystemTime::now()).unwrap(), 0);
        assert_eq!(
            drop_forgotten(&folder, SystemTime::now() + FORGOTTEN * 2).unwrap(),
            1
        );
        assert_eq!(all(&folder).unwrap(), []);
        let temporary = folder.temporary().unwrap();
        assert_eq!(
            put_part(&folder, &upload, 1, temporary).unwrap(),
            None,
            "the upload has gone"
        );
    }
}

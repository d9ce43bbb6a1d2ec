//! Which files of an archive mention a store path: why one path refers to another.
//!
//! Nix takes a path for a reference where the hash part of its name stands anywhere in the bytes:
//! in the contents of a file, in the target of a symlink, in a name. [`MentionsBuilder`] is fed with
//! the events of an archive and keeps where that was, with a few bytes around the first place.

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::{FileEntry, FileKind, Place};
use crate::nar::Event;
use crate::store_path::StorePathHash;

/// Files that are named; all are counted.
pub const MOST_MENTIONS: usize = 1_000;

/// Length of a hash part in characters.
const HASH: usize = 32;
/// Bytes that are shown before the hash and behind it.
const AROUND: usize = 40;
/// Bytes of a file that are kept of what was before: what may stand before a hash, and the hash
/// without its last byte.
const KEPT: usize = AROUND + HASH - 1;

/// Where in an archive a store path is mentioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mentioned {
    /// In the contents of a file.
    Contents,
    /// In the target of a symlink.
    Target,
    /// In the name of an entry.
    Name,
}

/// A file, symlink or name that mentions a store path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Mention {
    /// The file. Of a name that mentions it, what it names is not said: it is given as a directory.
    pub file: FileEntry,
    /// Where it is mentioned.
    pub place: Mentioned,
    /// How often.
    pub times: u64,
    /// What stands around the first of them; what is no printable ASCII is a dot.
    pub around: String,
}

/// The mentions in the file that is being read.
#[derive(Debug)]
struct Open {
    file: FileEntry,
    times: u64,
    around: Vec<u8>,
    /// Bytes behind the first mention that are still to come.
    behind: usize,
    /// The end of what was read.
    tail: Vec<u8>,
}

/// Finds the mentions of one store path.
#[derive(Debug)]
pub struct MentionsBuilder {
    finder: Finder<'static>,
    place: Place,
    open: Option<Open>,
    found: Vec<Mention>,
    files: u64,
}

impl MentionsBuilder {
    /// Looks for this hash part.
    #[must_use]
    pub fn new(hash: StorePathHash) -> Self {
        Self {
            finder: Finder::new(&hash.to_ascii()).into_owned(),
            place: Place::default(),
            open: None,
            found: Vec::new(),
            files: 0,
        }
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &Event<'_>) {
        if let Event::Contents(bytes) = event {
            self.contents(bytes);
            return;
        }
        self.close();
        self.place.event(event);
        let path = self.place.path();
        match *event {
            Event::Entry { name } => {
                let entry = FileEntry::new(path, FileKind::Directory);
                self.whole(entry, Mentioned::Name, name);
            }
            Event::Symlink { target } => {
                let link = FileEntry::symlink(path, target);
                self.whole(link, Mentioned::Target, target);
            }
            Event::Regular {
                size, executable, ..
            } => {
                self.open = Some(Open {
                    file: FileEntry {
                        size: Some(size),
                        executable,
                        ..FileEntry::new(path, FileKind::Regular)
                    },
                    times: 0,
                    around: Vec::new(),
                    behind: 0,
                    tail: Vec::new(),
                });
            }
            Event::Directory | Event::DirectoryEnd | Event::Contents(_) => {}
        }
    }

    /// A text that is there at once.
    fn whole(&mut self, file: FileEntry, place: Mentioned, text: &[u8]) {
        let times = self.finder.find_iter(text).count() as u64;
        if let Some(at) = self.finder.find(text) {
            let end = text.len().min(at + HASH + AROUND);
            self.keep(Mention {
                file,
                place,
                times,
                around: printable(&text[at.saturating_sub(AROUND)..end]),
            });
        }
    }

    fn contents(&mut self, bytes: &[u8]) {
        let Some(open) = &mut self.open else { return };
        if open.behind > 0 {
            let more = &bytes[..bytes.len().min(open.behind)];
            open.around.extend_from_slice(more);
            open.behind -= more.len();
        }
        // What begins in the tail ends within the first bytes of the piece.
        let border = bytes.len().min(HASH - 1);
        let joint = [&open.tail[..], &bytes[..border]].concat();
        let begun = open.tail.len();
        let finder = &self.finder;
        // Those that end in the tail were found before.
        let found = finder.find_iter(&joint);
        let across: Vec<usize> = found.filter(|at| at + HASH > begun).collect();
        if let Some(&at) = across.first().filter(|_| open.times == 0) {
            let rest = &bytes[(at + HASH - begun).min(bytes.len())..];
            open.first(&joint[..at + HASH], at, rest);
        }
        open.times += across.len() as u64;
        for at in finder.find_iter(bytes) {
            if open.times == 0 {
                if at < AROUND {
                    let before = [&open.tail[..], &bytes[..at + HASH]].concat();
                    open.first(&before, begun + at, &bytes[at + HASH..]);
                } else {
                    open.first(&bytes[..at + HASH], at, &bytes[at + HASH..]);
                }
            }
            open.times += 1;
        }
        if bytes.len() >= KEPT {
            open.tail.clear();
            open.tail.extend_from_slice(&bytes[bytes.len() - KEPT..]);
        } else {
            open.tail.extend_from_slice(bytes);
            let over = open.tail.len().saturating_sub(KEPT);
            open.tail.drain(..over);
        }
    }

    /// The file ends.
    fn close(&mut self) {
        if let Some(open) = self.open.take().filter(|open| open.times > 0) {
            self.keep(Mention {
                file: open.file,
                place: Mentioned::Contents,
                times: open.times,
                around: printable(&open.around),
            });
        }
    }

    fn keep(&mut self, mention: Mention) {
        self.files += 1;
        if self.found.len() < MOST_MENTIONS {
            self.found.push(mention);
        }
    }

    /// The first [`MOST_MENTIONS`] in the order of the archive, and how many there are.
    #[must_use]
    pub fn finish(&mut self) -> (Vec<Mention>, u64) {
        self.close();
        (std::mem::take(&mut self.found), self.files)
    }
}

impl Open {
    /// Keeps what stands around the hash at `at`, with which `until` ends; `rest` follows.
    fn first(&mut self, until: &[u8], at: usize, rest: &[u8]) {
        self.around = until[at.saturating_sub(AROUND)..].to_vec();
        let here = &rest[..rest.len().min(AROUND)];
        self.around.extend_from_slice(here);
        self.behind = AROUND - here.len();
    }
}

/// Bytes as they can be shown.
fn printable(bytes: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '.',
    };
    bytes.iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nar::{NarParser, NarWriter};

    const ONE: &str = "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7";

    fn mentions(archive: &[u8], size: usize) -> (Vec<Mention>, u64) {
        let mut builder = MentionsBuilder::new(ONE.parse().expect("a hash"));
        let mut parser = NarParser::new();
        for piece in archive.chunks(size) {
            parser
                .push(piece, &mut |event| builder.event(&event))
                .expect("an archive");
        }
        parser.finish().expect("whole");
        builder.finish()
    }

    fn archive(contents: &[u8]) -> Vec<u8> {
        let mut archive = Vec::new();
        let mut writer = NarWriter::new(|bytes: &[u8]| archive.extend_from_slice(bytes));
        writer.directory().expect("a directory");
        writer.entry(ONE.as_bytes()).expect("an entry");
        writer.file(b"", false).expect("a file");
        writer.entry(b"bin").expect("an entry");
        writer.directory().expect("a directory");
        writer.entry(b"run").expect("an entry");
        writer.file(contents, true).expect("a file");
        writer.end().expect("its end");
        writer.entry(b"link").expect("an entry");
        let target = format!("/nix/store/{ONE}-x/y");
        writer.symlink(target.as_bytes()).expect("a symlink");
        writer.end().expect("its end");
        writer.finish().expect("an archive");
        archive
    }

    #[test]
    fn contents_targets_and_names_are_found_with_what_is_around_them() {
        let text = format!("#!/nix/store/{ONE}-sh/bin/sh\nexec {ONE}\0");
        let (found, files) = mentions(&archive(text.as_bytes()), 1 << 20);
        assert_eq!(files, 3);
        let [name, run, link] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!((name.place, &*name.file.name), (Mentioned::Name, ONE));
        assert_eq!((run.place, run.times), (Mentioned::Contents, 2));
        assert!(run.file.executable && run.file.name == "bin/run");
        let behind = &ONE[..24];
        assert_eq!(
            run.around,
            format!("#!/nix/store/{ONE}-sh/bin/sh.exec {behind}")
        );
        assert_eq!((link.place, &*link.file.name), (Mentioned::Target, "link"));
        assert_eq!(link.around, format!("/nix/store/{ONE}-x/y"));
        assert_eq!(mentions(&archive(&text.as_bytes()[14..]), 7).0.len(), 3);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_pieces_end(
            before in "[a-z0-9\\-]{0,120}",
            between in "[a-z]{0,60}",
            after in "[a-z0-9\\-]{0,90}",
            size in 1_usize..200,
        ) {
            let archive = archive(format!("{before}{ONE}{between}{ONE}{after}").as_bytes());
            let whole = mentions(&archive, archive.len());
            prop_assert_eq!(whole.0[1].times, 2);
            prop_assert_eq!(mentions(&archive, size), whole);
        }
    }
}

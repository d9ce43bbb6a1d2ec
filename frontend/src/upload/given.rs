//! What somebody gave to the page: which of the files is what. Pure, so that it is tested natively.

use std::collections::{HashMap, HashSet};

use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::{StorePathHash, StorePathRef};

use super::verdict::Trouble;

/// Files of one upload at most.
pub const MOST_FILES: usize = 10_000;
/// What a NAR begins with: the length of its first string, and that.
const NAR: &[u8] = b"\x0d\0\0\0\0\0\0\0nix-archive-1";
/// What `nix-store --export` writes in front of each NAR.
const EXPORT: &[u8] = b"\x01\0\0\0\0\0\0\0\x0d\0\0\0\0\0\0\0nix-archive-1";
/// Bytes of a file that [`explain`] wants to see.
pub const HEAD: u64 = 32;

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its path below the folder that was chosen, that folder's name included; or its name.
    pub path: String,
    /// Its bytes.
    pub size: u64,
}

/// The files by what they are, as positions in the list given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    /// `nix-cache-info`.
    pub cache_info: Option<usize>,
    /// Narinfos.
    pub narinfos: Vec<usize>,
}

/// Tells narinfos from the rest.
pub fn sort(given: &[Given]) -> Sorted {
    let mut sorted = Sorted::default();
    for (at, file) in given.iter().enumerate() {
        match base_name(&file.path) {
            "nix-cache-info" => sorted.cache_info = sorted.cache_info.or(Some(at)),
            name if name.ends_with(".narinfo") => sorted.narinfos.push(at),
            _ => {}
        }
    }
    sorted
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Archives by their names.
pub struct Archives<'a> {
    by_path: HashMap<&'a str, usize>,
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Archives<'a> {
    /// Of these files.
    pub fn of(given: &'a [Given]) -> Self {
        let numbered = || given.iter().enumerate();
        Self {
            by_path: numbered()
                .map(|(at, file)| (file.path.as_str(), at))
                .collect(),
            by_name: numbered()
                .map(|(at, file)| (base_name(&file.path), at))
                .collect(),
        }
    }

    /// The archive of a narinfo that lies at `path`: where its URL says, seen from the narinfo;
    /// else the file of that name; else the one that is called by its FileHash.
    pub fn find(&self, path: &str, narinfo: &NarInfo) -> Option<usize> {
        let key = narinfo.nar_key();
        let beside = match path.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{key}"),
            None => key.to_string(),
        };
        let by_path = self.by_path.get(beside.as_str());
        let by_name = || self.by_name.get(base_name(&key));
        let by_hash = || {
            let hash = narinfo.file_hash()?.to_nix32();
            let named = |name: &str| {
                name.strip_prefix(&hash)
                    .is_some_and(|rest| rest.starts_with(".nar"))
            };
            self.by_name
                .iter()
                .find(|(name, _)| named(name))
                .map(|(_, at)| at)
        };
        by_path.or_else(by_name).or_else(by_hash).copied()
    }
}

/// The positions of paths, each behind what it refers to. Circles are cut: the server refuses them.
pub fn closure_order(narinfos: &[NarInfo]) -> Vec<usize> {
    let position: HashMap<StorePathHash, usize> = narinfos
        .iter()
        .enumerate()
        .map(|(at, narinfo)| (narinfo.store_path().hash(), at))
        .collect();
    let needs = |at: usize| -> Vec<usize> {
        let mut needs: Vec<usize> = narinfos[at]
            .references()
            .filter_map(|reference| position.get(&reference.hash()).copied())
            .filter(|other| *other != at)
            .collect();
        // The first is taken from the end.
        needs.reverse();
        needs
    };
    let (mut order, mut seen) = (Vec::new(), HashSet::new());
    for root in 0..narinfos.len() {
        if !seen.insert(root) {
            continue;
        }
        let mut open = vec![(root, needs(root))];
        while let Some((at, left)) = open.last_mut() {
            match left.pop() {
                Some(next) if seen.insert(next) => open.push((next, needs(next))),
                Some(_) => {}
                None => {
                    order.push(*at);
                    open.pop();
                }
            }
        }
    }
    order
}

/// Whether a file that begins so is one of `nix-store --export`.
pub fn is_export(head: &[u8]) -> bool {
    head.starts_with(EXPORT)
}

/// Why files among which is no narinfo cannot be uploaded, and what to do instead. `head` is the
/// beginning of the first.
pub fn explain(given: &[Given], head: &[u8]) -> Trouble {
    let is_nar = |path: &str| {
        let name = base_name(path);
        name.ends_with(".nar")
            || name
                .rsplit_once('.')
                .is_some_and(|(stem, _)| stem.ends_with(".nar"))
    };
    if head.starts_with(NAR) || given.iter().any(|file| is_nar(&file.path)) {
        return Trouble::new(
            "",
            "A NAR alone has no name and no references: those stand in its narinfo.",
            "Let Nix write both into a folder, and choose that folder:",
        )
        .with("nix copy --to 'file:///tmp/out?compression=zstd' /nix/store/…");
    }
    let store_path = given.iter().find_map(|file| {
        let mut parts = file.path.split('/');
        parts.find(|part| StorePathRef::parse(part).is_ok())
    });
    if let Some(path) = store_path {
        return Trouble::new(
            "",
            "This is a store directory, and browsers drop symbolic links and the right to execute: what arrived would be something else.",
            "Let Nix pack it into a folder, and choose that folder:",
        )
        .with(format!("nix copy --to 'file:///tmp/out?compression=zstd' /nix/store/{path}"));
    }
    let what = match given {
        [] => "The folder is empty.".to_owned(),
        [only] => format!("{} is no narinfo.", base_name(&only.path)),
        many => format!("There is no narinfo among these {} files.", many.len()),
    };
    Trouble::new("", what, "Let Nix write a folder, and choose that:")
        .with("nix copy --to 'file:///tmp/out?compression=zstd' .#default")
}

#[cfg(test)]
mod tests {
    use snowbank_shared::store_path::StoreDir;

    use super::*;

    const LEAF: &str = "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7-leaf";
    const MID: &str = "1c0dixlhq54yv4v0kws1bsmbnrz7m6p7-mid";
    const TOP: &str = "2c0dixlhq54yv4v0kws1bsmbnrz7m6p7-top";

    fn narinfo(path: &str, references: &str) -> NarInfo {
        let hash = "1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0";
        let text = format!(
            "StorePath: /nix/store/{path}\nURL: nar/{hash}.nar\nCompression: none\nFileHash: sha256:{hash}\nFileSize: 120\nNarHash: sha256:{hash}\nNarSize: 120\nReferences: {references}\n"
        );
        NarInfo::parse(text.as_bytes(), &StoreDir::default()).expect("a narinfo")
    }

    fn given(paths: &[&str]) -> Vec<Given> {
        let file = |path: &&str| Given {
            path: (*path).to_owned(),
            size: 1,
        };
        paths.iter().map(file).collect()
    }

    #[test]
    fn each_path_comes_behind_what_it_refers_to() {
        let all = [
            narinfo(TOP, &format!("{MID} {TOP}")),
            narinfo(LEAF, ""),
            narinfo(MID, LEAF),
        ];
        assert_eq!(closure_order(&all), [1, 2, 0]);
        let circle = [narinfo(MID, LEAF), narinfo(LEAF, MID)];
        assert_eq!(closure_order(&circle).len(), 2);
    }

    #[test]
    fn archives_are_found_by_address_name_and_hash() {
        let narinfo = narinfo(LEAF, "");
        let name = "1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0.nar";
        let in_folder = given(&[
            "out/x.narinfo",
            &format!("out/nar/{name}"),
            "out/nix-cache-info",
        ]);
        assert_eq!(
            sort(&in_folder),
            Sorted {
                cache_info: Some(2),
                narinfos: vec![0]
            }
        );
        assert_eq!(
            Archives::of(&in_folder).find("out/x.narinfo", &narinfo),
            Some(1)
        );
        let loose = given(&[name, "x.narinfo"]);
        assert_eq!(Archives::of(&loose).find("x.narinfo", &narinfo), Some(0));
        let renamed = given(&["x.narinfo", &format!("{name}.zst")]);
        assert_eq!(Archives::of(&renamed).find("x.narinfo", &narinfo), Some(1));
        assert_eq!(
            Archives::of(&given(&["y"])).find("x.narinfo", &narinfo),
            None
        );
    }

    #[test]
    fn what_is_no_cache_is_explained_with_a_command() {
        let says = |paths: &[&str], head: &[u8]| {
            let trouble = explain(&given(paths), head);
            (trouble.what, trouble.command.expect("a command"))
        };
        assert!(
            says(&["a.nar.xz"], b"\xfd7zXZ")
                .0
                .starts_with("A NAR alone")
        );
        assert!(says(&["a"], NAR).0.starts_with("A NAR alone"));
        assert!(is_export(EXPORT) && !is_export(NAR));
        let (what, command) = says(&[&format!("{LEAF}/bin/x")], b"");
        assert!(what.starts_with("This is a store directory"), "{what}");
        assert!(
            command.ends_with(&format!("/nix/store/{LEAF}")),
            "{command}"
        );
        assert!(says(&["notes.txt"], b"").0.contains("notes.txt"));
    }
}

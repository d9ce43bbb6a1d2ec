//! What the search field offers for what stands in it: paths, pins, keys, caches,
//! places and acts, grouped, at most ten. Pure, so that it is tested natively.

use snowbank_shared::api::{Cache, PathRow};
use snowbank_shared::route::{PathsQuery, PinsRoute, Route};

use crate::components::icon::Icon;
use crate::entry::Entry;
use crate::format;
use crate::places::places;
use crate::state::preferences::Theme;

/// Rows in the list at most.
const MOST: usize = 10;

/// Paths in the address of a look-up at most.
const MOST_SHARED: usize = 200;

/// Paths among them at most.
const MOST_PATHS: usize = 6;

/// What choosing does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Opens a page.
    Open(Box<Route>),
    /// Changes the theme.
    Theme(Theme),
    /// Turns compact rows on or off.
    Rows,
    /// Shows times as moments, or as how long ago.
    Times,
    /// Copies the address of the page.
    CopyLink,
    /// Shows the keys.
    Keys,
    /// Explains what Nix printed.
    Explain(String),
}

/// Something to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What choosing it does.
    pub deed: Deed,
    /// The group it stands in.
    pub group: &'static str,
    /// Its icon.
    pub picture: Icon,
    /// A store path, drawn as one; or words.
    pub path: Option<String>,
    /// The words.
    pub words: String,
    /// What stands at its end.
    pub note: String,
}

/// What the choices are made from.
#[derive(Debug, Default)]
pub struct Known<'a> {
    /// The cache of the page, or the only one.
    pub cache: Option<&'a str>,
    /// The caches of the server.
    pub caches: &'a [Cache],
    /// Names of the keys that are known in the cache.
    pub keys: &'a [String],
    /// Names of the pins of the cache.
    pub pins: &'a [String],
    /// What was found for the very text that stands in the field: per cache the
    /// slug, the first rows, and how many there are.
    pub found: &'a [(String, Vec<PathRow>, u64)],
    /// There is an answer in `found`, if an empty one.
    pub answered: bool,
    /// The list of everything is asked for, though nothing is typed.
    pub palette: bool,
}

fn search(cache: &str, words: &str) -> Deed {
    Deed::Open(Box::new(Route::Paths {
        cache: cache.to_owned(),
        query: PathsQuery {
            q: words.to_owned(),
            ..PathsQuery::default()
        },
    }))
}

/// Acts that are no pages, and what else they are looked for by.
fn acts() -> [(Deed, Icon, &'static str, &'static str); 7] {
    [
        (
            Deed::CopyLink,
            Icon::Copy,
            "Copy the link to this page",
            "share url address",
        ),
        (
            Deed::Theme(Theme::Dark),
            Icon::Theme,
            "Theme: dark",
            "night mode",
        ),
        (
            Deed::Theme(Theme::Light),
            Icon::Theme,
            "Theme: light",
            "day mode",
        ),
        (
            Deed::Theme(Theme::System),
            Icon::Theme,
            "Theme: as the system",
            "auto",
        ),
        (Deed::Rows, Icon::Paths, "Compact or roomy rows", "density"),
        (
            Deed::Times,
            Icon::Again,
            "Times as moments or as how long ago",
            "absolute relative dates",
        ),
        (Deed::Keys, Icon::Help, "Keyboard", "shortcuts keys help"),
    ]
}

/// What is offered, the first by Enter.
pub fn choices(entry: &Entry, known: &Known<'_>) -> Vec<Choice> {
    let mut offered = Vec::new();
    match entry {
        Entry::Empty => {
            if known.palette {
                offered.extend(places_and_acts("", known));
            }
            return offered;
        }
        Entry::NotAHash { .. } | Entry::Secret => return offered,
        Entry::Path(hash) => one_path(hash, known, &mut offered),
        Entry::Nar(text) => {
            paths(known, &mut offered);
            searches(
                text,
                "Search for the paths of this NAR",
                known,
                &mut offered,
            );
        }
        Entry::List(list) => {
            let (deed, words) = look_up(list);
            offered.push(Choice {
                deed,
                group: "Look up",
                picture: Icon::Search,
                path: None,
                words,
                note: "all caches".to_owned(),
            });
        }
        Entry::Message(text) => offered.push(Choice {
            deed: Deed::Explain(text.clone()),
            group: "Explain",
            picture: Icon::Help,
            path: None,
            words: "What does this message of Nix mean?".to_owned(),
            note: "read in this tab".to_owned(),
        }),
        Entry::Words(words) => {
            searches(words, "", known, &mut offered);
            paths(known, &mut offered);
            let lower = words.to_ascii_lowercase();
            pins(&lower, known, &mut offered);
            keys(&lower, known, &mut offered);
            if lower.len() > 1 {
                offered.extend(caches(&lower, known));
                offered.extend(places_and_acts(&lower, known).into_iter().take(4));
            }
        }
    }
    offered.truncate(MOST);
    offered
}

/// A search in the cache of the page, else in each.
fn searches(text: &str, words: &str, known: &Known<'_>, offered: &mut Vec<Choice>) {
    let slugs: Vec<&str> = match known.cache {
        Some(cache) => vec![cache],
        None => known
            .caches
            .iter()
            .map(|cache| cache.slug.as_str())
            .collect(),
    };
    offered.extend(slugs.into_iter().take(3).map(|cache| {
        let total = known.found.iter().find(|(slug, ..)| slug == cache);
        let note = total.map_or_else(
            || cache.to_owned(),
            |(_, _, total)| format!("{cache}, {}", format::counted(*total, "path", "paths")),
        );
        Choice {
            deed: search(cache, text),
            group: "Search",
            picture: Icon::Search,
            path: None,
            words: if words.is_empty() {
                format!("Search for “{text}”")
            } else {
                words.to_owned()
            },
            note,
        }
    }));
}

/// The paths that were found.
fn paths(known: &Known<'_>, offered: &mut Vec<Choice>) {
    let several = known.found.len() > 1;
    let rows = known
        .found
        .iter()
        .flat_map(|(cache, rows, _)| rows.iter().map(move |row| (cache, row)));
    offered.extend(rows.take(MOST_PATHS).map(|(cache, row)| Choice {
        deed: Deed::Open(Box::new(Route::path(cache.as_str(), row.hash.as_str()))),
        group: "Paths",
        picture: Icon::Paths,
        path: Some(row.path.clone()),
        words: String::new(),
        note: if several {
            format!("{cache}, {}", format::size(row.nar_size))
        } else {
            format::size(row.nar_size)
        },
    }));
}

/// A whole hash: in the cache of the page, and wherever else it is.
fn one_path(hash: &str, known: &Known<'_>, offered: &mut Vec<Choice>) {
    paths(known, offered);
    // The page's own cache first.
    offered.sort_by_key(
        |choice| !matches!(&choice.deed, Deed::Open(route) if route.cache() == known.cache),
    );
    let here = |cache: &str| {
        let rows = known.found.iter().find(|(slug, ..)| slug == cache);
        rows.is_some_and(|(_, rows, _)| !rows.is_empty())
    };
    if let Some(cache) = known.cache.filter(|cache| !here(cache)) {
        let note = if known.answered {
            "not here: see where else"
        } else {
            ""
        };
        let at = if known.answered { offered.len() } else { 0 };
        offered.insert(
            at,
            Choice {
                deed: Deed::Open(Box::new(Route::path(cache, hash))),
                group: "Path",
                picture: Icon::Paths,
                path: None,
                words: format!("Open {hash} in {cache}"),
                note: note.to_owned(),
            },
        );
    }
}

/// Several paths: which caches have them. An address holds [`MOST_SHARED`] of them.
pub fn look_up(list: &[String]) -> (Deed, String) {
    let many = list.len() > MOST_SHARED;
    let hashes = list.iter().filter_map(|path| path.get(..32));
    let paths = if many {
        Vec::new()
    } else {
        hashes.map(str::to_owned).collect()
    };
    let words = if many {
        format!("More than {MOST_SHARED} paths: paste them into the form")
    } else {
        format!("Which of these {} paths are cached?", list.len())
    };
    (Deed::Open(Box::new(Route::Lookup { paths })), words)
}

/// Keys whose names begin with the text, or whose whole public key it is.
fn keys(lower: &str, known: &Known<'_>, offered: &mut Vec<Choice>) {
    let Some(cache) = known.cache else { return };
    let name = lower.split(':').next().unwrap_or(lower);
    let names = known
        .keys
        .iter()
        .filter(|key| name.len() > 1 && key.to_ascii_lowercase().contains(name));
    offered.extend(names.take(3).map(|key| Choice {
        deed: Deed::Open(Box::new(Route::Paths {
            cache: cache.to_owned(),
            query: PathsQuery {
                key: Some(key.clone()),
                ..PathsQuery::default()
            },
        })),
        group: "Keys",
        picture: Icon::Key,
        path: None,
        words: key.clone(),
        note: "paths that it signed".to_owned(),
    }));
}

/// Pins by their names.
fn pins(lower: &str, known: &Known<'_>, offered: &mut Vec<Choice>) {
    let Some(cache) = known.cache else { return };
    let name = lower.split('@').next().unwrap_or(lower);
    let names = known
        .pins
        .iter()
        .filter(|pin| name.len() > 1 && pin.contains(name));
    offered.extend(names.take(3).map(|pin| Choice {
        deed: Deed::Open(Box::new(Route::Pins(PinsRoute::Pin {
            cache: cache.to_owned(),
            name: pin.clone(),
            revision: None,
        }))),
        group: "Pins",
        picture: Icon::Pin,
        path: None,
        words: pin.clone(),
        note: "a pin".to_owned(),
    }));
}

/// Caches by their names.
fn caches(lower: &str, known: &Known<'_>) -> Vec<Choice> {
    known
        .caches
        .iter()
        .filter(|cache| {
            cache.slug.contains(lower) || cache.title.to_ascii_lowercase().contains(lower)
        })
        .take(3)
        .map(|cache| Choice {
            deed: Deed::Open(Box::new(Route::of_cache(cache.slug.as_str()))),
            group: "Caches",
            picture: Icon::Caches,
            path: None,
            words: cache.title.clone(),
            note: format::counted(cache.paths, "path", "paths"),
        })
        .collect()
}

/// Whether each word of the text is in the title or in what else it is known by.
fn means(lower: &str, title: &str, also: &str) -> bool {
    let title = title.to_ascii_lowercase();
    lower
        .split_whitespace()
        .all(|word| title.contains(word) || also.contains(word))
}

fn places_and_acts(lower: &str, known: &Known<'_>) -> Vec<Choice> {
    let places = places(known.cache)
        .into_iter()
        .filter(|place| means(lower, place.word, place.also))
        .map(|place| Choice {
            group: "Go to",
            picture: place.picture,
            path: None,
            words: place.word.to_owned(),
            note: match (place.route.cache(), place.letter) {
                (_, letter) if letter != ' ' => format!("g {letter}"),
                (cache, _) => cache.unwrap_or_default().to_owned(),
            },
            deed: Deed::Open(Box::new(place.route)),
        });
    let acts = acts()
        .into_iter()
        .filter(|(_, _, words, also)| means(lower, words, also))
        .map(|(deed, picture, words, _)| Choice {
            deed,
            group: "Actions",
            picture,
            path: None,
            words: words.to_owned(),
            note: String::new(),
        });
    places.chain(acts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use snowbank_shared::api::{ContentStatus, SignatureStatus};

    const HASH: &str = "xynxqns12h5f1dcq1j5x3c3232454njk";

    fn row() -> PathRow {
        PathRow {
            path: format!("/nix/store/{HASH}-top-1.0"),
            hash: HASH.to_owned(),
            name: "top-1.0".to_owned(),
            nar_size: 176,
            file_size: None,
            closure_size: None,
            closure_paths: None,
            reference_count: 0,
            referrer_count: 0,
            signature: SignatureStatus::Valid,
            signature_problem: None,
            content: ContentStatus::NotChecked,
            signers: vec![],
            added_at: "2026-11-23T12:00:00Z".to_owned(),
            compression: "none".to_owned(),
            quarantined: false,
        }
    }

    fn offered(text: &str, known: &Known<'_>) -> Vec<(&'static str, Deed)> {
        let choices = choices(&crate::entry::read(text), known);
        assert!(choices.len() <= MOST);
        choices
            .into_iter()
            .map(|choice| (choice.group, choice.deed))
            .collect()
    }

    #[test]
    fn words_are_searched_first_then_come_paths_keys_places_and_acts() {
        let found = [("main".to_owned(), vec![row()], 1)];
        let keys = ["top-secret-1".to_owned(), "team-2".to_owned()];
        let pins = ["prod".to_owned(), "staging".to_owned()];
        let known = Known {
            cache: Some("main"),
            keys: &keys,
            pins: &pins,
            found: &found,
            answered: true,
            ..Known::default()
        };
        let groups: Vec<&str> = offered("top", &known)
            .iter()
            .map(|(group, _)| *group)
            .collect();
        assert_eq!(groups, ["Search", "Paths", "Keys"]);
        let dark = offered("dark", &known);
        assert!(
            dark.contains(&("Actions", Deed::Theme(Theme::Dark))),
            "{dark:?}"
        );
        assert!(
            dark.contains(&("Go to", Deed::Open(Box::new(Route::Preferences)))),
            "{dark:?}"
        );
        let pin = offered("Staging@4", &known);
        let page = Route::Pins(PinsRoute::Pin {
            cache: "main".to_owned(),
            name: "staging".to_owned(),
            revision: None,
        });
        assert!(
            pin.contains(&("Pins", Deed::Open(Box::new(page)))),
            "{pin:?}"
        );
        let key = offered("team-2:abcdef==", &known);
        assert!(key.iter().any(|(group, _)| *group == "Keys"), "{key:?}");
    }

    #[test]
    fn a_whole_hash_opens_the_page_of_its_path_here_or_where_it_is() {
        let known = Known {
            cache: Some("main"),
            ..Known::default()
        };
        let here = Deed::Open(Box::new(Route::path("main", HASH)));
        assert_eq!(offered(HASH, &known), [("Path", here.clone())]);
        let elsewhere = [
            ("main".to_owned(), vec![], 0),
            ("team".to_owned(), vec![row()], 1),
        ];
        let known = Known {
            found: &elsewhere,
            answered: true,
            ..known
        };
        let there = Deed::Open(Box::new(Route::path("team", HASH)));
        assert_eq!(offered(HASH, &known), [("Paths", there), ("Path", here)]);
    }

    #[test]
    fn a_list_is_looked_up_and_a_wrong_hash_offers_nothing() {
        let text = format!("/nix/store/{HASH}-top-1.0\nfpfpv5zl6l69d93iykc4lfd2z29s4kxz-leaf-1.0");
        let both = Route::Lookup {
            paths: vec![
                HASH.to_owned(),
                "fpfpv5zl6l69d93iykc4lfd2z29s4kxz".to_owned(),
            ],
        };
        assert_eq!(
            offered(&text, &Known::default()),
            [("Look up", Deed::Open(Box::new(both)))]
        );
        let many: String = (0..300)
            .map(|n| format!("{n:04}qns12h5f1dcq1j5x3c3232454njk\n"))
            .collect();
        let form = Route::Lookup { paths: vec![] };
        assert_eq!(
            offered(&many, &Known::default()),
            [("Look up", Deed::Open(Box::new(form)))]
        );
        assert!(offered("eynxqns12h5f1dcq1j5x3c3232454njk", &Known::default()).is_empty());
        assert!(offered("", &Known::default()).is_empty());
        assert!(offered("snb_0123456789abcdef", &Known::default()).is_empty());
    }
}

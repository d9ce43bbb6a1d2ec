//! The packages of a synthetic distribution: names, sizes and who depends on
//! whom. Fitted to Debian bookworm, 63,436 binary packages, which is a real
//! distribution of the same kind of thing (PERFORMANCE.md §4).

use std::collections::BTreeSet;

use super::random::{Quantiles, Random};

/// Bytes of the uncompressed archive.
const SIZES: Quantiles = Quantiles(&[
    (0.0, 96.0),
    (0.05, 2.0e4),
    (0.25, 6.5e4),
    (0.5, 2.3e5),
    (0.75, 1.23e6),
    (0.9, 6.2e6),
    (0.95, 1.66e7),
    (0.99, 8.7e7),
    (0.999, 4.2e8),
    (1.0, 3.0e9),
]);

/// How many other packages one refers to.
const REFERENCES: Quantiles = Quantiles(&[
    (0.0, 0.0),
    (0.1, 0.0),
    (0.25, 1.0),
    (0.5, 3.0),
    (0.75, 5.0),
    (0.9, 9.0),
    (0.95, 13.0),
    (0.99, 25.0),
    (0.999, 55.0),
    (1.0, 800.0),
]);

/// Suffixes of names with their shares.
const KINDS: [(&str, f64); 8] = [
    ("", 0.52),
    ("-dev", 0.08),
    ("-lib", 0.06),
    ("-doc", 0.04),
    ("-man", 0.05),
    ("-source", 0.09),
    (".patch", 0.05),
    (".tar.gz", 0.11),
];

/// Fetched sources refer to nothing.
const SOURCES: [&str; 3] = ["-source", ".patch", ".tar.gz"];

/// What everything is built on; glibc first, which most packages refer to.
const HUBS: [&str; 40] = [
    "glibc",
    "gcc",
    "bash",
    "zlib",
    "openssl",
    "ncurses",
    "readline",
    "coreutils",
    "perl",
    "python3",
    "xz",
    "bzip2",
    "zstd",
    "libffi",
    "expat",
    "glib",
    "libxml2",
    "sqlite",
    "pcre2",
    "curl",
    "gmp",
    "libidn2",
    "libunistring",
    "attr",
    "acl",
    "gnugrep",
    "gnused",
    "gawk",
    "findutils",
    "util-linux",
    "systemd",
    "dbus",
    "libx11",
    "libxcb",
    "freetype",
    "fontconfig",
    "cairo",
    "pango",
    "gtk4",
    "qtbase",
];

const PREFIXES: [&str; 8] = [
    "python3.12-",
    "perl5.40-",
    "haskell-",
    "node-",
    "rust_",
    "texlive-",
    "emacs-",
    "ocaml5.2-",
];

const SYLLABLES: [&str; 56] = [
    "lib", "core", "net", "py", "gl", "x", "web", "rust", "go", "ha", "skell", "text", "doc",
    "dev", "tool", "util", "fs", "db", "ssl", "crypt", "font", "icon", "theme", "lang", "server",
    "client", "proto", "data", "json", "xml", "image", "audio", "video", "math", "sci", "graph",
    "plot", "test", "mock", "build", "cmake", "meson", "kernel", "driver", "qt", "gtk", "kde",
    "gnome", "emacs", "vim", "node", "perl", "ruby", "php", "ocaml", "elm",
];

/// Share of packages that are whole systems, with hundreds of references.
const SYSTEMS: f64 = 0.0005;

/// One package; its versions share all of this.
#[derive(Debug, Clone)]
pub(super) struct Package {
    pub(super) name: String,
    /// What the name ends in, after the version.
    pub(super) suffix: &'static str,
    /// The first version; bumps count up the last part.
    pub(super) version: [u16; 3],
    /// Bytes of the archive; each version is within 3 % of it.
    pub(super) size: u64,
    /// Indices of other packages, all smaller than its own, increasing.
    pub(super) references: Vec<u32>,
}

/// The packages of a distribution of `count`, in an order in which references come first.
pub(super) fn packages(count: usize, random: &mut Random) -> Vec<Package> {
    let hubs = HUBS.len().min(count / 4).max(1);
    let systems = ((count as f64 * SYSTEMS).round() as usize).max(1);
    // Each package once, and once more for every reference to it: drawing from
    // this list is drawing by in-degree.
    let mut popular: Vec<u32> = Vec::with_capacity(count * 6);
    (0..count)
        .map(|index| {
            let is_system = index + systems >= count;
            let suffix = if index < hubs || is_system {
                ""
            } else {
                kind(random)
            };
            let mut package = Package {
                name: match HUBS.get(index) {
                    Some(hub) if index < hubs => (*hub).to_owned(),
                    _ if is_system => {
                        "nixos-system-".to_owned() + random.choose::<&str>(&SYLLABLES)
                    }
                    _ => name(random),
                },
                suffix,
                version: [
                    random.below(9) as u16,
                    random.below(40) as u16,
                    random.below(9) as u16,
                ],
                size: SIZES.by_ratio(random) as u64,
                references: Vec::new(),
            };
            if !SOURCES.contains(&suffix) {
                let degree = if is_system {
                    200 + random.below(601)
                } else {
                    (REFERENCES.linear(random) + 0.5) as usize
                };
                package.references = references(index, degree, hubs, &popular, random);
            }
            popular.extend(&package.references);
            popular.push(index as u32);
            package
        })
        .collect()
}

/// Makes all packages one closure, that of the last: a system needs environments, about one for
/// each hundred packages, and these need what nothing else does; some of it several of them.
pub(super) fn gather(packages: &mut [Package], random: &mut Random) {
    let Some(last) = packages.len().checked_sub(1) else {
        return;
    };
    let environments = (packages.len() / 100).max(1).min(last);
    let first = last - environments;
    for (at, package) in packages[first..last].iter_mut().enumerate() {
        package.name = format!("environment-{at}");
        package.suffix = "";
    }
    let mut wanted = vec![false; packages.len()];
    for package in packages.iter() {
        for &reference in &package.references {
            wanted[reference as usize] = true;
        }
    }
    let add = |package: &mut Package, reference: u32| {
        if let Err(at) = package.references.binary_search(&reference) {
            package.references.insert(at, reference);
        }
    };
    for (at, wanted) in wanted[..first].iter().enumerate() {
        if *wanted {
            continue;
        }
        let home = first + at % environments;
        add(&mut packages[home], at as u32);
        if random.chance(0.3) {
            add(&mut packages[first + random.below(environments)], at as u32);
        }
    }
    for environment in first..last {
        add(&mut packages[last], environment as u32);
    }
}

fn references(
    index: usize,
    degree: usize,
    hubs: usize,
    popular: &[u32],
    random: &mut Random,
) -> Vec<u32> {
    let mut chosen = BTreeSet::new();
    if index > 0 && random.chance(0.62) {
        chosen.insert(0);
    }
    // Drawn with repetition; the bound on draws ends the search for the last
    // of few in a small distribution.
    for _ in 0..degree.saturating_mul(20) {
        if chosen.len() >= degree.min(index) {
            break;
        }
        let draw = random.unit();
        chosen.insert(if draw < 0.30 {
            random.below(hubs.min(index)) as u32
        } else if draw < 0.85 {
            *random.choose(popular)
        } else {
            random.below(index) as u32
        });
    }
    chosen.into_iter().collect()
}

fn kind(random: &mut Random) -> &'static str {
    let mut left = random.unit();
    for (suffix, share) in KINDS {
        if left < share {
            return suffix;
        }
        left -= share;
    }
    ""
}

fn name(random: &mut Random) -> String {
    let mut name = String::new();
    if random.chance(0.35) {
        name.push_str(random.choose::<&str>(&PREFIXES));
    }
    for part in 0..*random.choose(&[1, 2, 2, 3]) {
        if part > 0 {
            name.push('-');
        }
        name.push_str(random.choose::<&str>(&SYLLABLES));
    }
    // Few syllables cannot name many packages.
    if random.chance(0.5) {
        name.push_str(&random.below(1000).to_string());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathered_packages_are_one_closure_with_much_in_common() {
        for count in [1, 2, 3, 150, 5_000] {
            let mut made = packages(count, &mut Random::new(5));
            gather(&mut made, &mut Random::new(6));
            let mut wanted_by = vec![0_u32; count];
            let mut reached = vec![false; count];
            reached[count - 1] = true;
            for at in (0..count).rev() {
                for &reference in &made[at].references {
                    assert!((reference as usize) < at, "references come first");
                    wanted_by[reference as usize] += 1;
                    reached[reference as usize] |= reached[at];
                }
                assert!(made[at].references.is_sorted());
            }
            assert!(reached.iter().all(|reached| *reached), "{count} packages");
            if count == 5_000 {
                let shared = wanted_by.iter().filter(|&&by| by > 1).count();
                assert!(shared > count / 3, "only {shared} are shared");
                assert!(made[count - 1].references.len() < 1_000);
            }
        }
    }
}

//! Which object a request names, and that it is one Nix may ask for.
//!
//! A path is percent-decoded once and has to be of one of the forms of PROTOCOL.md §1; what
//! is left may be a NAR, which is served only where a narinfo names it. Nothing else in the
//! bucket can be reached, whatever the path is spelled like.

use percent_encoding::percent_decode_str;
use snowbank_shared::store_path::{StorePath, StorePathHash};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The cache itself: `/{cache}` or `/{cache}/`.
    Cache,
    /// `nix-cache-info`
    CacheInfo,
    /// `{hash}.narinfo`
    Narinfo(StorePathHash),
    /// One of the objects beside.
    Side(Side, String),
    /// Perhaps a NAR, under this key.
    Nar(String),
}

/// The objects beside narinfos and NARs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `{hash}.ls`: the files of a NAR.
    Listing,
    /// `log/{drv}`
    Log,
    /// `debuginfo/{build id}`
    DebugInfo,
    /// `realisations/sha256:{hex}!{output}.doi`
    Realisation,
    /// `build-trace-v2/{drv}/{output}.doi`
    BuildTrace,
}

/// Length of a file name of hash and `.narinfo`.
const NARINFO: usize = 32 + ".narinfo".len();

/// The hash of `{hash}.narinfo`, without any allocation: the path of nearly every request.
pub fn narinfo(rest: &str) -> Option<StorePathHash> {
    if rest.len() != NARINFO {
        return None;
    }
    rest.strip_suffix(".narinfo")?.parse().ok()
}

/// What a path below `/{cache}/` asks for; `None` where nothing can be there.
pub fn parse(rest: &str) -> Option<Wanted> {
    if rest.is_empty() {
        return Some(Wanted::Cache);
    }
    if let Some(hash) = narinfo(rest) {
        return Some(Wanted::Narinfo(hash));
    }
    let key = decoded(rest)?;
    if key == "nix-cache-info" {
        return Some(Wanted::CacheInfo);
    }
    if let Some(hash) = narinfo(&key) {
        return Some(Wanted::Narinfo(hash));
    }
    if let Some(side) = side(&key) {
        return Some(Wanted::Side(side, key));
    }
    // Their folders hold nothing else.
    if ["log/", "debuginfo/", "realisations/", "build-trace-v2/"]
        .iter()
        .any(|folder| key.starts_with(folder))
        || key.ends_with(".narinfo")
    {
        return None;
    }
    Some(Wanted::Nar(key))
}

/// The key, where it is one that a cache can have: UTF-8 after one decoding, relative,
/// no empty, `.` or `..` part, nothing that is not printable ASCII, no backslash.
fn decoded(rest: &str) -> Option<String> {
    if rest.len() > 3 * 1024 {
        return None;
    }
    let escapes_are_whole = rest
        .split('%')
        .skip(1)
        .all(|after| after.len() >= 2 && after.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit));
    let key = percent_decode_str(rest)
        .decode_utf8()
        .ok()
        .filter(|_| escapes_are_whole)?;
    let fine = key.len() <= 1024
        && key
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && key.split('/').all(|part| !matches!(part, "" | "." | ".."));
    fine.then(|| key.into_owned())
}

fn side(key: &str) -> Option<Side> {
    if let Some(hash) = key.strip_suffix(".ls") {
        return hash.parse::<StorePathHash>().ok().map(|_| Side::Listing);
    }
    let (folder, name) = key.split_once('/')?;
    match folder {
        "log" => is_base_name(name).then_some(Side::Log),
        "debuginfo" => {
            let id = name.strip_suffix(".debug").unwrap_or(name);
            let hex = (2..=128).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            hex.then_some(Side::DebugInfo)
        }
        "realisations" => {
            let (derivation, output) = name.strip_suffix(".doi")?.split_once('!')?;
            let hash = derivation.strip_prefix("sha256:")?;
            let hex = hash.len() == 64
                && hash
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            (hex && is_output_name(output)).then_some(Side::Realisation)
        }
        "build-trace-v2" => {
            let (derivation, output) = name.strip_suffix(".doi")?.split_once('/')?;
            (is_base_name(derivation) && is_output_name(output)).then_some(Side::BuildTrace)
        }
        _ => None,
    }
}

fn is_base_name(name: &str) -> bool {
    name.parse::<StorePath>().is_ok()
}

fn is_output_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    (1..=211).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7";

    #[test]
    fn each_form_is_known() {
        let hash: StorePathHash = HASH.parse().expect("a hash");
        assert_eq!(parse(""), Some(Wanted::Cache));
        assert_eq!(parse("nix-cache-info"), Some(Wanted::CacheInfo));
        assert_eq!(
            parse(&format!("{HASH}.narinfo")),
            Some(Wanted::Narinfo(hash))
        );
        assert_eq!(
            parse(&format!("{HASH}%2enarinfo")),
            Some(Wanted::Narinfo(hash))
        );
        for (side, key) in [
            (Side::Listing, format!("{HASH}.ls")),
            (Side::Log, format!("log/{HASH}-a?b=c+d.drv")),
            (
                Side::DebugInfo,
                "debuginfo/02623eda209c26a59b1a8638ff7752f6b945c26b.debug".into(),
            ),
            (
                Side::DebugInfo,
                "debuginfo/02623eda209c26a59b1a8638ff7752f6b945c26b".into(),
            ),
            (
                Side::Realisation,
                format!("realisations/sha256:{}!out.doi", "0".repeat(64)),
            ),
            (
                Side::BuildTrace,
                format!("build-trace-v2/{HASH}-x.drv/out.doi"),
            ),
        ] {
            let escaped = key
                .replace('?', "%3F")
                .replace('!', "%21")
                .replace(':', "%3A")
                .replace('+', "%2B");
            assert_eq!(parse(&escaped), Some(Wanted::Side(side, key)));
        }
        assert_eq!(
            parse("nar/x.nar.xz"),
            Some(Wanted::Nar("nar/x.nar.xz".into()))
        );
        assert_eq!(
            parse("x.nar.xz"),
            Some(Wanted::Nar("x.nar.xz".into())),
            "caches in releases of a forge"
        );
    }

    #[test]
    fn nothing_else_can_be_reached() {
        for bad in [
            "..",
            "../x",
            "nar/../x",
            "nar/%2e%2e/x",
            "nar/%2E%2E%2Fx",
            "nar//x",
            "/nar/x",
            "%2fetc/passwd",
            "nar/./x",
            "nar/x%00.nar",
            "nar/x%0a",
            "nar/a b",
            "nar/x\\y",
            "nar/%5c..%5cx",
            "nar/%ff",
            "nar/%zz",
            "nar/%2",
            "nar/%",
            "log/",
            "log/x",
            "log/../x",
            "debuginfo/xyz",
            "debuginfo/a/b",
            "realisations/sha256:00!out.doi",
            "build-trace-v2/x/out.doi",
            ".narinfo",
            "abc.narinfo",
            "nar/",
            "é",
            "0C0DIXLHQ54YV4V0KWS1BSMBNRZ7M6P7.narinfo",
            "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee.narinfo",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse(&"a".repeat(1025)), None);
    }
}

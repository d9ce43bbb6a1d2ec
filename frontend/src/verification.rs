//! The server's word, checked: the narinfo as it lies is judged once more here,
//! by the same code as on the server. Pure, so that it is tested natively.

use snowbank_shared::api::{Key, PathDetail, SignatureStatus, SignatureVerdict};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::{KeyRing, KnownKey};
use snowbank_shared::store_path::StoreDir;

/// What this browser found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The path's word.
    pub status: SignatureStatus,
    /// Every signature, judged.
    pub signatures: Vec<SignatureVerdict>,
    /// The text that a signature covers, made of the narinfo's own fields.
    pub fingerprint: String,
}

/// Judges the bytes of a narinfo by these keys and the built-in upstream ones.
///
/// # Errors
/// Where the bytes are no narinfo, or a key is none, in words.
pub fn verify(narinfo: &[u8], store_dir: &str, keys: &[Key]) -> Result<Verification, String> {
    let store_dir: StoreDir = store_dir
        .parse()
        .map_err(|_| format!("“{store_dir}” is no store directory"))?;
    let narinfo = NarInfo::parse(narinfo, &store_dir).map_err(|error| error.to_string())?;
    let known = keys
        .iter()
        .map(|key| {
            Ok(KnownKey {
                key: key
                    .public_key
                    .parse()
                    .map_err(|error| format!("the key {}: {error}", key.name))?,
                purpose: key.purpose,
                state: key.state,
            })
        })
        .collect::<Result<Vec<_>, String>>()?;
    let judged = KeyRing::new(known).with_upstreams().judge(&narinfo);
    Ok(Verification {
        status: judged.status,
        signatures: judged.signatures,
        fingerprint: narinfo.fingerprint(),
    })
}

/// Where the server said something else, in words; empty where both agree.
pub fn disagreements(detail: &PathDetail, found: &Verification) -> Vec<String> {
    let mut disagreements = Vec::new();
    if detail.fingerprint != found.fingerprint {
        disagreements.push("the signed text is another one".to_owned());
    }
    if detail.row.signature != found.status {
        disagreements.push(format!(
            "the path is “{}” by the server and “{}” here",
            detail.row.signature, found.status
        ));
    }
    if detail.signatures.len() != found.signatures.len() {
        disagreements.push(format!(
            "the server lists {} signatures, the narinfo has {}",
            detail.signatures.len(),
            found.signatures.len()
        ));
    }
    for (told, seen) in detail.signatures.iter().zip(&found.signatures) {
        if told.signature != seen.signature {
            disagreements.push(format!("the signature by {} has another value", told.key));
        } else if told.status != seen.status {
            disagreements.push(format!(
                "the signature by {} is “{}” by the server and “{}” here",
                told.key, told.status, seen.status
            ));
        }
    }
    disagreements
}

/// The parts of a fingerprint with their names: version, store path, NarHash,
/// NarSize, references.
pub fn fingerprint_parts(fingerprint: &str) -> Vec<(&'static str, String)> {
    const NAMES: [&str; 5] = ["Version", "Store path", "NarHash", "NarSize", "References"];
    NAMES
        .into_iter()
        .zip(fingerprint.splitn(5, ';'))
        .map(|(name, part)| (name, part.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use snowbank_shared::api::{ContentStatus, KeyPurpose, KeyState, PathRow};

    use super::*;

    /// A narinfo that cache.nixos.org served (NixOS/nixpkgs#533028): its signature
    /// is right, and the NAR at its URL belonged to another package.
    const OPENAPV: &str = "StorePath: /nix/store/0mg3mag909yg8pk14cjsppxs2px7iqfv-openapv-0.2.1.2
URL: nar/1q42a29bjw701v658l1wppj4k8hgvv76b4xxj10dk7c2rzjxp4kw.nar.zst
Compression: zstd
FileHash: sha256:1fpzgy06x1fprdffidnnjjy1dm58gxjvih26nyvlgm0aay1j1hig
FileSize: 144430
NarHash: sha256:1gas028j4n2yial0csbcxzyfswwc8jb58is2x4mrblzx3zx5721y
NarSize: 797328
References: 0mg3mag909yg8pk14cjsppxs2px7iqfv-openapv-0.2.1.2 1bdzriipn18184zpwh2lfdabk2gqcgxn-glibc-2.42-61
Deriver: 1lcmlf8gfijqfb47249qwlha4lmvagx2-openapv-0.2.1.2.drv
Sig: cache.nixos.org-1:FsONxUGa/AiJw7Ke1hbEqEKOQjI2vMmNmmdLGW4oC7luUVhFm+ZSMKm+/johD9bTtXsAw2PDtxAMTJUfCzDUAA==
";

    fn told(found: &Verification) -> PathDetail {
        PathDetail {
            row: PathRow {
                path: String::new(),
                hash: String::new(),
                name: String::new(),
                nar_size: 797_328,
                file_size: None,
                closure_size: None,
                closure_paths: None,
                reference_count: 1,
                referrer_count: 0,
                signature: found.status,
                signature_problem: None,
                content: ContentStatus::NotChecked,
                signers: Vec::new(),
                added_at: String::new(),
                compression: String::new(),
                quarantined: false,
            },
            nar_hash: String::new(),
            file_hash: None,
            url: String::new(),
            deriver: None,
            deriver_present: false,
            system: None,
            ca: None,
            references: Vec::new(),
            signatures: found.signatures.clone(),
            fingerprint: found.fingerprint.clone(),
            oddities: Vec::new(),
            withheld: None,
            narinfo: OPENAPV.to_owned(),
            closure_file_size: None,
            added_size: 797_328,
            added_paths: 1,
            closure_missing: Vec::new(),
            pins: Vec::new(),
            held: None,
            reproduced_by: Vec::new(),
            conflicts: 0,
            disputed_by: Vec::new(),
            proven_at: None,
            revision: String::new(),
        }
    }

    #[test]
    fn a54_a_signature_of_an_upstream_key_is_valid_without_being_told_the_key() {
        let found = verify(OPENAPV.as_bytes(), "/nix/store", &[]).expect("a narinfo");
        assert_eq!(found.status, SignatureStatus::Valid);
        assert_eq!(disagreements(&told(&found), &found), Vec::<String>::new());
    }

    #[test]
    fn a56_a_signed_field_changed_is_invalid_and_an_unsigned_one_is_not() {
        let signed = OPENAPV.replace("NarSize: 797328", "NarSize: 797329");
        let found = verify(signed.as_bytes(), "/nix/store", &[]).expect("a narinfo");
        assert_eq!(found.status, SignatureStatus::Invalid);
        let unsigned = OPENAPV.replace("FileSize: 144430", "FileSize: 1");
        let found = verify(unsigned.as_bytes(), "/nix/store", &[]).expect("a narinfo");
        assert_eq!(found.status, SignatureStatus::Valid);
    }

    #[test]
    fn another_word_of_the_server_is_noticed() {
        let found = verify(OPENAPV.as_bytes(), "/nix/store", &[]).expect("a narinfo");
        let mut lying = told(&found);
        lying.signatures[0].status = SignatureStatus::Invalid;
        assert_eq!(disagreements(&lying, &found).len(), 1);
        lying.row.signature = SignatureStatus::Invalid;
        lying.fingerprint.push('x');
        lying.signatures.push(lying.signatures[0].clone());
        assert_eq!(disagreements(&lying, &found).len(), 4);
    }

    #[test]
    fn a_revoked_upstream_key_stays_revoked() {
        let revoked = Key {
            name: "cache.nixos.org-1".to_owned(),
            public_key: "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=".to_owned(),
            fingerprint: String::new(),
            purpose: KeyPurpose::Upstream,
            state: KeyState::Revoked,
            paths: 0,
        };
        let found = verify(OPENAPV.as_bytes(), "/nix/store", &[revoked]).expect("a narinfo");
        assert_eq!(found.status, SignatureStatus::ValidRevoked);
    }

    #[test]
    fn what_is_no_narinfo_says_why() {
        assert!(verify(b"<html>", "/nix/store", &[]).is_err());
    }

    #[test]
    fn a57_the_parts_of_a_fingerprint_have_names() {
        let parts = fingerprint_parts(
            "1;/nix/store/x-top-1.0;sha256:1m;176;/nix/store/2-mid-1.0,/nix/store/3-x",
        );
        assert_eq!(parts[1], ("Store path", "/nix/store/x-top-1.0".to_owned()));
        assert_eq!(parts[4].1, "/nix/store/2-mid-1.0,/nix/store/3-x");
        assert_eq!(parts.len(), 5);
    }
}

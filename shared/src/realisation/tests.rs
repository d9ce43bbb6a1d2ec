use super::*;
use crate::signature::{PublicKey, SecretKey};

/// Made by Nix 2.8 with `secret-key-files`.
const ID: &str = "sha256:27656e21ce0f8a5f1a7fcfc5d0a8cf53abf74d7bee3cae411c1413a9aeaa4a84!out";
const REAL: &str = r#"{"dependentRealisations":{"sha256:0c1813350576d8ebcc0f11a8bb1ff8ff42c0eb3ce9a56e530570f205b52fad31!out":"bxmmr41x9c9n77x15xklpqwpv1rrma88-leaf"},"id":"sha256:27656e21ce0f8a5f1a7fcfc5d0a8cf53abf74d7bee3cae411c1413a9aeaa4a84!out","outPath":"1kmm2nz24v3p4w1p9dwjmm8h24ffy373-top","signatures":["alice-1:tUD9L/AF+BMFZhvSpXIusdfkL+s97VEzoFm+xFMYHUUrXmEftMz2mGsd7m9BmjddGAmC4DGWEFT3FEWK4gJRDA=="]}"#;
const ALICE: &str = "alice-1:GFGQJrpWDxVbf35Ccc3dNL/ugRH/vmhP505hTyRm+XE=";

fn key() -> String {
    format!("realisations/{ID}.doi")
}

#[test]
fn one_of_real_nix_is_read_verified_and_printed_byte_for_byte() {
    let real = Realisation::parse(&key(), REAL.as_bytes()).expect("a realisation");
    assert_eq!(
        real.out_path().to_string(),
        "1kmm2nz24v3p4w1p9dwjmm8h24ffy373-top"
    );
    assert_eq!(real.to_json(), REAL);
    let alice: PublicKey = ALICE.parse().expect("a key");
    let [with, without] = &real.fingerprints()[..] else {
        panic!("two texts");
    };
    let signature = &real.signatures()[0];
    assert!(alice.verifies(with.as_bytes(), signature.bytes()));
    assert!(!alice.verifies(without.as_bytes(), signature.bytes()));
    assert_eq!(
        *without,
        format!(
            r#"{{"dependentRealisations":{{}},"id":"{ID}","outPath":"1kmm2nz24v3p4w1p9dwjmm8h24ffy373-top"}}"#
        )
    );
}

#[test]
fn the_newer_form_is_read_with_signatures_of_either_kind() {
    let secret = SecretKey::generate("bob-1", [3; 32]).expect("a key");
    let path = "1kmm2nz24v3p4w1p9dwjmm8h24ffy373-top";
    let derivation = "cqrj4qz1fb3881siab2vgjv73710xwc2-top.drv";
    let key = format!("build-trace-v2/{derivation}/out.doi");
    let bare = format!(r#"{{"outPath":"{path}","signatures":[]}}"#);
    let bare = Realisation::parse(&key, bare.as_bytes()).expect("a build trace");
    let texts = bare.fingerprints();
    assert_eq!(
        texts,
        [format!(
            r#"{{"key":{{"drvPath":"{derivation}","outputName":"out"}},"value":{{"outPath":"{path}"}}}}"#
        )]
    );
    let signature = secret.sign(texts[0].as_bytes());
    let signed = bare.and_signature(signature.clone());
    let printed = signed.to_json();
    assert!(
        printed.contains(r#""keyName":"bob-1","sig":""#),
        "{printed}"
    );
    assert_eq!(
        Realisation::parse(&key, printed.as_bytes()),
        Ok(signed.clone())
    );
    let as_text = format!(r#"{{"outPath":"{path}","signatures":["{signature}"]}}"#);
    assert_eq!(
        Realisation::parse(&key, as_text.as_bytes()),
        Ok(signed.clone())
    );
    assert_eq!(signed.clone().and_signature(signature), signed);
}

#[test]
fn what_is_not_of_its_form_is_refused() {
    let twice = REAL.replace(
        r#""dependentRealisations":{"#,
        r#""dependentRealisations":{"sha256:0c1813350576d8ebcc0f11a8bb1ff8ff42c0eb3ce9a56e530570f205b52fad31!out":"bxmmr41x9c9n77x15xklpqwpv1rrma88-other","#,
    );
    for (what, text) in [
        ("nothing", String::new()),
        ("not JSON", "<html>".to_owned()),
        ("more behind it", format!("{REAL}{{}}")),
        ("another id", REAL.replace("27656e21", "37656e21")),
        ("a field more", REAL.replacen('{', r#"{"x":1,"#, 1)),
        (
            "a field twice",
            REAL.replacen('{', &format!(r#"{{"id":"{ID}","#), 1),
        ),
        ("a dependency twice", twice),
        (
            "a dependency without an id",
            REAL.replace("sha256:0c18", "sha256:zz18"),
        ),
        (
            "a full path",
            REAL.replace("1kmm2nz2", "/nix/store/1kmm2nz2"),
        ),
        ("no path", REAL.replace("outPath", "inPath")),
        ("a bad signature", REAL.replace("gJRDA==", "g==")),
        ("a signature without a name", REAL.replace("alice-1:", ":")),
    ] {
        assert!(
            Realisation::parse(&key(), text.as_bytes()).is_err(),
            "{what}"
        );
    }
    let many = vec!["\"a\""; MAX_SIGNATURES + 1].join(",");
    let many = format!(
        r#"{{"id":"{ID}","outPath":"1kmm2nz24v3p4w1p9dwjmm8h24ffy373-top","signatures":[{many}]}}"#
    );
    assert_eq!(
        Realisation::parse(&key(), many.as_bytes()),
        Err(RealisationError::TooManySignatures)
    );
    for other in [
        "realisations/x.doi",
        "build-trace-v2/cqrj4qz1fb3881siab2vgjv73710xwc2-top/out.doi",
        "build-trace-v2/cqrj4qz1fb3881siab2vgjv73710xwc2-top.drv/a/b.doi",
        "log/x",
    ] {
        assert_eq!(
            Realisation::parse(other, REAL.as_bytes()),
            Err(RealisationError::Key),
            "{other}"
        );
    }
}

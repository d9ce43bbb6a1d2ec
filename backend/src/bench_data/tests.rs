//! The generator against the figures it is fitted to (PERFORMANCE.md §4), and
//! against the project's own readers.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};
use snowbank_shared::api::{KeyPurpose, KeyState, SignatureStatus};
use snowbank_shared::hash::nix32;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::{KeyRing, KnownKey};
use snowbank_shared::store_path::StoreDir;

use super::*;

fn hash_of(plan: &Plan) -> (String, Summary) {
    let mut hasher = Sha256::new();
    let mut objects = plan.objects().unwrap();
    for object in &mut objects {
        for part in [
            object.key.as_bytes(),
            &object.body,
            object.content_encoding.unwrap_or("").as_bytes(),
        ] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(object.modified.to_le_bytes());
    }
    (nix32::encode(&hasher.finalize()), objects.summary().clone())
}

/// All defects, few of each.
fn defects() -> DefectCounts {
    DefectCounts {
        dangling: 3,
        missing_nar: 2,
        wrong_nar_hash: 4,
        bad_signature: 5,
        unknown_key: 6,
        content_addressed: 7,
        long_name: 8,
        shared_nar: 9,
        encoded: 10,
        crlf: 2,
        odd_spacing: 3,
        empty: 1,
        foreign: 10,
    }
}

#[test]
fn the_same_numbers_make_the_same_bytes() {
    let plan = Plan::new(500, 7);
    let (hash, _) = hash_of(&plan);
    assert_eq!(hash, "0wz64xx2jy2qgrbl6448lf3whc2sn72809821h00wdb6i1lhlvg5");
    assert_eq!(hash_of(&plan).0, hash);
    assert_ne!(hash_of(&Plan::new(500, 8)).0, hash);
    assert_ne!(hash_of(&Plan::new(501, 7)).0, hash);
}

#[test]
fn defects_change_nothing_else() {
    let plain: HashSet<Vec<u8>> = Plan::new(1000, 3)
        .objects()
        .unwrap()
        .map(|object| object.body)
        .collect();
    let plan = Plan {
        defects: DefectCounts {
            bad_signature: 20,
            unknown_key: 10,
            ..DefectCounts::default()
        },
        ..Plan::new(1000, 3)
    };
    let different = plan
        .objects()
        .unwrap()
        .filter(|object| !plain.contains(&object.body))
        .count();
    assert_eq!(different, 30);
}

fn quantile<T: Copy + Ord>(values: &mut [T], share: f64) -> T {
    values.sort_unstable();
    values[((values.len() - 1) as f64 * share) as usize]
}

/// `value` is within `slack` of `expected`, as a ratio.
#[track_caller]
fn about(what: &str, value: f64, expected: f64, slack: f64) {
    assert!(
        value >= expected / slack && value <= expected * slack,
        "{what}: {value}, expected about {expected}"
    );
}

#[test]
fn distributions_are_those_of_the_table() {
    let plan = Plan {
        signatures: Signatures::Fake,
        ..Plan::new(50_000, 1)
    };
    let (mut sizes, mut degrees, mut narinfo_bytes, mut count) = (Vec::new(), Vec::new(), 0, 0_u64);
    let mut ids: HashMap<[u8; 32], u32> = HashMap::new();
    let mut graph: Vec<Vec<u32>> = Vec::new();
    let mut names: HashMap<String, u32> = HashMap::new();
    let mut file_bytes = 0;
    for object in plan
        .objects()
        .unwrap()
        .filter(|object| object.key.ends_with(".narinfo"))
    {
        let narinfo = NarInfo::parse(&object.body, &StoreDir::default()).unwrap();
        let id = graph.len() as u32;
        ids.insert(narinfo.store_path().hash().to_ascii(), id);
        graph.push(
            narinfo
                .references()
                .map(|reference| ids[&reference.hash().to_ascii()])
                .collect(),
        );
        let name = narinfo.store_path().name();
        let versionless = name
            .rsplit_once('-')
            .filter(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()));
        *names
            .entry(versionless.map_or(name, |(name, _)| name).to_owned())
            .or_default() += 1;
        sizes.push(narinfo.nar_size());
        degrees.push(narinfo.references().len());
        file_bytes += narinfo.file_size().unwrap();
        narinfo_bytes += object.body.len();
        count += 1;
    }
    assert_eq!(count, 50_000);
    let mean = |values: &[u64]| values.iter().sum::<u64>() as f64 / values.len() as f64;
    about(
        "narinfo bytes",
        narinfo_bytes as f64 / count as f64,
        790.0,
        1.2,
    );
    about("NarSize p50", quantile(&mut sizes, 0.5) as f64, 227e3, 1.25);
    about("NarSize p99", quantile(&mut sizes, 0.99) as f64, 91e6, 1.5);
    about("NarSize mean", mean(&sizes), 6.1e6, 1.5);
    about(
        "FileSize ratio",
        file_bytes as f64 / sizes.iter().sum::<u64>() as f64,
        0.285,
        1.15,
    );
    let mean_degree = degrees.iter().sum::<usize>() as f64 / count as f64;
    about("references mean", mean_degree, 5.1, 1.25);
    for (share, expected) in [(0.5, 3), (0.75, 6), (0.9, 11), (0.95, 18), (0.99, 38)] {
        about(
            "references",
            quantile(&mut degrees, share) as f64,
            f64::from(expected),
            1.5,
        );
    }

    let mut in_degrees = vec![0_u32; graph.len()];
    for (id, references) in graph.iter().enumerate() {
        for &reference in references {
            in_degrees[reference as usize] += u32::from(reference as usize != id);
        }
    }
    about(
        "in-degree p99",
        f64::from(quantile(&mut in_degrees, 0.99)),
        28.0,
        2.0,
    );
    about(
        "most wanted",
        f64::from(quantile(&mut in_degrees, 1.0)) / count as f64,
        0.087,
        2.0,
    );

    let mut random = random::Random::new(5);
    let mut closures: Vec<usize> = (0..2000)
        .map(|_| closure(&graph, random.below(graph.len()) as u32))
        .collect();
    about(
        "closure mean",
        closures.iter().sum::<usize>() as f64 / 2000.0,
        33.0,
        2.0,
    );
    about(
        "closure p50",
        quantile(&mut closures, 0.5) as f64,
        18.0,
        2.0,
    );
    about(
        "closure p99",
        quantile(&mut closures, 0.99) as f64,
        223.0,
        2.0,
    );
    let widest = (0..graph.len() as u32)
        .filter(|&id| graph[id as usize].len() >= 200)
        .map(|id| closure(&graph, id))
        .max();
    assert!(
        widest.unwrap() >= 1000,
        "the widest system has {widest:?} paths"
    );

    let versions = count as f64 / names.len() as f64;
    assert!(
        (5.0..=25.0).contains(&versions),
        "{versions} versions a name"
    );
}

fn closure(graph: &[Vec<u32>], root: u32) -> usize {
    let mut seen = HashSet::from([root]);
    let mut front = vec![root];
    while let Some(id) = front.pop() {
        front.extend(
            graph[id as usize]
                .iter()
                .filter(|&&reference| seen.insert(reference)),
        );
    }
    seen.len()
}

#[test]
fn defects_are_there_so_many_times_exactly() {
    let plan = Plan {
        nars: 40,
        nar_max: 20_000,
        compression: CodecChoice::Mixed,
        defects: defects(),
        ..Plan::new(400, 11)
    };
    let mut objects = plan.objects().unwrap();
    let all: HashMap<String, BenchObject> = objects
        .by_ref()
        .map(|object| (object.key.clone(), object))
        .collect();
    let summary = objects.summary().clone();
    assert_eq!(summary.objects, all.len() as u64, "no key twice");

    let ring = KeyRing::new(summary.public_keys.iter().map(|key| KnownKey {
        key: key.clone(),
        purpose: KeyPurpose::Contributor,
        state: KeyState::Active,
    }));
    let mut statuses: HashMap<SignatureStatus, u64> = HashMap::new();
    let (mut parsed, mut malformed, mut dangling, mut long, mut urls) =
        (0, 0, 0, 0, HashMap::new());
    let (mut wrong, mut bodies) = (0, 0);
    for object in all
        .values()
        .filter(|object| object.key.ends_with(".narinfo"))
    {
        let body = match object.content_encoding {
            None => object.body.clone(),
            Some("zstd") => zstd::decode_all(object.body.as_slice()).unwrap(),
            Some("gzip") => {
                let mut out = Vec::new();
                std::io::copy(
                    &mut flate2::read::GzDecoder::new(object.body.as_slice()),
                    &mut out,
                )
                .unwrap();
                out
            }
            Some(_) => {
                let mut out = Vec::new();
                brotli::BrotliDecompress(&mut object.body.as_slice(), &mut out).unwrap();
                out
            }
        };
        let Ok(narinfo) = NarInfo::parse_strict(&body, &StoreDir::default()) else {
            malformed += 1;
            continue;
        };
        parsed += 1;
        assert_eq!(object.key, narinfo.store_path().hash().narinfo_key());
        *statuses.entry(ring.judge(&narinfo).status).or_default() += 1;
        dangling += narinfo
            .references()
            .filter(|reference| !all.contains_key(&reference.hash().narinfo_key()))
            .count();
        long += usize::from(narinfo.store_path().name().len() == 211);
        *urls.entry(narinfo.url().to_owned()).or_insert(0) += 1;
        if let Some(nar) = all.get(narinfo.url()) {
            bodies += 1;
            assert_eq!(Some(nar.body.len() as u64), narinfo.file_size());
            assert_eq!(
                Some(nix32::encode(&Sha256::digest(&nar.body))),
                narinfo.file_hash().map(|hash| hash.to_nix32())
            );
            let nar = decompressed(narinfo.compression(), &nar.body);
            assert_eq!(nar.len() as u64, narinfo.nar_size());
            wrong += usize::from(Sha256::digest(&nar)[..] != narinfo.nar_hash().0);
            check_nar(&nar, &narinfo);
        }
    }
    assert_eq!((parsed, malformed), (400, 6));
    assert_eq!(
        (
            summary.paths,
            summary.malformed,
            summary.foreign,
            summary.encoded
        ),
        (400, 6, 10, 10)
    );
    assert_eq!((dangling, long, wrong), (3, 8, 4));
    assert_eq!(bodies, 38);
    assert_eq!(summary.nars, 38);
    assert_eq!(
        urls.values()
            .filter(|&&count| count > 1)
            .map(|count| count - 1)
            .sum::<i32>(),
        9
    );
    assert_eq!(statuses[&SignatureStatus::Invalid], 5);
    assert_eq!(statuses[&SignatureStatus::UnknownKey], 6);
    assert_eq!(statuses[&SignatureStatus::NotNeeded], 7);
    assert_eq!(statuses[&SignatureStatus::Unsigned], summary.unsigned);
    assert_eq!(statuses[&SignatureStatus::Valid], summary.signed);
    assert_eq!(
        (
            summary.bad_signature,
            summary.unknown_key,
            summary.content_addressed
        ),
        (5, 6, 7)
    );
    assert_eq!(summary.signed + summary.unsigned + 18, 400);
    let encodings: HashSet<_> = all
        .values()
        .filter_map(|object| object.content_encoding)
        .collect();
    assert_eq!(encodings, HashSet::from(["zstd", "gzip", "br"]));
}

fn decompressed(compression: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match compression {
        "none" => return bytes.to_vec(),
        "xz" => std::io::copy(&mut xz2::read::XzDecoder::new(bytes), &mut out),
        "zstd" => std::io::copy(&mut zstd::Decoder::new(bytes).unwrap(), &mut out),
        "bzip2" => std::io::copy(&mut bzip2::read::BzDecoder::new(bytes), &mut out),
        other => panic!("{other}"),
    }
    .unwrap();
    out
}

/// The archive is one, and mentions what its narinfo declares.
fn check_nar(nar: &[u8], narinfo: &NarInfo) {
    let mut parser = snowbank_shared::nar::NarParser::new();
    parser.push(nar, &mut |_| {}).unwrap();
    parser.finish().unwrap();
    let declared: Vec<_> = narinfo
        .references()
        .map(|reference| reference.hash())
        .collect();
    let mut scanner = snowbank_shared::nar::ReferenceScanner::new(declared.iter().copied());
    scanner.push(nar);
    assert_eq!(scanner.missing().count(), 0);
}

#[test]
fn archives_compress_as_packages_do() {
    let nar = nar_body::nar(1, 4 << 20, &[]).unwrap();
    about("size", nar.len() as f64, f64::from(4 << 20), 1.01);
    for (codec, slack) in [(Codec::Xz, 1.25), (Codec::Zstd, 1.35), (Codec::Bzip2, 1.35)] {
        about(
            codec.name(),
            codec.compress(&nar).len() as f64 / nar.len() as f64,
            0.31,
            slack,
        );
    }
}

#[test]
fn plans_that_cannot_be_are_refused() {
    for plan in [
        Plan::new(0, 1),
        Plan {
            nars: 11,
            ..Plan::new(10, 1)
        },
        Plan {
            defects: DefectCounts {
                dangling: 6,
                ..DefectCounts::default()
            },
            ..Plan::new(10, 1)
        },
        Plan {
            defects: DefectCounts {
                missing_nar: 1,
                ..DefectCounts::default()
            },
            ..Plan::new(10, 1)
        },
        Plan {
            defects: DefectCounts {
                dangling: u64::MAX,
                long_name: 1,
                ..DefectCounts::default()
            },
            ..Plan::new(10, 1)
        },
    ] {
        assert!(plan.objects().is_err(), "{plan:?}");
    }
    for count in 1..60 {
        assert_eq!(
            Plan::new(count, 1).objects().unwrap().count() as u64,
            count + 1
        );
    }
}

#[test]
fn a_folder_holds_every_object() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        nars: 5,
        nar_max: 10_000,
        defects: DefectCounts {
            foreign: 5,
            encoded: 4,
            ..DefectCounts::default()
        },
        keeps_encoding: false,
        ..Plan::new(50, 1)
    };
    let summary = to_folder(&plan, folder.path()).unwrap();
    for object in plan.objects().unwrap() {
        let path = folder.path().join(&object.key);
        assert_eq!(std::fs::read(&path).unwrap(), object.body);
        let modified = path
            .metadata()
            .unwrap()
            .modified()
            .unwrap()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        assert_eq!(modified.as_secs(), object.modified);
    }
    assert_eq!(
        (
            summary.paths,
            summary.nars,
            summary.foreign,
            summary.encoded
        ),
        (50, 5, 5, 4)
    );
    let again = to_folder(&plan, folder.path()).unwrap_err().to_string();
    assert!(again.contains("not empty"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_holds_every_object() {
    use crate::bucket::embedded::{EmbeddedConfig, EmbeddedS3};
    use crate::bucket::{Bucket, BucketConfig, CredentialSource, Credentials};

    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig {
        durable: false,
        ..EmbeddedConfig::new()
    }
    .bucket("bench", folder.path());
    let server = EmbeddedS3::start(config).await.unwrap();
    let read = CredentialSource::Static {
        access_key_id: server.credentials().access_key.clone(),
        secret_access_key: server.credentials().secret_key.clone(),
        session_token: None,
    };
    let bucket = Bucket::connect(&BucketConfig {
        bucket: "bench".to_owned(),
        endpoint: Some(server.endpoint()),
        credentials: Credentials {
            read,
            ..Credentials::default()
        },
        ..BucketConfig::default()
    })
    .await
    .unwrap();
    let defects = DefectCounts {
        foreign: 5,
        encoded: 3,
        ..DefectCounts::default()
    };
    let plan = Plan {
        nars: 5,
        nar_max: 10_000,
        defects,
        ..Plan::new(60, 1)
    };
    let summary = to_bucket(&plan, &bucket).await.unwrap();
    assert_eq!(
        (
            summary.paths,
            summary.nars,
            summary.foreign,
            summary.encoded
        ),
        (60, 5, 5, 3)
    );
    for expected in plan.objects().unwrap() {
        let object = bucket.get(&expected.key).await.unwrap();
        assert_eq!(
            object.content_encoding.as_deref(),
            expected.content_encoding,
            "{}",
            expected.key
        );
        assert_eq!(
            object.body.collect(10 << 20).await.unwrap(),
            expected.body,
            "{}",
            expected.key
        );
    }
    let again = to_bucket(&plan, &bucket).await.unwrap_err().to_string();
    assert!(again.contains("not empty"), "{again}");
}

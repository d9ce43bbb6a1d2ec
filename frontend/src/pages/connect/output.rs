//! What the generator writes, as the page draws it: files with their paths, what each line
//! means, and what to run before and after.

use snowbank_shared::api::Visibility;
use snowbank_shared::api::connect::TestedCache;
use snowbank_shared::nix_conf::{ClientSettings, SubstituterUrl};
use snowbank_shared::route::{
    ConnectAccess, ConnectExtra, ConnectFlavour, ConnectInstaller, ConnectQuery, ConnectScope,
    ConnectTarget,
};
use snowbank_shared::snippets::{
    self, Access, Audience, Extras, Flavour, GithubInstaller, Inputs, Scope, Step, System, Target,
};

use super::choose::Known;
use super::other;
use crate::format::sentence;

/// Whose file it is where there are two people.
pub const FOR_ADMIN: &str = "For the admin";

/// Everything for one choice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// The files, the one to begin with first.
    pub files: Vec<OutputFile>,
    /// What has to be known before: title and words.
    pub warnings: Vec<(String, String)>,
    /// What is good to know.
    pub notes: Vec<String>,
    /// How to put it in force.
    pub apply: Vec<Block>,
    /// How to see that it is.
    pub check: Vec<Block>,
    /// How to take it back.
    pub undo: Vec<Block>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// Whose it is: `For the admin`; empty where there is but one person.
    pub who: &'static str,
    /// Its path, as the title.
    pub path: String,
    /// Its text.
    pub text: String,
    /// What its lines mean, by the line's number from 1.
    pub notes: Vec<(usize, String)>,
    /// Whether it goes into a file that is there, so that merging helps.
    pub merges: bool,
}

impl OutputFile {
    /// The name under which it is saved.
    pub fn name(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.to_owned()
    }
}

/// Words, or something to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A sentence or two.
    Words(String),
    /// A command or a piece of a file, and what it is.
    Code(&'static str, String),
}

/// What is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Caches of this server.
    pub known: &'a [Known],
    /// Caches of others.
    pub others: &'a [TestedCache],
    /// What is chosen.
    pub query: &'a ConnectQuery,
    /// Where the lines go.
    pub target: ConnectTarget,
    /// What runs on the machine.
    pub system: System,
}

/// What is written for some caches.
///
/// # Errors
/// Where it cannot be written: why.
pub fn output(wish: Wish<'_>) -> Result<Output, String> {
    let (inputs, warnings) = inputs(wish)?;
    let target: Target = wish
        .target
        .as_str()
        .parse()
        .map_err(|_| "This target is not known.".to_owned())?;
    let filled = snippets::fill(target, &inputs).map_err(|why| sentence(&why.to_string()))?;
    let for_two = filled
        .files
        .iter()
        .any(|file| file.audience == Audience::Admin);
    let files = filled.files.into_iter().map(|file| OutputFile {
        who: match file.audience {
            Audience::Admin => FOR_ADMIN,
            Audience::You if for_two => "For you",
            Audience::You => "",
        },
        text: file.text(),
        notes: (1..)
            .zip(&file.lines)
            .filter(|(_, line)| !line.why.is_empty())
            .map(|(number, line)| (number, line.why.clone()))
            .collect(),
        merges: file.path.ends_with("nix.conf") || file.path.ends_with("nix.custom.conf"),
        path: file.path,
    });
    Ok(Output {
        files: files.collect(),
        warnings,
        notes: filled.notes,
        apply: blocks(filled.apply),
        check: blocks(filled.check),
        undo: blocks(filled.undo),
    })
}

fn blocks(steps: Vec<Step>) -> Vec<Block> {
    steps
        .into_iter()
        .flat_map(|step| {
            let words = (!step.words.is_empty()).then_some(Block::Words(step.words));
            let code = step.command.map(|command| Block::Code("Command", command));
            [words, code].into_iter().flatten()
        })
        .collect()
}

/// The inputs of a template, and what of the choice cannot be.
fn inputs(wish: Wish<'_>) -> Result<(Inputs, Vec<(String, String)>), String> {
    let query = wish.query;
    let has = |extra| query.extras.contains(&extra);
    let asked_at = |settings: ClientSettings| match query.priority {
        Some(priority) => settings.with_priority(priority),
        None => settings,
    };
    let mut warnings = Vec::new();
    let mut chosen = Vec::new();
    for Known { cache, facts } in wish.known {
        let bucket = bucket(facts.bucket.as_deref());
        let straight = query.access == ConnectAccess::S3;
        if straight || has(ConnectExtra::Bucket) {
            warnings.extend(about_bucket(&cache.title, bucket.as_ref()));
        }
        if cache.keys.is_empty() {
            warnings.push((
                format!("No key: {}", cache.title),
                "This cache has no key of its own. Clients take from it only what is content-addressed, or signed by a key they already trust.".to_owned(),
            ));
        }
        let settings = super::settings(std::slice::from_ref(cache))?;
        let (settings, bucket) = match bucket {
            Some(bucket) if straight => (settings.read_at(bucket), None),
            bucket => (settings, bucket.filter(|_| has(ConnectExtra::Bucket))),
        };
        chosen.push(snippets::Cache {
            slug: cache.slug.clone(),
            title: cache.title.clone(),
            page: facts.page.clone(),
            settings: asked_at(settings),
            bucket,
            foreign: false,
        });
    }
    for other in wish.others {
        chosen.push(snippets::Cache {
            slug: "other".to_owned(),
            title: other::title(other),
            page: other.url.clone(),
            settings: asked_at(other::settings(other)?),
            bucket: None,
            foreign: true,
        });
    }
    let differs = query.priority.is_some() || query.access == ConnectAccess::S3;
    let handed_out = matches!(
        wish.target,
        ConnectTarget::Install | ConnectTarget::NixOsFlake
    );
    if differs && handed_out {
        warnings.push((
            "Address and priority are those of the server".to_owned(),
            "The install script and the flake are the same for everybody: with them each cache is read through this server, in the place that it says itself.".to_owned(),
        ));
    }
    let private = wish
        .known
        .iter()
        .any(|known| known.cache.visibility != Visibility::Public);
    let inputs = Inputs {
        caches: chosen,
        system: wish.system,
        installer: match query.installer {
            ConnectInstaller::InstallNix => GithubInstaller::InstallNix,
            ConnectInstaller::Determinate => GithubInstaller::Determinate,
            ConnectInstaller::Quick => GithubInstaller::Quick,
        },
        scope: match query.scope {
            ConnectScope::Unknown => Scope::Unknown,
            ConnectScope::Admin => Scope::Admin,
            ConnectScope::User => Scope::User,
            ConnectScope::Single => Scope::SingleUser,
            ConnectScope::Ci => Scope::CiRunner,
        },
        flavour: match query.flavour {
            ConnectFlavour::Nix => Flavour::Nix,
            ConnectFlavour::Determinate => Flavour::Determinate,
            ConnectFlavour::Lix => Flavour::Lix,
            ConnectFlavour::Old => Flavour::Old,
        },
        access: match query.access {
            ConnectAccess::Auto if private => Access::Token,
            ConnectAccess::Auto | ConnectAccess::Public => Access::Public,
            ConnectAccess::Token => Access::Token,
            ConnectAccess::S3 => Access::S3,
        },
        // A token is made and shown beside, once; the files hold a word in its place.
        token: None,
        // `nix_conf::block` knows lines with these values as ours and removes them with the block.
        extras: Extras {
            connect_timeout: has(ConnectExtra::Timeout).then_some(5),
            fallback: has(ConnectExtra::Fallback),
            negative_ttl: has(ConnectExtra::Misses).then_some(1),
        },
    };
    Ok((inputs, warnings))
}

/// The bucket as a substituter, as the server gives it.
fn bucket(address: Option<&str>) -> Option<SubstituterUrl> {
    address?.parse().ok()
}

/// What one has to know of a cache's bucket before it is asked second.
fn about_bucket(title: &str, bucket: Option<&SubstituterUrl>) -> Option<(String, String)> {
    let Some(bucket) = bucket else {
        return Some((
            format!("The bucket of {title} cannot be a substituter"),
            "Machines read the cache through this server. Its bucket is a folder here, or behind an endpoint without https, which only the server reaches.".to_owned(),
        ));
    };
    bucket.as_str().contains("endpoint=https://").then(|| {
        (
            format!("The bucket of {title} needs Nix 2.33 or newer"),
            "Its endpoint has a port, and older versions read such an endpoint otherwise. Give those the server's own address.".to_owned(),
        )
    })
}

/// The first file of a target, with all else by default.
pub fn first_text(
    known: &[Known],
    others: &[TestedCache],
    target: ConnectTarget,
) -> Option<String> {
    let output = output(Wish {
        known,
        others,
        query: &ConnectQuery::default(),
        target,
        system: System::Any,
    })
    .ok()?;
    output.files.into_iter().next().map(|file| file.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_offered_as_the_server_gives_it() {
        assert!(bucket(None).is_none() && about_bucket("team", None).is_some());
        let plain = bucket(Some("s3://team/nix?endpoint=s3.example.org&region=x"));
        assert!(plain.is_some() && about_bucket("team", plain.as_ref()).is_none());
        let port = bucket(Some("s3://team?endpoint=https://minio.example.org:9000"));
        let (title, _) = about_bucket("team", port.as_ref()).expect("a warning");
        assert!(title.contains("2.33"), "{title}");
    }

    #[test]
    fn the_bucket_is_read_straight_or_second_as_it_is_chosen() {
        let key = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
        let cache = serde_json::json!({
            "slug": "team", "title": "team", "url": "https://cache.example.org/team",
            "store_dir": "/nix/store", "priority": 50, "visibility": "public", "paths": 0,
            "stored_bytes": null, "nar_bytes": 0, "signatures": [], "findings": 0,
            "signing": "counter-sign", "upstreams": [], "source": "s3://team",
            "keys": [{"name": "team-1", "public_key": key, "fingerprint": "", "purpose": "cache",
                "state": "active", "paths": 0}],
            "index": {"revision": "r", "as_of": null, "state": "ready", "progress": null, "error": null, "sweep_seconds": 60},
            "recent": {"paths": [], "nar_bytes": 0, "last_added_at": null},
            "served": {"since": "", "hits": 0, "misses": 0, "nar_bytes": 0}
        });
        let known = Known {
            cache: serde_json::from_value(cache).expect("a cache"),
            facts: snowbank_shared::api::connect::ConnectCache {
                slug: "team".to_owned(),
                page: "https://console.example.org/c/team".to_owned(),
                bucket: Some("s3://team?region=x".to_owned()),
                former_keys: Vec::new(),
                signs: true,
            },
        };
        let urls = |query: &ConnectQuery| {
            let wish = Wish {
                known: std::slice::from_ref(&known),
                others: &[],
                query,
                target: ConnectTarget::NixConf,
                system: System::Any,
            };
            let text = output(wish).expect("lines").files[0].text.clone();
            assert!(text.contains(key), "{text}");
            text.lines().nth(1).unwrap_or_default().to_owned()
        };
        let own = "extra-substituters = https://cache.example.org/team";
        let mut query = ConnectQuery::default();
        assert_eq!(urls(&query), own);
        query.extras = vec![ConnectExtra::Bucket];
        assert_eq!(urls(&query), format!("{own} s3://team?region=x"));
        query.priority = Some(30);
        query.access = ConnectAccess::S3;
        assert_eq!(
            urls(&query),
            "extra-substituters = s3://team?region=x&priority=30"
        );
    }

    #[test]
    fn every_word_of_an_address_is_a_target() {
        for target in ConnectTarget::ALL {
            assert!(
                target.as_str().parse::<Target>().is_ok(),
                "{}",
                target.as_str()
            );
        }
    }
}

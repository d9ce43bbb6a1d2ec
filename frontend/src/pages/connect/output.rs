//! What the generator writes, as the page draws it: files with their paths, what each line
//! means, and what to run before and after.

use snowbank_shared::api::{Cache, Visibility};
use snowbank_shared::nix_conf::SubstituterUrl;
use snowbank_shared::route::{
    ConnectAccess, ConnectExtra, ConnectFlavour, ConnectQuery, ConnectScope, ConnectTarget,
};
use snowbank_shared::snippets::{
    self, Access, Audience, Extras, Flavour, Inputs, Scope, Step, Target,
};

use crate::format::sentence;
use crate::state::navigation::absolute;

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

/// What is written for some caches.
///
/// # Errors
/// Where it cannot be written: why.
pub fn output(caches: &[Cache], query: &ConnectQuery) -> Result<Output, String> {
    let (inputs, warnings) = inputs(caches, query)?;
    let target: Target = query
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
fn inputs(
    caches: &[Cache],
    query: &ConnectQuery,
) -> Result<(Inputs, Vec<(String, String)>), String> {
    let has = |extra| query.extras.contains(&extra);
    let mut warnings = Vec::new();
    let mut chosen = Vec::new();
    for cache in caches {
        let bucket = has(ConnectExtra::Bucket)
            .then(|| bucket(&cache.source))
            .flatten();
        if has(ConnectExtra::Bucket) && bucket.is_none() {
            warnings.push((
                format!("The bucket of {} cannot be a substituter", cache.title),
                "It is a folder of this server, or its objects lie below a prefix, where Nix does not find them.".to_owned(),
            ));
        }
        if cache.keys.is_empty() {
            warnings.push((
                format!("No key: {}", cache.title),
                "This cache has no key of its own. Clients take from it only what is content-addressed, or signed by a key they already trust.".to_owned(),
            ));
        }
        chosen.push(snippets::Cache {
            slug: cache.slug.clone(),
            title: cache.title.clone(),
            page: absolute(&format!("/c/{}", cache.slug)),
            settings: super::settings(std::slice::from_ref(cache))?,
            bucket,
        });
    }
    let private = caches
        .iter()
        .any(|cache| cache.visibility != Visibility::Public);
    let inputs = Inputs {
        caches: chosen,
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
        ..Inputs::default()
    };
    Ok((inputs, warnings))
}

/// The bucket as a substituter, where Nix can find its objects: at its root.
fn bucket(source: &str) -> Option<SubstituterUrl> {
    let name = source.strip_prefix("s3://")?.trim_end_matches('/');
    if name.contains('/') {
        return None;
    }
    format!("s3://{name}").parse().ok()
}

/// The first file of a target, with all else by default.
pub fn first_text(caches: &[Cache], target: ConnectTarget) -> Option<String> {
    let query = ConnectQuery {
        target,
        ..ConnectQuery::default()
    };
    let output = output(caches, &query).ok()?;
    output.files.into_iter().next().map(|file| file.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_offered_only_where_nix_finds_its_objects() {
        assert!(bucket("folder").is_none());
        assert!(bucket("s3://team/prefix").is_none());
        let url = bucket("s3://team/").map(|url| url.to_string());
        assert_eq!(url.as_deref(), Some("s3://team"));
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

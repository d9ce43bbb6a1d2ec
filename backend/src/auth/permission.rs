//! The table: which act needs which role, and what strangers may do.
//!
//! Every "may this caller do this?" of the server ends in [`may`], and the dashboard learns
//! the same answers, in the same words, from `/me`. A new act gets a row here or the server
//! does not compile; an address of the API that no row guards fails the sweep over the
//! OpenAPI document (`tests/server/sweep.rs`).

use std::fmt;

use snowbank_shared::api::Visibility;
use snowbank_shared::api::access::{Act, Grant, Permission, Role, Verb};

use super::Caller;

use Role::{Auditor, Contributor, Maintainer, Owner, Reader};
use Visibility::{Private, Public};

/// What an act is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On<'a> {
    /// The server as a whole.
    Server,
    /// A cache.
    Cache {
        /// Its slug.
        slug: &'a str,
        /// Who may read it.
        visibility: Visibility,
    },
}

/// Who may do an act.
struct Rule {
    /// Caches of these visibilities: anybody.
    strangers: &'static [Visibility],
    /// Members with one of these roles there, the least first: it is the one that a refusal names.
    members: &'static [Role],
    /// Whether a token can lend it. What makes more power out of power needs a person's session.
    tokens: bool,
}

const EVERY_MEMBER: &[Role] = &[Reader, Contributor, Maintainer, Owner, Auditor];

/// The table.
const fn rule(act: Act) -> Rule {
    const fn row(strangers: &'static [Visibility], members: &'static [Role], tokens: bool) -> Rule {
        Rule {
            strangers,
            members,
            tokens,
        }
    }
    match act {
        //                          strangers            members                          tokens
        Act::Discover => row(&[Public], EVERY_MEMBER, true),
        Act::Configure => row(&[Public, Private], EVERY_MEMBER, true),
        Act::Read => row(&[Public], EVERY_MEMBER, true),
        Act::Upload => row(&[], &[Contributor, Maintainer, Owner], true),
        Act::Maintain => row(&[], &[Maintainer, Owner], true),
        Act::Manage => row(&[], &[Owner], true),
        Act::ReadAudit => row(&[], &[Auditor, Owner], true),
        Act::OwnTokens => row(&[], EVERY_MEMBER, false),
        Act::OwnKeys => row(&[], &[Contributor, Maintainer, Owner], false),
        Act::SeeMembers => row(&[], EVERY_MEMBER, false),
        Act::ManageMembers => row(&[], &[Owner], false),
        Act::ManageTrust => row(&[], &[Owner], false),
        Act::ReadWholeAudit => row(&[], &[Auditor, Owner], true),
        Act::TestConnection => row(&[], &[Owner], false),
        Act::TestCache => row(&[], EVERY_MEMBER, false),
        Act::ChangeSettings => row(&[], &[Owner], false),
    }
}

/// The acts on a cache, in the order of `/me`.
pub const ON_CACHES: [Act; 7] = [
    Act::Discover,
    Act::Configure,
    Act::Read,
    Act::Upload,
    Act::Maintain,
    Act::Manage,
    Act::ReadAudit,
];

/// The acts on the server, in the order of `/me`.
pub const ON_SERVER: [Act; 9] = [
    Act::OwnTokens,
    Act::OwnKeys,
    Act::SeeMembers,
    Act::ManageMembers,
    Act::ManageTrust,
    Act::ReadWholeAudit,
    Act::TestConnection,
    Act::TestCache,
    Act::ChangeSettings,
];

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// We do not know who it is: 401.
    WhoAreYou,
    /// We know who it is, and the role is missing: 403.
    NeedsRole {
        /// The least role that may.
        role: Role,
        /// The cache; `None`: on the server as a whole.
        cache: Option<String>,
    },
    /// The token was made for less: 403.
    BeyondToken,
    /// No token can do this: 403.
    NeedsSession,
}

impl Refusal {
    /// The refusal in words, with who can help: the API and the disabled button say the same.
    pub fn explained(&self, owners: &[String]) -> String {
        Explained(self, owners).to_string()
    }
}

struct Explained<'a>(&'a Refusal, &'a [String]);

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Refusal::WhoAreYou => return f.write_str("Needs a login."),
            Refusal::BeyondToken => {
                return f.write_str(
                    "This token was made for less: make one that names this cache and this use.",
                );
            }
            Refusal::NeedsSession => {
                return f.write_str("No token can do this: sign in with a browser.");
            }
            Refusal::NeedsRole { role, cache } => {
                write!(f, "Needs {}", role.title())?;
                if let Some(cache) = cache {
                    write!(f, " of {cache}")?;
                }
                f.write_str(".")?;
            }
        }
        match self.1 {
            [] => Ok(()),
            [owner] => write!(f, " Owner: {owner}."),
            owners => {
                f.write_str(" Owners: ")?;
                for (at, owner) in owners.iter().take(MOST_NAMED).enumerate() {
                    write!(f, "{}{owner}", if at == 0 { "" } else { ", " })?;
                }
                if owners.len() > MOST_NAMED {
                    write!(f, " and {} more", owners.len() - MOST_NAMED)?;
                }
                f.write_str(".")
            }
        }
    }
}

/// Owners that a refusal names at most.
const MOST_NAMED: usize = 5;

/// Whether the caller may do this.
///
/// # Errors
/// Where not, with the reason.
pub fn may(caller: &Caller, act: Act, on: On<'_>) -> Result<(), Refusal> {
    let rule = rule(act);
    if let On::Cache { visibility, .. } = on
        && rule.strangers.contains(&visibility)
    {
        return Ok(());
    }
    let needs_role = || Refusal::NeedsRole {
        // No row is without a role; the tests walk them all.
        role: rule.members.first().copied().unwrap_or(Owner),
        cache: match on {
            On::Server => None,
            On::Cache { slug, .. } => Some(slug.to_owned()),
        },
    };
    match caller {
        Caller::Stranger(_) => Err(Refusal::WhoAreYou),
        Caller::Member(member) => {
            if holds(&member.grants, rule.members, act, on) {
                Ok(())
            } else {
                Err(needs_role())
            }
        }
        Caller::Token(token) => {
            if !rule.tokens {
                return Err(Refusal::NeedsSession);
            }
            let lends = token.verbs.iter().any(|verb| lent(*verb, rule.members));
            if !lends || !covers(token.caches.as_deref(), on) {
                return Err(Refusal::BeyondToken);
            }
            match &token.owner_grants {
                Some(grants) if !holds(grants, rule.members, act, on) => Err(needs_role()),
                // A machine's token has no person behind it: its rule said all.
                _ => Ok(()),
            }
        }
    }
}

/// Whether a verb lends one of these roles' acts.
fn lent(verb: Verb, members: &[Role]) -> bool {
    members.contains(&verb.role())
}

/// Whether a token for these caches reaches this one; the server only where it is for all.
fn covers(caches: Option<&[String]>, on: On<'_>) -> bool {
    match (caches, on) {
        (None, _) => true,
        (Some(_), On::Server) => false,
        (Some(caches), On::Cache { slug, .. }) => caches.iter().any(|cache| cache == slug),
    }
}

/// Whether one of the grants gives one of the roles there.
fn holds(grants: &[Grant], roles: &[Role], act: Act, on: On<'_>) -> bool {
    grants.iter().any(|grant| {
        let here = match (&grant.cache, on) {
            (None, _) => true,
            (Some(cache), On::Cache { slug, .. }) => cache == slug,
            // Who has any role anywhere is a member of the server.
            (Some(_), On::Server) => matches!(
                act,
                Act::OwnTokens | Act::OwnKeys | Act::SeeMembers | Act::TestCache
            ),
        };
        here && roles.contains(&grant.role)
    })
}

/// Every act on something and whether the caller may do it, for `/me`.
pub fn permissions(
    caller: &Caller,
    acts: &[Act],
    on: On<'_>,
    owners: &[String],
) -> Vec<Permission> {
    acts.iter()
        .map(|act| Permission {
            act: *act,
            refusal: may(caller, *act, on)
                .err()
                .map(|refusal| refusal.explained(owners)),
        })
        .collect()
}

/// Whether grants make an owner of the whole server: one who can help with anything.
pub fn owns_server(grants: &[Grant]) -> bool {
    grants
        .iter()
        .any(|grant| grant.role == Owner && grant.cache.is_none())
}

/// Keeps the two lists and the enum one: every act is on caches or on the server.
const _: () = assert!(ON_CACHES.len() + ON_SERVER.len() == Act::ALL.len());

#[cfg(test)]
mod tests {
    use super::super::caller::{MemberCaller, Stranger, TokenCaller};
    use super::*;
    use Visibility::Unlisted;
    use std::fmt::Write as _;

    fn member(role: Role, cache: Option<&str>) -> Caller {
        Caller::member(MemberCaller {
            name: "alice".into(),
            grants: vec![Grant {
                role,
                cache: cache.map(str::to_owned),
            }],
            session: "s".into(),
            expires_at: 0,
        })
    }

    fn token(
        verbs: &[Verb],
        caches: Option<&[&str]>,
        owner: Option<(Role, Option<&str>)>,
    ) -> Caller {
        Caller::token(TokenCaller {
            id: "t".into(),
            owner: owner.map(|_| "alice".into()),
            machine: None,
            rule: None,
            verbs: verbs.to_vec(),
            caches: caches.map(|caches| caches.iter().map(|c| (*c).to_owned()).collect()),
            owner_grants: owner.map(|(role, cache)| {
                vec![Grant {
                    role,
                    cache: cache.map(str::to_owned),
                }]
            }),
            expires_at: 0,
        })
    }

    const TEAM: On<'static> = On::Cache {
        slug: "team",
        visibility: Private,
    };
    const OTHER: On<'static> = On::Cache {
        slug: "other",
        visibility: Private,
    };

    /// The whole table as people read it; a change of any cell shows here.
    #[test]
    fn the_table_changes_only_on_purpose() {
        let mut text = String::from(
            "act               on        stranger reader contrib maintain owner auditor\n",
        );
        let mut line = |act: Act, on: On<'_>, what: &str| {
            let _ = write!(text, "{:<17} {what:<9}", act.as_str());
            let stranger = Caller::Stranger(Stranger::NoCredential);
            for (caller, width) in [
                (stranger, 8),
                (member(Reader, None), 6),
                (member(Contributor, None), 7),
                (member(Maintainer, None), 8),
                (member(Owner, None), 5),
                (member(Auditor, None), 7),
            ] {
                let cell = if may(&caller, act, on).is_ok() {
                    "yes"
                } else {
                    "-"
                };
                let _ = write!(text, " {cell:<width$}");
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        };
        for act in ON_CACHES {
            for (visibility, what) in [
                (Public, "public"),
                (Private, "private"),
                (Unlisted, "unlisted"),
            ] {
                line(
                    act,
                    On::Cache {
                        slug: "team",
                        visibility,
                    },
                    what,
                );
            }
        }
        for act in ON_SERVER {
            line(act, On::Server, "server");
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn every_act_is_in_one_list_and_has_a_role() {
        for act in Act::ALL {
            assert!(
                ON_CACHES.contains(act) != ON_SERVER.contains(act),
                "{act} is in one list"
            );
            assert!(!rule(*act).members.is_empty());
            assert!(rule(*act).members.contains(&Owner), "owners may do all");
        }
    }

    #[test]
    fn a_role_in_one_cache_ends_there() {
        let alice = member(Owner, Some("team"));
        assert_eq!(may(&alice, Act::Manage, TEAM), Ok(()));
        assert_eq!(
            may(&alice, Act::Read, OTHER),
            Err(Refusal::NeedsRole {
                role: Reader,
                cache: Some("other".into())
            })
        );
        assert_eq!(may(&alice, Act::OwnTokens, On::Server), Ok(()));
        assert_eq!(
            may(&alice, Act::ManageMembers, On::Server),
            Err(Refusal::NeedsRole {
                role: Owner,
                cache: None
            })
        );
    }

    #[test]
    fn a_token_can_do_what_both_it_and_its_owner_can() {
        let reads = token(&[Verb::Read], Some(&["team"]), Some((Owner, None)));
        assert_eq!(may(&reads, Act::Read, TEAM), Ok(()));
        assert_eq!(may(&reads, Act::Read, OTHER), Err(Refusal::BeyondToken));
        assert_eq!(may(&reads, Act::Upload, TEAM), Err(Refusal::BeyondToken));
        let pushes = token(&[Verb::Push], None, Some((Reader, None)));
        assert!(matches!(
            may(&pushes, Act::Upload, TEAM),
            Err(Refusal::NeedsRole {
                role: Contributor,
                ..
            })
        ));
        assert_eq!(may(&pushes, Act::Read, TEAM), Ok(()));
        let orphan = token(&[Verb::Read], None, Some((Reader, Some("other"))));
        assert!(may(&orphan, Act::Read, TEAM).is_err());
        let machine = token(&[Verb::Push], Some(&["team"]), None);
        assert_eq!(may(&machine, Act::Upload, TEAM), Ok(()));
    }

    #[test]
    fn no_token_makes_power_out_of_power() {
        let all = token(Verb::ALL, None, Some((Owner, None)));
        for act in [
            Act::OwnTokens,
            Act::OwnKeys,
            Act::ManageMembers,
            Act::ManageTrust,
            Act::TestConnection,
            Act::TestCache,
            Act::ChangeSettings,
        ] {
            assert_eq!(
                may(&all, act, On::Server),
                Err(Refusal::NeedsSession),
                "{act}"
            );
        }
        let one_cache = token(&[Verb::Audit], Some(&["team"]), Some((Auditor, None)));
        assert_eq!(may(&one_cache, Act::ReadAudit, TEAM), Ok(()));
        assert_eq!(
            may(&one_cache, Act::ReadWholeAudit, On::Server),
            Err(Refusal::BeyondToken)
        );
    }

    #[test]
    fn a_refusal_says_what_is_needed_and_who_can_help() {
        let refusal = Refusal::NeedsRole {
            role: Maintainer,
            cache: None,
        };
        assert_eq!(
            refusal.explained(&["alice".into(), "bob".into()]),
            "Needs Maintainer. Owners: alice, bob."
        );
        assert_eq!(
            refusal.explained(&["alice".into()]),
            "Needs Maintainer. Owner: alice."
        );
        assert_eq!(refusal.explained(&[]), "Needs Maintainer.");
        let many: Vec<String> = (0..8).map(|n| format!("o{n}")).collect();
        assert!(refusal.explained(&many).ends_with("o4 and 3 more."));
    }
}

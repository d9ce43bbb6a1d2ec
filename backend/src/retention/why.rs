//! Why rules keep or remove one path.

use snowbank_shared::api::retention::{KeepStep, Rules, WhyKept};

use super::applied::{Applied, Facts, Reason};
use crate::index::Id;

/// Why a path stays or goes: the nearest path that a rule keeps, and the chain of references from it.
/// May look at every path: run it off the reactor.
pub fn why(facts: Facts<'_>, rules: &Rules, id: Id) -> WhyKept {
    let view = facts.view;
    let applied = Applied::new(facts, rules);
    let step = |id: &Id| KeepStep {
        hash: view.hash(*id).to_string(),
        name: view.name(*id).to_owned(),
    };
    let mut why = WhyKept {
        hash: view.hash(id).to_string(),
        kept: true,
        by: None,
        pin: None,
        chain: Vec::new(),
        trace: applied.trace(id),
        rules: rules.clone(),
    };
    if !applied.is_on() {
        why.by = Some("no rule applies, so everything stays".to_owned());
        return why;
    }
    // A rule's own reason is told before that of what is only new.
    let ruled = view
        .chain_to(id, |root| applied.keeps(root).is_some())
        .and_then(|chain| Some((applied.keeps(*chain.first()?)?, chain)));
    let found = ruled.or_else(|| {
        let chain = view.chain_to(id, |root| applied.is_new(root))?;
        Some((Reason::New, chain))
    });
    if let Some((reason, chain)) = found {
        why.by = Some(match &reason {
            Reason::Pin(pin, revision) => format!("pin {pin}@{revision}"),
            Reason::Name(pattern) => format!("names like {pattern}"),
            Reason::Fetched => format!(
                "fetched within {} days",
                rules.fetched_days.unwrap_or_default()
            ),
            Reason::Uploaded => format!(
                "uploaded within {} days",
                rules.uploaded_days.unwrap_or_default()
            ),
            Reason::New => format!("new within {} hours", rules.grace_hours),
        });
        if let Reason::Pin(pin, revision) = reason {
            why.pin = Some((pin, revision));
        }
        why.chain = chain.iter().map(step).collect();
        return why;
    }
    // What refers to its hash by another name is no referrer of the index, and keeps it all the same.
    let mut kept = view.nothing_kept();
    view.keep(&mut kept, applied.roots());
    view.keep(&mut kept, view.ids().filter(|root| applied.is_new(*root)));
    why.kept = kept.has(id);
    if why.kept {
        why.by = Some("a path that stays refers to its hash by another name".to_owned());
    }
    why
}

//! Revoking a key of the cache at once, because somebody else may have it.
//!
//! Nix has no revocation: a machine trusts a key until its configuration changes. So what is done here is
//! that the key signs no more and clients are told of it no more, that what came in on its word alone
//! can be hidden, and that there is a notice to send.

use std::collections::HashSet;
use std::sync::Arc;

use snowbank_shared::api::KeyState;
use snowbank_shared::api::rotation::{Revocation, RevokeOwnKey, RevokeThen};
use snowbank_shared::api::signing::{ContentRule, Job, JobAct, JobWish};
use snowbank_shared::signature::PublicKey;

use super::keys::{KeptKey, the_last};
use super::rotate::{kept_place, reason};
use super::rotation::{RotationRecord, named, only_by};
use super::{Order, Signing, SigningError};
use crate::auth::By;
use crate::auth::records::{now, spelled};
use crate::site::{Cache, Site};
use crate::withheld::Pair;

/// The key of this name that clients are told to trust.
fn trusted(cache: &Cache, name: &str) -> Result<PublicKey, SigningError> {
    let now = cache.keys.now();
    let found = now.trusted.iter().find(|key| key.name() == name);
    found.cloned().ok_or_else(|| SigningError::NoSuch {
        what: "key that clients are told to trust, named",
        name: name.chars().take(64).collect(),
    })
}

/// Why a key cannot be revoked now.
fn blocked(cache: &Cache, key: &PublicKey) -> Option<String> {
    let now = cache.keys.now();
    let others = now.trusted.iter().any(|other| other != key);
    (!others).then(|| the_last(key.name()))
}

impl Signing {
    /// What revoking a key would mean. Looks at every path: call it off the reactor.
    ///
    /// # Errors
    /// Where there is no such key.
    pub fn revocation(
        &self,
        cache: &Cache,
        name: &str,
        since: i64,
    ) -> Result<Revocation, SigningError> {
        let key = trusted(cache, name)?;
        let view = cache.index.view();
        let names = HashSet::from([key.name()]);
        let signed = view.signed_by(&names, &HashSet::new(), since);
        let only = only_by(cache, &view, &key, since);
        Ok(Revocation {
            key: key.name().to_owned(),
            paths: signed.paths.len() as u64,
            nar_size: signed.nar_size,
            only: only.len() as u64,
            examples: named(&view, &only),
            blocked: blocked(cache, &key),
            notice: notice(cache, &key),
        })
    }

    /// What came in on a key's word alone since then: to be hidden. Looks at every path.
    ///
    /// # Errors
    /// Where there is no such key.
    pub fn vouched_only_by(
        &self,
        cache: &Cache,
        name: &str,
        since: i64,
    ) -> Result<Vec<Pair>, SigningError> {
        let key = trusted(cache, name)?;
        let view = cache.index.view();
        let pair = |id| Pair {
            path: view.hash(id),
            nar_hash: view.nar_hash(id),
        };
        let only = only_by(cache, &view, &key, since);
        Ok(only.into_iter().map(pair).collect())
    }

    /// Revokes a key. Hiding is the caller's; removing signatures is a job.
    ///
    /// # Errors
    /// Where there is no such key, it is the last one, or its name was not typed again.
    pub async fn revoke(
        &self,
        cache: &Arc<Cache>,
        wish: &RevokeOwnKey,
        by: &By,
    ) -> Result<(String, Option<Job>), SigningError> {
        let site = &self.0.site;
        let slug = cache.slug.as_str();
        let key = trusted(cache, &wish.key)?;
        if wish.confirm != wish.key {
            return Err(SigningError::Bad(
                "Type the name of the key to revoke it.".to_owned(),
            ));
        }
        let why = reason(&wish.reason)?;
        if let Some(text) = blocked(cache, &key) {
            return Err(SigningError::Blocked(text));
        }
        let notice = notice(cache, &key);
        let (now_keys, text) = (cache.keys.now(), key.to_string());
        let mut sign: Vec<PublicKey> = now_keys.sign.clone();
        sign.retain(|other| *other != key);
        if sign.is_empty() {
            let has = |other: &&PublicKey| **other != key && cache.keys.secret(other).is_some();
            sign.extend(now_keys.trusted.iter().find(has).cloned());
        }
        let sign: Vec<String> = sign.iter().map(ToString::to_string).collect();
        let revoked = KeptKey {
            key: text.clone(),
            state: KeyState::Revoked,
            place: kept_place(site, cache, &text),
            at: now(),
            by: by.actor.clone(),
        };
        self.change_keys(cache, by, |keys| {
            keys.set(revoked.clone());
            keys.sign = Some(sign.clone());
            keys.leave_one(cache, key.name())
        })
        .await?;
        let detail = [
            ("reason", why.clone()),
            ("since", wish.since.clone().unwrap_or_default()),
        ];
        site.access
            .note_in(slug, by, "key.revoke", key.name(), &detail)
            .await;
        if let Some(record) = RotationRecord::of(site, slug).filter(RotationRecord::is_open)
            && (record.old == text || record.new == text)
        {
            let mut next = record.clone();
            match record.old == text {
                true => {
                    next.switched_at = next.switched_at.or(Some(now()));
                    next.retired_at = Some(now());
                }
                false => next.abandoned_at = Some(now()),
            }
            self.keep(cache, by, &record, &next).await?;
        }
        let job = match wish.then {
            RevokeThen::Strip => Some(self.strip_all(site, cache, &key, why, by).await?),
            RevokeThen::Keep | RevokeThen::Hide => None,
        };
        Ok((notice, job))
    }

    async fn strip_all(
        &self,
        site: &Site,
        cache: &Arc<Cache>,
        key: &PublicKey,
        reason: String,
        by: &By,
    ) -> Result<Job, SigningError> {
        let wish = JobWish {
            act: JobAct::Strip,
            key: Some(key.name().to_owned()),
            paths: Vec::new(),
            filter: Some(format!("key={}", key.name())),
            content: ContentRule::Verify,
            leave_unsigned: true,
            reason,
        };
        let order = Order::of(site, cache, &wish)?;
        let total = self.counted(cache, &order).await?;
        self.begin(cache, order, total, by).await
    }
}

/// The notice to send, with what to remove on each platform.
fn notice(cache: &Cache, key: &PublicKey) -> String {
    let now_keys = cache.keys.now();
    let left: Vec<String> = now_keys
        .trusted
        .iter()
        .filter(|other| *other != key)
        .map(ToString::to_string)
        .collect();
    let left = match left.as_slice() {
        [] => "No other key of this cache exists yet.".to_owned(),
        keys => format!("Trust instead: {}", keys.join(" ")),
    };
    format!(
        "The signing key {name} of {url} was revoked on {day}.\n\
        Nix has no revocation: machines trust the key until their configuration changes.\n\
        \n\
        Remove this key on every machine:\n\
        {key}\n\
        \n\
        - NixOS: take it out of nix.settings.trusted-public-keys, or update the flake input of the cache; then nixos-rebuild switch.\n\
        - nix-darwin: take it out of nix.settings.trusted-public-keys, or of nix.custom.conf with Determinate; then darwin-rebuild switch.\n\
        - home-manager: take it out of nix.settings.trusted-public-keys; then home-manager switch.\n\
        - Other systems: take it out of extra-trusted-public-keys in /etc/nix/nix.conf; then restart the nix-daemon.\n\
        - CI: take it out of NIX_CONFIG, of extra_nix_config, or of the workflow file.\n\
        \n\
        {left}\n",
        name = key.name(),
        url = cache.url,
        day = spelled(now()).split('T').next().unwrap_or_default(),
    )
}

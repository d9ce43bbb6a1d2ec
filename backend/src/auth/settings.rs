//! Settings of the server that owners change while it runs.

use snowbank_shared::api::access::ServerSettings;

use super::access::{Access, By};
use super::error::AccessError;
use super::records::{SettingsRecord, spelled};
use crate::ledger::{RecordId, Scope};

impl Access {
    /// The settings, with their revision: 0 where these are the defaults.
    pub fn server_settings(&self) -> ServerSettings {
        let view = self.ledger.view();
        let entry = view.get::<SettingsRecord>(Scope::Server, &RecordId::only());
        let settings = self.settings();
        ServerSettings {
            session_days: settings.session_days,
            token_days: settings.token_days,
            note_addresses: settings.note_addresses,
            revision: entry.as_ref().map_or(0, |entry| entry.sequence),
            changed_by: entry.as_ref().map(|entry| entry.changed_by.clone()),
            changed_at: entry.map(|entry| spelled(entry.changed_at.unix_timestamp())),
        }
    }

    /// Changes them, where nobody did since that revision was read.
    ///
    /// # Errors
    /// Where somebody did, a value cannot be, or the ledger cannot write it.
    pub async fn change_settings(
        &self,
        wish: &ServerSettings,
        by: &By,
    ) -> Result<ServerSettings, AccessError> {
        if !(1..=90).contains(&wish.session_days) {
            return Err(AccessError::Bad("A session lives 1 to 90 days.".into()));
        }
        if !(1..=366).contains(&wish.token_days) {
            return Err(AccessError::Bad("A token may live 1 to 366 days.".into()));
        }
        // What is written is compared with the bucket by the ledger; what was read, here.
        let before = self.server_settings();
        if before.revision != wish.revision {
            return Err(AccessError::Conflict);
        }
        let seen = self.settings();
        self.ledger
            .put(
                Scope::Server,
                &RecordId::only(),
                &by.actor,
                |current: Option<&SettingsRecord>| {
                    if current.cloned().unwrap_or_default() != *seen {
                        return Err(AccessError::Conflict);
                    }
                    Ok(SettingsRecord {
                        session_days: wish.session_days,
                        token_days: wish.token_days,
                        note_addresses: wish.note_addresses,
                    })
                },
            )
            .await?;
        self.note(
            by,
            "settings.change",
            "server",
            &[
                ("session_days", wish.session_days.to_string()),
                ("token_days", wish.token_days.to_string()),
                ("note_addresses", wish.note_addresses.to_string()),
            ],
        )
        .await;
        Ok(self.server_settings())
    }
}

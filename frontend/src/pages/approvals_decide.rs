//! The two questions before somebody decides on an upload that waits, asked by the queue and by the card.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::approvals::{ApprovalRow, ApprovalState, Approve, Reject};
use snowbank_shared::route::escape;

use crate::api::cache_path;
use crate::components::button::{Readiness, Weight, button, button_when};
use crate::components::changing::changing;
use crate::components::dialog::dialog;
use crate::components::field::{Field, area_field, text_field};
use crate::components::icon::Icon;
use crate::components::store_path::path_text;
use crate::format;
use crate::state::identity::{Identity, identity};
use crate::state::sending::{Sending, json};
use crate::state::session::{Session, session};

/// Which question stands open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    Approve,
    Reject,
}

/// Deciding on one upload at a time. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Deciding {
    cache: StoredValue<String>,
    row: RwSignal<Option<ApprovalRow>>,
    approve: RwSignal<bool>,
    reject: RwSignal<bool>,
    note: Field,
    reason: Field,
    /// What is sent.
    pub sending: Sending,
    // Asked for once: who answers a question is no part of the page's own.
    identity: Identity,
    session: Session,
}

/// The address of what waits in a cache, below `/api/v1`.
pub fn approvals_path(cache: &str) -> String {
    format!("{}/approvals", cache_path(cache))
}

/// The address of one upload.
pub fn approval_path(cache: &str, id: &str) -> String {
    format!("{}/{}", approvals_path(cache), escape(id))
}

impl Deciding {
    /// Nobody decides yet.
    pub fn new(cache: &str) -> Self {
        Self {
            cache: StoredValue::new(cache.to_owned()),
            row: RwSignal::new(None),
            approve: RwSignal::new(false),
            reject: RwSignal::new(false),
            note: Field::new("Note", "For the audit; may stay empty."),
            reason: Field::new("Why", "The uploader and the audit get to read it."),
            sending: Sending::new(),
            identity: identity(),
            session: session(),
        }
    }

    /// Opens a question about an upload, where the caller may answer it.
    pub fn ask(self, question: Question, row: &ApprovalRow) {
        if self.readiness(question, row) != Readiness::Ready {
            return;
        }
        self.row.set(Some(row.clone()));
        self.note.value.set(String::new());
        self.reason.value.set(String::new());
        self.reason.error.set(None);
        match question {
            Question::Approve => self.approve.set(true),
            Question::Reject => self.reject.set(true),
        }
    }

    /// Whether the caller may answer it; tracked.
    pub fn readiness(self, question: Question, row: &ApprovalRow) -> Readiness {
        let otherwise = match (question, &row.refusal) {
            (Question::Approve, Some(why)) => Readiness::Refused(why.clone()),
            (Question::Approve, None) => Readiness::Ready,
            (Question::Reject, _) if row.state != ApprovalState::Waiting => {
                Readiness::Refused(format!("It is {}.", row.state))
            }
            // One's own can be taken back.
            (Question::Reject, _) if self.identity.name().is_some_and(|me| me == row.uploader) => {
                Readiness::Ready
            }
            (Question::Reject, _) => self
                .cache
                .with_value(|cache| self.identity.readiness(Some(cache), Act::Maintain)),
        };
        self.sending.readiness(otherwise)
    }

    /// The two buttons of an upload; `stale`: it changed since it was shown.
    pub fn buttons(self, row: &ApprovalRow, stale: Signal<bool>) -> AnyView {
        let ready = move |question, row: &ApprovalRow| match self.readiness(question, row) {
            Readiness::Ready if stale.get() => {
                Readiness::Refused("This changed since you opened it.".to_owned())
            }
            readiness => readiness,
        };
        let (yes, no) = (row.clone(), row.clone());
        let (ask_yes, ask_no) = (row.clone(), row.clone());
        view! {
            {button_when(
                Weight::Primary,
                Some(Icon::Tick),
                "Approve…",
                move || ready(Question::Approve, &yes),
                move || self.ask(Question::Approve, &ask_yes),
            )}
            {button_when(
                Weight::Danger,
                None,
                "Reject…",
                move || ready(Question::Reject, &no),
                move || self.ask(Question::Reject, &ask_no),
            )}
        }
        .into_any()
    }

    /// The questions. `then` hears that one was answered.
    pub fn dialogs(self, then: impl Fn() + Copy + Send + 'static) -> AnyView {
        let about = move || {
            self.row.get().map(|row| {
                view! {
                    <p class="wraps">{path_text(&row.path)}</p>
                    <p class="muted">
                        {format!("{} unpacked, uploaded by {}", format::size(row.nar_size), row.uploader)}
                        {row.key.map(|key| format!(", signed by {key}"))} "."
                    </p>
                }
            })
        };
        let send = move |word: &'static str, body: Option<String>, done: &'static str| {
            let Some(row) = self.row.get_untracked() else {
                return;
            };
            self.approve.set(false);
            self.reject.set(false);
            let cache = self.cache.get_value();
            let path = format!("{}/{word}", approval_path(&cache, &row.id));
            self.sending.send("POST", path, body, move |answer| {
                let now = answer.json::<ApprovalRow>().ok();
                let said = match now.map(|row| row.state) {
                    Some(ApprovalState::Published) => "is published",
                    _ => done,
                };
                self.sending.done.set(Some(format!("{} {said}.", row.name)));
                self.session.caches.reload();
                then();
            });
        };
        let yes = move || {
            let Some(row) = self.row.get_untracked() else {
                return;
            };
            let wish = Approve {
                revision: row.revision,
                note: self.note.value.get_untracked(),
            };
            send("approve", json(&wish), "has your approval");
        };
        let no = move || {
            let Some(row) = self.row.get_untracked() else {
                return;
            };
            let reason = self.reason.value.get_untracked().trim().to_owned();
            if reason.is_empty() {
                self.reason
                    .error
                    .set(Some("Say why in a few words.".to_owned()));
                return;
            }
            let wish = Reject {
                revision: row.revision,
                reason,
            };
            send("reject", json(&wish), "is rejected");
        };
        view! {
            {dialog("Approve this upload?", self.approve, move || {
                view! {
                    {changing(about)}
                    <p>
                        "Once it is published, every machine that trusts this cache can run it. The server checks its archive, its signature and its references once more before."
                    </p>
                    {text_field(self.note, "text", "off")}
                    <div class="dialog-actions">
                        {button(Weight::Plain, None, "Cancel", move || self.approve.set(false))}
                        {button(Weight::Primary, None, "Approve it", yes)}
                    </div>
                }
                .into_any()
            })}
            {dialog("Reject this upload?", self.reject, move || {
                view! {
                    {changing(about)}
                    <p>"It is not published, and the same content is not taken again for a week. What waits for it is refused with it."</p>
                    {area_field(self.reason, 3, "")}
                    <div class="dialog-actions">
                        {button(Weight::Plain, None, "Cancel", move || self.reject.set(false))}
                        {button(Weight::Danger, None, "Reject it", no)}
                    </div>
                }
                .into_any()
            })}
        }
        .into_any()
    }
}

//! The form in which a rule of the policy is written, with the sentence that it makes.

use leptos::prelude::*;
use snowbank_shared::api::policy::{PolicyRule, Ruling, Uploaders};

use crate::components::button::{Readiness, Weight, button_when};
use crate::components::changing::changing;
use crate::components::field::{Field, select_field, text_field};
use crate::pages::policy::{Draft, marked};
use crate::state::derived::memo;

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// The fields of a rule. Copy it freely.
#[derive(Debug, Clone, Copy)]
struct Fields {
    who: Field,
    people: Field,
    names: Field,
    most: Field,
    then: Field,
    count: Field,
    reason: Field,
}

impl Fields {
    fn new() -> Self {
        let fields = Self {
            who: Field::new("Whose uploads", ""),
            people: Field::new("Their names", "With commas between them."),
            names: Field::new(
                "Names of paths",
                "With commas between them; * stands for any text. Empty: all.",
            ),
            most: Field::new("Unpacked at most, in MiB", "Empty: any size."),
            then: Field::new("What happens", ""),
            count: Field::new("How many", "1 to 5 approvals, 2 to 5 builders."),
            reason: Field::new("Why", "The uploader gets to read it."),
        };
        fields.reset();
        fields
    }

    fn reset(self) {
        self.who.value.set("anyone".to_owned());
        self.then.value.set("approval".to_owned());
        self.count.value.set("1".to_owned());
        for field in [self.people, self.names, self.most, self.reason] {
            field.value.set(String::new());
        }
    }

    /// The rule that the fields make, or what is wrong with them; tracked.
    fn rule(self) -> Result<PolicyRule, String> {
        let people = listed(&self.people.value.get());
        let uploaders = match self.who.value.get().as_str() {
            "members" => Uploaders::Members { members: people },
            "keys" => Uploaders::Keys { keys: people },
            "machines" => Uploaders::Machines,
            _ => Uploaders::Anyone,
        };
        let count = self.count.value.get().trim().parse::<u8>();
        let number = || {
            count
                .clone()
                .map_err(|_| "How many is a number from 1 to 5.".to_owned())
        };
        let ruling = match self.then.value.get().as_str() {
            "publish" => Ruling::Publish,
            "builders" => Ruling::Builders {
                builders: number()?,
            },
            "refuse" => Ruling::Refuse {
                reason: self.reason.value.get().trim().to_owned(),
            },
            _ => Ruling::Approval {
                approvals: number()?,
            },
        };
        let most = self.most.value.get();
        let max_nar_size = match most.trim() {
            "" => None,
            text => Some(
                text.parse::<u64>()
                    .ok()
                    .and_then(|mib| mib.checked_mul(MIB))
                    .ok_or("The size is a whole number of MiB.")?,
            ),
        };
        let rule = PolicyRule {
            uploaders,
            names: listed(&self.names.value.get()),
            max_nar_size,
            ruling,
        };
        match rule.fault() {
            Some(fault) => Err(fault),
            None => Ok(rule),
        }
    }
}

fn listed(text: &str) -> Vec<String> {
    text.split([',', '\n'])
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The form.
pub fn rule_form(draft: Draft) -> AnyView {
    let fields = Fields::new();
    let rule = memo(move || fields.rule());
    let pair = |value: &str, word: &str| (value.to_owned(), word.to_owned());
    let who = select_field(
        fields.who,
        vec![
            pair("anyone", "Anyone's"),
            pair("members", "Those of members"),
            pair("keys", "Those that keys have signed"),
            pair("machines", "Those of machines"),
        ],
    );
    let then = select_field(
        fields.then,
        vec![
            pair("approval", "It waits for approvals by Maintainers"),
            pair("builders", "It waits for builders who agree"),
            pair("publish", "It is published at once"),
            pair("refuse", "It is refused"),
        ],
    );
    let named = move || {
        let named = matches!(fields.who.value.get().as_str(), "members" | "keys");
        named.then(|| text_field(fields.people, "text", "off"))
    };
    let more = move || match fields.then.value.get().as_str() {
        "publish" => None,
        "refuse" => Some(text_field(fields.reason, "text", "off")),
        _ => Some(text_field(fields.count, "number", "off")),
    };
    let sentence = move || match rule.get() {
        Ok(rule) => view! { <span>{marked(&rule.sentence())}</span> }.into_any(),
        Err(fault) => view! { <span class="muted">{fault}</span> }.into_any(),
    };
    let ready = move || match rule.get() {
        Ok(_) => Readiness::Ready,
        Err(fault) => Readiness::Refused(fault),
    };
    let add = move || {
        if let Ok(rule) = rule.get_untracked() {
            draft.rules.update(|rules| rules.push(rule));
            fields.reset();
        }
    };
    view! {
        <details class="explain">
            <summary>"Add a rule"</summary>
            <div class="form form-wide">
                <div class="form form-columns">
                    {who} {changing(named)} {text_field(fields.names, "text", "off")} {text_field(fields.most, "number", "off")}
                    {then} {changing(more)}
                </div>
                <p class="rule-preview" role="status">{changing(sentence)}</p>
                <p>{button_when(Weight::Plain, None, "Add the rule", ready, add)}</p>
            </div>
        </details>
    }
    .into_any()
}

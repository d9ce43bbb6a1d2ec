//! What a receiver gets, and how it knows that it is from here.

use leptos::prelude::*;
use snowbank_shared::api::alerts::{ID, SIGNATURE, TIMESTAMP};

use crate::components::code::code_file;
use crate::components::layout::{card, fact, facts};

/// How a receiver checks a message.
const CHECK: &str = r#"import base64, hashlib, hmac, time

def is_ours(secret, headers, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    sent = headers["webhook-timestamp"]
    signed = f"{headers['webhook-id']}.{sent}.".encode() + body
    tag = hmac.new(key, signed, hashlib.sha256).digest()
    ours = "v1," + base64.b64encode(tag).decode()
    fresh = abs(time.time() - int(sent)) < 300
    return fresh and hmac.compare_digest(ours, headers["webhook-signature"])
"#;

/// The card.
pub(super) fn card_of() -> AnyView {
    let rows = vec![
        fact(
            view! { <code>{ID}</code> },
            "Names the message. It is the same when it is sent again: take each once.",
        ),
        fact(
            view! { <code>{TIMESTAMP}</code> },
            "When it was sent, seconds since 1970. Refuse what is older than five minutes.",
        ),
        fact(
            view! { <code>{SIGNATURE}</code> },
            "v1, and the base64 of the HMAC-SHA-256 over id, time and body with points between, by the alert's secret. Standard Webhooks libraries check it.",
        ),
    ];
    let body = view! {
        <p>
            "A message is a POST of JSON: "
            <code>"type"</code>
            " is alert.firing, alert.resolved or alert.test, "
            <code>"text"</code>
            " says all of it in one line, "
            <code>"data"</code>
            " has the figure and the page to look at. Any answer of 2xx within ten seconds will do; redirects are not followed."
        </p>
        {facts(rows)}
        {code_file("Check a message in Python", CHECK, "check.py")}
    };
    card("What a receiver has to check", (), body)
}

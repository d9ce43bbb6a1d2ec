//! The start page of a server without caches: for owners the wizard that tries a connection, check
//! by check, and writes the TOML to add; for everybody else whom to ask.

use leptos::prelude::*;
use snowbank_shared::api::access::{
    Act, CallerKind, CheckOutcome, Connection, ConnectionCheck, ConnectionReport,
};
use snowbank_shared::route::{AccessRoute, Route};

use crate::components::banner::empty;
use crate::components::button::{Readiness, Weight, button_when};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::choice::check;
use crate::components::code::{code_file, code_line};
use crate::components::failure::failure_of;
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::Icon;
use crate::components::layout::{card, table};
use crate::state::identity::identity;
use crate::state::navigation::href;
use crate::state::sending::{Sending, json};

/// In the place of the list of caches.
pub fn no_cache() -> AnyView {
    let identity = identity();
    let content = move || {
        let me = identity.me.get()?;
        let hidden = me.has_caches;
        if !hidden && identity.may(None, Act::TestConnection) {
            return Some(view! {
                {empty("No cache yet", view! { <p>"Connect a bucket: fill in where it is, test it, and add the lines to the server's configuration."</p> })}
                {wizard()}
            }.into_any());
        }
        let title = if hidden {
            "No cache for you"
        } else {
            "No cache yet"
        };
        let login = href(&Route::Access(AccessRoute::login(None)));
        let words = match (me.kind, me.owners.as_slice()) {
            (CallerKind::Anonymous, _) if hidden => view! {
                <p>"The caches of this server are private. " <a href=login>"Sign in"</a> " to see those that are yours."</p>
            }
            .into_any(),
            (CallerKind::Anonymous, _) => view! {
                <p>"An owner of this server connects the first bucket. " <a href=login>"Sign in"</a> " if that is you; else ask whoever runs this server."</p>
            }
            .into_any(),
            (_, owners) => {
                let owners = owners.join(", ");
                view! { <p>"Ask an owner: " <strong>{owners}</strong> "."</p> }.into_any()
            }
        };
        Some(empty(title, words))
    };
    view! { {failure_of(identity.me)} {changing(content)} }.into_any()
}

/// What a store wants: its name, its endpoint's form, its region's form.
const PRESETS: [(&str, &str, &str); 7] = [
    ("AWS S3", "", "eu-central-1"),
    (
        "Cloudflare R2",
        "https://ACCOUNT_ID.r2.cloudflarestorage.com",
        "auto",
    ),
    (
        "Backblaze B2",
        "https://s3.REGION.backblazeb2.com",
        "REGION",
    ),
    ("MinIO", "https://minio.example.org:9000", "us-east-1"),
    ("Garage", "https://garage.example.org:3900", "garage"),
    ("Ceph", "https://ceph.example.org", "default"),
    (
        "DigitalOcean Spaces",
        "https://REGION.digitaloceanspaces.com",
        "REGION",
    ),
];

fn wizard() -> AnyView {
    let preset = Field::new("Store", "Fills in what the store usually wants.");
    preset.value.set("0".to_owned());
    let slug = Field::new(
        "Name of the cache",
        "In its address: lower-case letters, digits, dashes.",
    );
    slug.value.set("team".to_owned());
    let bucket = Field::new("Bucket", "");
    let endpoint = Field::new("Endpoint", "With its scheme; empty for AWS.");
    let region = Field::new("Region", "");
    let prefix = Field::new(
        "Prefix",
        "Where in the bucket the cache lies; usually empty.",
    );
    let id = Field::new(
        "Access key id",
        "Only to test with; empty: what the server's environment has.",
    );
    let secret = Field::new(
        "Secret access key",
        "Sent to this server for the test, never kept, never shown.",
    );
    let anonymous = RwSignal::new(false);
    crate::state::derived::effect(move || {
        let at: usize = preset.value.get().parse().unwrap_or_default();
        if let Some((_, address, place)) = PRESETS.get(at) {
            endpoint.value.set((*address).to_owned());
            region.value.set((*place).to_owned());
        }
    });
    let sending = Sending::new();
    let report = RwSignal::new(None::<ConnectionReport>);
    let text = |field: Field| field.value.get_untracked().trim().to_owned();
    let go = move || {
        let wish = Connection {
            slug: text(slug),
            bucket: text(bucket),
            endpoint: text(endpoint),
            region: text(region),
            prefix: text(prefix),
            path_style: None,
            anonymous: anonymous.get_untracked(),
            profile: String::new(),
            access_key_id: text(id),
            secret_access_key: text(secret),
        };
        report.set(None);
        sending.send(
            "POST",
            "/connections/test".to_owned(),
            json(&wish),
            move |body| {
                report.set(body.json().ok());
            },
        );
    };
    let ready = move || {
        sending.readiness(if bucket.value.with(|name| name.trim().is_empty()) {
            Readiness::Refused("Name the bucket first.".to_owned())
        } else {
            Readiness::Ready
        })
    };
    let presets = PRESETS
        .iter()
        .enumerate()
        .map(|(at, (name, ..))| (at.to_string(), (*name).to_owned()))
        .collect();
    let one = [slug, bucket, endpoint, region, prefix, id]
        .map(|field| text_field(field, "text", "off"))
        .into_iter()
        .collect_view();
    let form = view! {
        <form
            class="form form-wide"
            on:submit=move |event| {
                event.prevent_default();
                go();
            }
        >
            <div class="form form-columns">
                {select_field(preset, presets)} {one} {text_field(secret, "password", "off")}
            </div>
            {check("Without credentials", "Unsigned requests, for a bucket that everybody may read.", anonymous)}
            <p>{button_when(Weight::Primary, None, "Test the connection", ready, go)}</p>
            {sending.notice()}
        </form>
    };
    let outcome = move || report.get().map(|report| outcome(&report));
    card(
        "Connect a bucket",
        (),
        view! { {form} <div aria-live="polite">{changing(outcome)}</div> },
    )
}

fn outcome(report: &ConnectionReport) -> AnyView {
    let rows: Vec<AnyView> = report.checks.iter().map(row).collect();
    view! {
        {table("Checks of the connection", "table", &[("Check", "", ""), ("Outcome", "", ""), ("What was found", "", "")], rows)}
        <p>"Add this to the server's configuration and start it again:"</p>
        {code_file("snowbank.toml", report.toml.clone(), "snowbank.toml")}
    }
    .into_any()
}

fn row(found: &ConnectionCheck) -> AnyView {
    let (tone, picture, word, meaning) = match found.outcome {
        CheckOutcome::Passed => (Tone::Ok, Icon::Tick, "✔ passed", "As it should be."),
        CheckOutcome::Warning => (
            Tone::Warn,
            Icon::Warning,
            "⚠ to know",
            "It works, and there is something to know.",
        ),
        CheckOutcome::Failed => (Tone::Bad, Icon::Warning, "✘ failed", "It does not work."),
        CheckOutcome::Skipped => (
            Tone::Unknown,
            Icon::Info,
            "not tried",
            "It could not be tried.",
        ),
    };
    let policy = found.policy.clone().map(|policy| {
        view! {
            <details class="explain">
                <summary>"The policy that gives the permission"</summary>
                {code_line("Policy", policy)}
            </details>
        }
    });
    view! {
        <tr>
            <th scope="row"><strong>{found.title.clone()}</strong></th>
            <td>{chip((tone, picture, word, meaning))}</td>
            <td class="wide wrap"><div>{found.detail.clone()} {policy}</div></td>
        </tr>
    }
    .into_any()
}

//! What the pages are built of: each part in each of its states, so that who
//! carries on can see it, and so that the tests look at all of them at once.

use leptos::prelude::*;
use snowbank_shared::api::{ContentStatus, Problem, Severity, SignatureStatus};

use crate::api::ApiError;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::{banner, done_line, empty};
use crate::components::button::{Readiness, Weight, button, button_when, link_button};
use crate::components::chart::{Growth, growth, sparkline};
use crate::components::chip::{Tone, content_chip, severity_chip, signature_chip};
use crate::components::choice::{check, segments};
use crate::components::code::{code_file, code_line};
use crate::components::copy::copy_button;
use crate::components::dialog::{Confirm, confirm, dialog};
use crate::components::failure::failure;
use crate::components::field::{Field, area_field, select_field, text_field};
use crate::components::icon::{Icon, icon};
use crate::components::layout::{
    card, fact, facts, progress, section, tab, table, table_foot, tabs,
};
use crate::components::menu::menu;
use crate::components::page_head::{heading, page_title};
use crate::components::size::{size, size_or};
use crate::components::skeleton::skeleton_sample;
use crate::components::store_path::path_text;
use crate::components::term::term;

/// A path for the samples: FX1 of the acceptance list.
const SAMPLE: &str = "/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0";

/// A part: its name, where it is defined, and what it looks like.
fn part(name: &'static str, file: &'static str, sample: impl IntoAny) -> AnyView {
    section(
        name,
        view! { <code class="muted">{file}</code> },
        view! { <div class="specimen">{sample.into_any()}</div> },
    )
}

/// The page.
pub fn page() -> AnyView {
    page_title(|| "Parts of the pages".to_owned());
    view! {
        <div class="page">
            <div class="page-head">
                {heading("Parts of the pages")}
                <p class="state-sentence">"Each part in each of its states. Nothing here changes anything."</p>
            </div>
            {buttons()} {fields()} {messages()} {status()} {layouts()} {text()} {charts()} {pictures()}
        </div>
    }
    .into_any()
}

fn buttons() -> AnyView {
    let asked = RwSignal::new(false);
    let removing = RwSignal::new(false);
    let done = RwSignal::new(None::<String>);
    let say = move |what: &'static str| done.set(Some(what.to_owned()));
    let row = view! {
        <div class="page-actions">
            {button(Weight::Primary, Some(Icon::Connect), "Primary", move || say("The primary one was pressed."))}
            {button(Weight::Plain, None, "Plain", move || say("The plain one was pressed."))}
            {button(Weight::Quiet, Some(Icon::Plus), "Quiet", move || say("The quiet one was pressed."))}
            {button(Weight::Danger, None, "Danger", move || removing.set(true))}
            {link_button(Weight::Plain, Some(Icon::Next), "Link", "#main".to_owned())}
            {button_when(Weight::Primary, None, "Save", || Readiness::Busy("Saving…"), || {})}
            {button_when(
                Weight::Plain,
                Some(Icon::Cross),
                "Unpin",
                || Readiness::Refused("Needs Maintainer. Owners: alice, bob".to_owned()),
                || {},
            )}
        </div>
        {done_line(done)}
    };
    let entries = view! {
        <button type="button" on:click=move |_| asked.set(true)>
            "Open a dialog" <small>"D"</small>
        </button>
        <a href="#main">"Go to the top"</a>
    };
    let menus = view! {
        <div class="page-actions">
            {menu(Icon::More, "Menu", false, entries)}
            {api_button(|| "/caches".to_owned())}
            {copy_button("Copy the sample", true, || SAMPLE.to_owned())}
        </div>
        {dialog("A dialog", asked, || view! { <p>"Escape closes it, and the focus goes back to where it was."</p> }.into_any())}
        {confirm(
            Confirm {
                title: "Take it away",
                verb: "Take away",
                typed: Some("top-1.0".to_owned()),
            },
            removing,
            || view! { <p>"1 path, 176 B unpacked. Two others refer to it."</p> }.into_any(),
            move || say("It would be gone now."),
        )}
    };
    view! {
        {part("Buttons", "button.rs", row)}
        {part("Menus, copy, dialogs", "menu.rs, copy.rs, dialog.rs", menus)}
    }
    .into_any()
}

fn fields() -> AnyView {
    let plain = Field::new("Name", "As it stands in every signature: team-2.");
    let wrong = Field::new("Prefix", "");
    wrong.value.set("/team".to_owned());
    wrong.error.set(Some(
        "A prefix begins without a slash. Write team/ instead.".to_owned(),
    ));
    let words = Field::new("Paths", "One a line, at most 2,000.");
    let region = Field::new("Region", "");
    region.value.set("eu-central-1".to_owned());
    let on = RwSignal::new(true);
    let chosen = RwSignal::new(0_usize);
    let options =
        ["eu-central-1", "us-east-1"].map(|region| (region.to_owned(), region.to_owned()));
    part(
        "Fields and choices",
        "field.rs, choice.rs",
        view! {
            <div class="form form-columns">
                {text_field(plain, "text", "off")} {text_field(wrong, "text", "off")} {area_field(words, 3, SAMPLE)}
                {select_field(region, options.into())} {check("Verify before publishing", "FileHash and NarHash, from the bytes.", on)}
                {segments("Sizes", &["Unpacked", "Download", "Added"], move || chosen.get(), move |at| chosen.set(at))}
            </div>
        },
    )
}

fn messages() -> AnyView {
    let refused = ApiError::Refused(Box::new(Problem {
        kind: "about:blank".to_owned(),
        title: "The bucket refused".to_owned(),
        status: 502,
        detail: "403 AccessDenied on ListObjectsV2: the credentials lack s3:ListBucket.".to_owned(),
        code: "bucket-refused".to_owned(),
        request_id: "01hq8f6z".to_owned(),
    }));
    let banners = view! {
        {banner(
            Tone::Note,
            "62 % indexed, results may be incomplete",
            view! { <p>"25,600 of 41,220 narinfos read, 1,412 a second, about 11 s left."</p> },
            (),
        )}
        {banner(Tone::Ok, "", view! { <p>"The new key signs from now on. Clients learn of it within 30 days."</p> }, ())}
        {banner(
            Tone::Warn,
            "The key team-1 expires in 20 days",
            view! { <p>"New paths are then no longer signed."</p> },
            link_button(Weight::Plain, None, "Keys", "#main".to_owned()),
        )}
        {failure(&refused, true, || {})}
        {failure(&ApiError::Unreachable, false, || {})}
    };
    let waiting = view! {
        {skeleton_sample(3, "Reading 1,412 narinfos…")}
        {progress(
            "Share of the bucket that is indexed",
            62,
            100,
            "25,600 of 41,220 narinfos read",
        )}
    };
    let nothing = empty(
        "Nothing is pinned",
        view! {
            <p>"Retention alone decides what stays."</p>
            <a class="button" href="#main">
                "Pin a path"
            </a>
        },
    );
    view! {
        {part("Messages", "banner.rs, failure.rs", banners)}
        {part("Waiting", "skeleton.rs, layout.rs", waiting)}
        {part("Nothing there", "banner.rs", nothing)}
    }
    .into_any()
}

fn status() -> AnyView {
    let signatures = SignatureStatus::ALL.map(|status| signature_chip(status, None));
    let contents = ContentStatus::ALL.map(content_chip);
    let severities = [Severity::Error, Severity::Warning, Severity::Note].map(severity_chip);
    part(
        "Status words",
        "chip.rs",
        view! {
            <p class="specimen-row">{signatures.collect_view()}</p>
            <p class="specimen-row">{contents.collect_view()}</p>
            <p class="specimen-row">{severities.collect_view()}</p>
        },
    )
}

fn layouts() -> AnyView {
    let cards = view! {
        <div class="specimen-columns">
            {card(
                "A card",
                view! {
                    <a class="quiet" href="#main">
                        "All"
                    </a>
                },
                facts(
                    vec![
                        fact("Paths", "41,220"),
                        fact(
                            term("sample-stored", "Stored", "Bytes of NARs as they lie in the bucket."),
                            size(88_184_832),
                        ),
                        fact("Download", size_or(None, "unknown")),
                    ],
                ),
            )}
            {card("Another", (), view! { <p>"Cards are few: a table is better where there are rows."</p> })}
        </div>
    };
    let rows = [("top-1.0", 176_u64), ("mid-1.0", 176), ("leaf-1.0", 128)].map(|(name, bytes)| {
        view! {
            <tr>
                <th scope="row" class="grow">
                    {path_text(&format!("/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-{name}"))}
                </th>
                <td class="number" data-label="NAR size">
                    {size(bytes)}
                </td>
                <td data-label="Signature">{signature_chip(SignatureStatus::Valid, None)}</td>
            </tr>
        }
    });
    let tables = view! {
        {tabs(
            "Sample tabs",
            vec![
                tab("Summary", ().into_any(), "#main".to_owned(), || true),
                tab("Closure", "37".into_any(), "#main".to_owned(), || false),
            ],
        )}
        {table(
            "Sample rows",
            "table",
            &[
                ("Path", "", ""),
                ("NAR size", "number", "Bytes unpacked"),
                ("Signature", "", ""),
            ],
            rows.collect_view(),
        )}
        {table_foot("3 rows of 41,220".to_owned(), Some("#main".to_owned()), Some("#main".to_owned()))}
    };
    view! {
        {part("Cards and facts", "layout.rs, term.rs, size.rs", cards)}
        {part("Tabs, tables, pages", "layout.rs", tables)}
    }
    .into_any()
}

fn text() -> AnyView {
    part(
        "Text to take along",
        "code.rs, store_path.rs, ago.rs",
        view! {
            {code_file("/etc/nix/nix.conf", "extra-substituters = https://cache.example.com/team\n", "nix.conf")}
            {code_line("Command", format!("nix-store -r {SAMPLE}"))}
            <p>{path_text(SAMPLE)}</p>
            <p>"Added " {ago("2026-11-20T14:02:00Z")}</p>
            <p>
                <kbd>"g"</kbd>
                " "
                <kbd>"p"</kbd>
            </p>
        },
    )
}

fn charts() -> AnyView {
    let values = vec![0, 12, 12, 30, 34, 80, 81, 81, 96, 140];
    let mut before = 0;
    let rows = values
        .iter()
        .enumerate()
        .map(|(day, &paths)| {
            let added = paths - before;
            before = paths;
            (
                format!("2026-11-{:02}", day + 1),
                added.to_string(),
                paths.to_string(),
            )
        })
        .collect();
    part(
        "Charts",
        "chart.rs",
        view! {
            <p>
                {sparkline(&[0, 3, 1, 0, 8, 2, 5], "Paths added on each of seven days: 0, 3, 1, 0, 8, 2, 5".to_owned())}
            </p>
            {growth(Growth {
                caption: "140 paths, all of them added within ten days.".to_owned(),
                ends: ("2026-11-01".to_owned(), "2026-11-10".to_owned()),
                top: "140 paths".to_owned(),
                values,
                rows,
                columns: ["Day", "Added", "Together"],
            })}
        },
    )
}

fn pictures() -> AnyView {
    let all = Icon::ALL.map(|(picture, name)| {
        view! { <li>{icon(picture)} <span>{name}</span></li> }
    });
    part(
        "Icons",
        "icon.rs",
        view! { <ul class="specimen-icons">{all.collect_view()}</ul> },
    )
}

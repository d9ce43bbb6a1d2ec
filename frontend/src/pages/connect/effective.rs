//! What is in force before and after: the part that people care about.

use leptos::prelude::*;
use snowbank_shared::nix_conf::effective::{self, Effective, Row};

use crate::components::banner::banner;
use crate::components::chip::{Tone, chip};
use crate::components::icon::Icon;
use crate::components::layout::{section, table};

/// The table, with what cannot be known from this file alone.
pub fn effective_table(before: &Effective, after: &Effective) -> AnyView {
    let rows: Vec<AnyView> = effective::compare(before, after).iter().map(row).collect();
    let fatal = after.fatal.iter().map(|fatal| {
        let (line, why) = (fatal.origin.line, fatal.reason.to_string());
        banner(
            Tone::Bad,
            format!("Line {line}: every Nix command fails"),
            view! { <p>{crate::format::sentence(&why)}</p> },
            (),
        )
    });
    let fatal: Vec<AnyView> = fatal.collect();
    let unseen: Vec<AnyView> = after
        .unseen
        .iter()
        .map(|file| view! { <li><code class="break">{file.text.clone()}</code></li> }.into_any())
        .collect();
    let unseen = (!unseen.is_empty()).then(|| {
        view! {
            <p class="muted">"This file includes others that are not pasted here. What they set is not counted:"</p>
            <ul class="plain-list">{unseen}</ul>
        }
    });
    let body = view! {
        {fatal}
        {table(
            "Effective before and after",
            "table effective",
            &[
                ("Setting", "", ""),
                ("Value", "", ""),
                ("Before", "", "In force with the file as pasted"),
                ("After", "", "In force with the result"),
            ],
            rows,
        )}
        {unseen}
    };
    section("Effective", (), body)
}

fn row(row: &Row) -> AnyView {
    let word = |on: bool| {
        if on {
            view! { "in force" }.into_any()
        } else {
            view! { <span class="muted">"–"</span> }.into_any()
        }
    };
    let after = match &row.lost {
        Some(lost) => {
            let by = format!("by line {}", lost.by.line);
            let lost = chip((
                Tone::Bad,
                Icon::Cross,
                "lost",
                "A later line without extra- throws it away.",
            ));
            view! { {lost} " " <small class="muted">{by}</small> }.into_any()
        }
        None if row.after && !row.before => {
            chip((Tone::Ok, Icon::Tick, "added", "In force after the change.")).into_any()
        }
        None if row.before && !row.after => chip((
            Tone::Warn,
            Icon::Dash,
            "removed",
            "No longer in force after the change.",
        ))
        .into_any(),
        None => word(row.after),
    };
    let class = if row.lost.is_some() { "is-lost" } else { "" };
    view! {
        <tr class=class>
            <th scope="row"><code>{row.setting}</code></th>
            <td class="wrap" data-label="Value"><code class="break">{row.value.clone()}</code></td>
            <td data-label="Before">{word(row.before)}</td>
            <td data-label="After">{after}</td>
        </tr>
    }
    .into_any()
}

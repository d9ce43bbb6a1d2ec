//! The card about `trusted-users`: what works for whom, and what it costs.

use leptos::prelude::*;

use crate::components::icon::{Icon, icon};
use crate::components::layout::{card, table};

const UNTRUSTED: &str = "Not in trusted-users";
const TRUSTED: &str = "In trusted-users";
const SINGLE: &str = "Single-user";

/// Shown wherever somebody may not be an admin.
pub fn trusted_users(ci: bool) -> AnyView {
    let cell = |group: &'static str, class: &'static str, picture, words: &'static str| {
        view! {
            <td class=class data-label=group>
                <span>{icon(picture)} " " {words}</span>
            </td>
        }
    };
    let yes = |group| cell(group, "wrap", Icon::Tick, "used");
    let no = |words| cell(UNTRUSTED, "wrap is-no", Icon::Cross, words);
    let rows = view! {
        <tr>
            <th scope="row" class="wrap">"Cache in the system's substituters"</th>
            {yes(UNTRUSTED)} {yes(TRUSTED)} {yes(SINGLE)}
        </tr>
        <tr>
            <th scope="row" class="wrap">"Cache in the system's trusted-substituters, and in your extra-substituters"</th>
            {yes(UNTRUSTED)} {yes(TRUSTED)} {yes(SINGLE)}
        </tr>
        <tr>
            <th scope="row" class="wrap">"Cache only in your file or flake"</th>
            {no("ignoring untrusted substituter")} {yes(TRUSTED)} {yes(SINGLE)}
        </tr>
        <tr>
            <th scope="row" class="wrap">"Key only in your file or flake"</th>
            {no("ignoring the client-specified setting")} {yes(TRUSTED)} {yes(SINGLE)}
        </tr>
        <tr>
            <th scope="row" class="wrap">"What it costs"</th>
            <td class="wrap" data-label=UNTRUSTED>"nothing"</td>
            <td class="wrap" data-label=TRUSTED><strong>"That user can become root"</strong></td>
            <td class="wrap" data-label=SINGLE>"the user owns the store anyway"</td>
        </tr>
    };
    let of_ci = ci.then(|| {
        view! {
            <p class="muted">
                "In CI the risk is another one: a runner that lives for one job has nothing to become root over. The usual installers add the runner's user by themselves."
            </p>
        }
    });
    let body = view! {
        <p>
            "Adding yourself to " <code>"trusted-users"</code>
            " is like passwordless sudo. You do not need it: ask your admin for the two lines."
        </p>
        {table(
            "Who may use a cache",
            "table trusted-table",
            &[
                ("Where it is written", "", ""),
                (UNTRUSTED, "", ""),
                (TRUSTED, "", ""),
                (SINGLE, "", ""),
            ],
            rows,
        )}
        {of_ci}
    };
    view! { <div id="trusted">{card("Who may set what", (), body)}</div> }.into_any()
}

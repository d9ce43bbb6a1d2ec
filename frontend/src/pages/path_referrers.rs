//! What refers to the path, in this cache.

use leptos::prelude::*;
use snowbank_shared::api::{Page, PathRow};

use crate::api;
use crate::components::changing::changing;
use crate::components::chip::{content_chip, signature_chip};
use crate::components::copy::copy_button;
use crate::components::export_menu::{Exported, export_menu};
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::size::{size, size_or};
use crate::components::skeleton::skeleton;
use crate::components::store_path::path_link;
use crate::format;
use crate::pages::path::PathPage;
use crate::state::remote::Remote;

/// The tab. Its place is not in the address: it begins at the first page.
pub fn tab(page: PathPage) -> AnyView {
    let path = api::path_path(&page.cache.get_value(), &page.hash.get_value(), "referrers");
    let path = StoredValue::new(path);
    let cursor = RwSignal::new(None::<String>);
    let rows = Remote::<Page<PathRow>>::new(move || {
        let limited = format!("{}?limit={}", path.get_value(), api::PAGE_ROWS);
        Some(api::at_cursor(&limited, cursor.get().as_deref()))
    });
    let body = move || match rows.get() {
        None if rows.error().is_none() => skeleton(8, "Reading the referrers…"),
        None => ().into_any(),
        Some(found) if found.items.is_empty() => view! {
            <section class="empty">
                <h2>"No referrers"</h2>
                <p>"No path of this cache refers to this one. Paths elsewhere may."</p>
            </section>
        }
        .into_any(),
        Some(found) => {
            let first = cursor.get_untracked().is_some().then(|| {
                view! {
                    <button type="button" class="button" on:click=move |_| cursor.set(None)>
                        {icon(Icon::First)}
                        "First page"
                    </button>
                }
            });
            let next = found.next.clone().map(|next| {
                view! {
                    <button type="button" class="button" on:click=move |_| cursor.set(Some(next.clone()))>
                        "Next page"
                        {icon(Icon::Next)}
                    </button>
                }
            });
            let exported = Exported {
                path: path.get_value(),
                columns: String::new(),
                rows: found.total,
            };
            let export = export_menu(move || Some(exported.clone()));
            view! {
                <div class="section-head">
                    <p class="closure-totals">
                        <b>{format::counted(found.total, "path", "paths")}</b>
                        " of this cache refer to it directly."
                    </p>
                    {export}
                </div>
                {table(page, &found.items)}
                <div class="table-foot">
                    <span></span>
                    <span class="page-actions">{first} {next}</span>
                </div>
            }
            .into_any()
        }
    };
    view! {
        <section class="section">
            {failure_of(rows)}
            {changing(body)}
        </section>
    }
    .into_any()
}

fn table(page: PathPage, rows: &[PathRow]) -> AnyView {
    let cache = page.cache.get_value();
    let rows = rows
        .iter()
        .map(|row| {
            let path = row.path.clone();
            view! {
                <tr>
                    <th scope="row" class="grow">{path_link(&cache, &row.hash, &row.name)}</th>
                    <td class="number" data-label="NAR size">{size(row.nar_size)}</td>
                    <td class="number" data-label="Closure">{size_or(row.closure_size, "not yet")}</td>
                    <td data-label="Signature">{signature_chip(row.signature, row.signature_problem)}</td>
                    <td class="col-2" data-label="Content">{content_chip(row.content)}</td>
                    <td class="row-action">{copy_button("Copy store path", false, move || path.clone())}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap">
            <table class="table is-sticky">
                <caption class="visually-hidden">"Paths that refer to this one"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Path"</th>
                        <th scope="col" class="number">"NAR size"</th>
                        <th scope="col" class="number">"Closure"</th>
                        <th scope="col">"Signature"</th>
                        <th scope="col" class="col-2">"Content"</th>
                        <th scope="col">
                            <span class="visually-hidden">"Copy"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

//! A closure that is too large to be here whole, as a table in pages of the server's: nearest
//! first, what the cache lacks in red at its end.

use leptos::prelude::*;
use snowbank_shared::api::{Closure, ClosureRow, Lookup};

use super::missing::{asked, on_upstreams};
use crate::api;
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip, content_chip, signature_chip};
use crate::components::copy::copy_button;
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::size::size_or;
use crate::components::skeleton::skeleton;
use crate::components::store_path::{path_link, path_text};
use crate::format;
use crate::pages::path::PathPage;
use crate::state::remote::Remote;

/// The table. Pages of the closure are appended below one another, so that find
/// on the page finds them.
pub fn paged_table(page: PathPage) -> AnyView {
    let path = api::path_path(&page.cache.get_value(), &page.hash.get_value(), "closure");
    let first_path = path.clone();
    let first = Remote::<Closure>::new(move || {
        page.live.renewals.track();
        Some(first_path.clone())
    });
    let path = StoredValue::new(path);
    let body = move || match first.get() {
        None if first.error().is_none() => skeleton(12, "Walking the closure…"),
        None => ().into_any(),
        Some(closure) => {
            let next = closure.next.clone();
            view! {
                <div class="table-wrap">
                    <table class="table is-sticky" id="closure-table">
                        <caption class="visually-hidden">"Paths of the closure, nearest first"</caption>
                        <thead>
                            <tr>
                                <th scope="col">"Path"</th>
                                <th scope="col" class="number" title="Steps from this path">"Steps"</th>
                                <th scope="col" class="number">"NAR size"</th>
                                <th scope="col" class="number col-3">"Download"</th>
                                <th scope="col" class="number col-2">"Own closure"</th>
                                <th scope="col" class="number col-3">"References"</th>
                                <th scope="col">"Signature"</th>
                                <th scope="col" class="col-2">"Content"</th>
                                <th scope="col">
                                    <span class="visually-hidden">"Copy"</span>
                                </th>
                            </tr>
                        </thead>
                        {rows(page, &closure)}
                        {more(page, path, next)}
                    </table>
                </div>
            }
            .into_any()
        }
    };
    view! {
        {failure_of(first)}
        {changing(body)}
    }
    .into_any()
}

fn rows(page: PathPage, closure: &Closure) -> AnyView {
    let cache = page.cache.get_value();
    let missing = closure.items.iter().filter(|item| !item.present);
    let asked = asked(&cache, missing.map(|item| item.hash.clone()));
    let rows = closure
        .items
        .iter()
        .map(|item| row(&cache, item, asked))
        .collect_view();
    view! { <tbody>{rows}</tbody> }.into_any()
}

fn row(cache: &str, item: &ClosureRow, asked: Option<Remote<Lookup>>) -> AnyView {
    let path = item.path.clone();
    let copy = copy_button("Copy store path", false, move || path.clone());
    if !item.present {
        return view! {
            <tr class="is-missing">
                <th scope="row" class="grow">{path_text(&item.path)}</th>
                <td class="number" data-label="Steps">{item.depth}</td>
                <td colspan="6" class="wide">
                    {chip((Tone::Bad, Icon::Cross, "referenced, not in this cache", "A client cannot fetch it from here."))}
                    {on_upstreams(asked, item.hash.clone())}
                </td>
                <td class="row-action">{copy}</td>
            </tr>
        }
        .into_any();
    }
    view! {
        <tr>
            <th scope="row" class="grow">{path_link(cache, &item.hash, &item.name)}</th>
            <td class="number" data-label="Steps">{item.depth}</td>
            <td class="number" data-label="NAR size">{size_or(item.nar_size, "unknown")}</td>
            <td class="number col-3" data-label="Download">{size_or(item.file_size, "unknown")}</td>
            <td class="number col-2" data-label="Own closure">{size_or(item.closure_size, "not yet")}</td>
            <td class="number col-3" data-label="References">{item.reference_count.map(format::count)}</td>
            <td data-label="Signature">{item.signature.map(|status| signature_chip(status, None))}</td>
            <td class="col-2" data-label="Content">{item.content.map(content_chip)}</td>
            <td class="row-action">{copy}</td>
        </tr>
    }
    .into_any()
}

/// The button for the rest, and in its place the rest.
fn more(page: PathPage, path: StoredValue<String>, next: Option<String>) -> Option<AnyView> {
    let cursor = next?;
    let asked = RwSignal::new(false);
    let rest = Remote::<Closure>::new(move || {
        let path = path.get_value();
        asked.get().then(|| api::at_cursor(&path, Some(&cursor)))
    });
    let shown = move || match rest.get() {
        Some(closure) => {
            let next = closure.next.clone();
            view! {
                {rows(page, &closure)}
                {more(page, path, next)}
            }
            .into_any()
        }
        None => view! {
            <tbody>
                <tr>
                    <td colspan="9" class="wide">
                        {failure_of(rest)}
                        <button
                            type="button"
                            class="button"
                            prop:disabled=move || asked.get() && rest.is_waiting()
                            on:click=move |_| asked.set(true)
                        >
                            "Show more of the closure"
                        </button>
                    </td>
                </tr>
            </tbody>
        }
        .into_any(),
    };
    Some(shown.into_any())
}

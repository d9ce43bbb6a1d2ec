//! Parts that hold others: cards, sections, lists of facts, tables, what stands
//! below a table.

use leptos::prelude::*;

use crate::components::fresh_id;
use crate::components::icon::{Icon, icon};

/// A card: a title, what stands across from it (or `()`), and what is in it.
pub fn card(title: &'static str, extra: impl IntoAny, body: impl IntoAny) -> AnyView {
    erased_card(title, extra.into_any(), body.into_any())
}

fn erased_card(title: &'static str, extra: AnyView, body: AnyView) -> AnyView {
    let id = fresh_id();
    view! {
        <section class="card" aria-labelledby=id>
            <div class="card-head">
                <h2 id=id.clone()>{title}</h2>
                {extra}
            </div>
            <div class="card-body">{body}</div>
        </section>
    }
    .into_any()
}

/// A part of a page without a border: a title, what stands across from it, and what is in it.
pub fn section(title: &'static str, extra: impl IntoAny, body: impl IntoAny) -> AnyView {
    erased_section(title, extra.into_any(), body.into_any())
}

fn erased_section(title: &'static str, extra: AnyView, body: AnyView) -> AnyView {
    let id = fresh_id();
    view! {
        <section class="section" aria-labelledby=id>
            <div class="section-head">
                <h2 id=id.clone()>{title}</h2>
                {extra}
            </div>
            {body}
        </section>
    }
    .into_any()
}

/// A fact: its name and what it is.
pub fn fact(name: impl IntoAny, value: impl IntoAny) -> AnyView {
    erased_fact(name.into_any(), value.into_any())
}

fn erased_fact(name: AnyView, value: AnyView) -> AnyView {
    view! {
        <dt>{name}</dt>
        <dd>{value}</dd>
    }
    .into_any()
}

/// Facts in two columns.
pub fn facts(rows: Vec<AnyView>) -> AnyView {
    view! { <dl class="facts">{rows}</dl> }.into_any()
}

/// A column of a table: its word, its class (`number`, `col-2`: left out where it is narrow),
/// and what the word means, or an empty text.
pub type Column = (&'static str, &'static str, &'static str);

/// A table. `caption` names it for screen readers; an empty word of a column is read as “Actions”.
pub fn table(
    caption: &'static str,
    class: &'static str,
    columns: &[Column],
    rows: impl IntoAny,
) -> AnyView {
    erased_table(caption, class, columns, rows.into_any())
}

fn erased_table(
    caption: &'static str,
    class: &'static str,
    columns: &[Column],
    rows: AnyView,
) -> AnyView {
    let head = columns
        .iter()
        .map(|&(word, class, meaning)| {
            let title = (!meaning.is_empty()).then_some(meaning);
            let word = if word.is_empty() {
                view! { <span class="visually-hidden">"Actions"</span> }.into_any()
            } else {
                word.into_any()
            };
            view! {
                <th scope="col" class=class title=title>
                    {word}
                </th>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap">
            <table class=class>
                <caption class="visually-hidden">{caption}</caption>
                <thead>
                    <tr>{head}</tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// Below a table: how many of how many, and the ways to other pages.
pub fn table_foot(shown: String, first: Option<String>, next: Option<String>) -> AnyView {
    let first = first.map(|address| {
        view! { <a class="button" href=address>{icon(Icon::First)} "First page"</a> }
    });
    let next = next.map(|address| {
        view! { <a class="button" rel="next" href=address>"Next page" {icon(Icon::Next)}</a> }
    });
    view! {
        <div class="table-foot">
            <span>{shown}</span>
            <span class="page-actions">{first} {next}</span>
        </div>
    }
    .into_any()
}

/// Tabs: links, each an address, with a number where it has one.
pub fn tabs(label: &'static str, links: Vec<AnyView>) -> AnyView {
    view! {
        <nav class="tabs" aria-label=label>
            {links}
        </nav>
    }
    .into_any()
}

/// A tab; `here` is tracked.
pub fn tab(
    word: &'static str,
    count: AnyView,
    address: String,
    here: impl Fn() -> bool + Send + Sync + 'static,
) -> AnyView {
    let here = Signal::derive(here);
    view! {
        <a href=address aria-current=move || here.get().then_some("page")>
            {word}
            <span class="count">{count}</span>
        </a>
    }
    .into_any()
}

/// How far something is: drawn, and in words below.
pub fn progress(label: &'static str, done: u64, whole: u64, words: impl IntoAny) -> AnyView {
    view! {
        <div class="progress">
            <progress class="meter" max=whole.max(1).to_string() value=done.to_string() aria-label=label></progress>
            <p>{words.into_any()}</p>
        </div>
    }
    .into_any()
}

//! The files that the generator writes: tabs, wrapping, what each line means, copy, download.

use leptos::prelude::*;
use snowbank_shared::route::{ConnectQuery, ConnectRoute, Route};

use super::output::{FOR_ADMIN, OutputFile};
use crate::components::changing::changing;
use crate::components::choice::check;
use crate::components::code::save;
use crate::components::copy::copy_button;
use crate::components::icon::{Icon, icon};
use crate::state::navigation::href;

/// Whether lines wrap and whether they are explained, kept while the choices change.
#[derive(Debug, Clone, Copy)]
struct Shape {
    wraps: RwSignal<bool>,
    explains: RwSignal<bool>,
}

/// All files. Those for different people stand beside each other, those for one person in tabs.
pub fn output_files(files: &[OutputFile], query: &ConnectQuery) -> AnyView {
    let shape = Shape {
        wraps: RwSignal::new(false),
        explains: RwSignal::new(false),
    };
    let merge = files.iter().any(|file| file.merges).then(|| {
        let route = Route::Connect(ConnectRoute::Merge {
            caches: query.caches.clone(),
        });
        view! { <p class="muted">"The file is there already? " <a href=href(&route)>"Merge the lines into it"</a> "."</p> }
    });
    let explained = files.iter().any(|file| !file.notes.is_empty());
    let switches = view! {
        <div class="choices-row output-switches">
            {check("Wrap lines", "", shape.wraps)}
            {explained.then(|| check("Explain each line", "", shape.explains))}
        </div>
    };
    let drawn = if files.iter().any(|file| !file.who.is_empty()) {
        let cards: Vec<AnyView> = files
            .iter()
            .map(|file| {
                let share = (file.who == FOR_ADMIN).then(|| {
                    let address = window().location().href().unwrap_or_default();
                    view! {
                        <p class="with-copy-line">
                            <span class="muted">"Send this page to your admin:"</span>
                            {copy_button("Copy a link for your admin", true, move || address.clone())}
                        </p>
                    }
                });
                view! {
                    <section class="output-card">
                        <h2>{file.who}</h2>
                        {one(file.clone(), shape)}
                        {share}
                    </section>
                }
                .into_any()
            })
            .collect();
        view! { <div class="output-cards">{cards}</div> }.into_any()
    } else {
        tabbed(files.to_vec(), shape)
    };
    view! {
        <div class="output">
            {switches}
            {drawn}
            {merge}
        </div>
    }
    .into_any()
}

fn tabbed(files: Vec<OutputFile>, shape: Shape) -> AnyView {
    if files.len() < 2 {
        return files
            .into_iter()
            .next()
            .map(|file| one(file, shape))
            .into_any();
    }
    let at = RwSignal::new(0_usize);
    let names: Vec<AnyView> = files
        .iter()
        .enumerate()
        .map(|(number, file)| {
            let path = file.path.clone();
            view! {
                <button
                    type="button"
                    class="file-tab"
                    aria-pressed=move || (at.get() == number).to_string()
                    on:click=move |_| at.set(number)
                >
                    {path}
                </button>
            }
            .into_any()
        })
        .collect();
    let shown = move || files.get(at.get()).cloned().map(|file| one(file, shape));
    view! {
        <div class="file-tabs" role="group" aria-label="Files">
            {names}
        </div>
        {changing(shown)}
    }
    .into_any()
}

fn one(file: OutputFile, shape: Shape) -> AnyView {
    let label = format!("Contents of {}", file.path);
    let (name, saved, copied) = (file.name(), file.text.clone(), file.text.clone());
    let download = format!("Download {name}");
    let title = file.path.clone();
    let body = move || {
        if shape.explains.get() && !file.notes.is_empty() {
            explained(&file)
        } else {
            view! {
                <pre tabindex="0" role="group" aria-label=label.clone()>{file.text.clone()}</pre>
            }
            .into_any()
        }
    };
    view! {
        <div class="code" class:is-wrapped=move || shape.wraps.get()>
            <div class="code-head">
                <span class="code-head-title">{title}</span>
                <span class="code-actions">
                    {copy_button("Copy the text", true, move || copied.clone())}
                    <button
                        type="button"
                        class="quiet"
                        aria-label=download
                        on:click=move |_| save(saved.as_bytes(), &name)
                    >
                        {icon(Icon::Download)}
                        <span>"Download"</span>
                    </button>
                </span>
            </div>
            {changing(body)}
        </div>
    }
    .into_any()
}

/// Each line with what it means beside it.
fn explained(file: &OutputFile) -> AnyView {
    let rows: Vec<AnyView> = (1..)
        .zip(file.text.lines())
        .map(|(number, line)| {
            let notes: Vec<&str> = file
                .notes
                .iter()
                .filter(|(at, _)| *at == number)
                .map(|(_, note)| note.as_str())
                .collect();
            view! {
                <div>
                    <dt><code>{line.to_owned()}</code></dt>
                    <dd>{notes.join(" ")}</dd>
                </div>
            }
            .into_any()
        })
        .collect();
    view! { <dl class="explained">{rows}</dl> }.into_any()
}

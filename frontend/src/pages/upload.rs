//! `/c/{cache}/upload`: from a folder to published paths. What is done is in [`crate::upload`];
//! this is how it looks.

use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use snowbank_shared::api::access::Act;
use snowbank_shared::route::{AccessRoute, Route};
use web_sys::{BeforeUnloadEvent, HtmlInputElement};

use crate::components::ago::ago;
use crate::components::banner::{alert, banner};
use crate::components::button::{Readiness, Weight, button, link_button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::code::code_file;
use crate::components::failure::failure;
use crate::components::field::{Field, text_field};
use crate::components::icon::{Icon, icon};
use crate::components::layout::card;
use crate::components::page_head::{heading, page_title};
use crate::format;
use crate::pages::upload_plan::plan;
use crate::pages::upload_row::trouble_line;
use crate::state::identity::identity;
use crate::state::navigation::href;
use crate::upload::folder::{self, Folder};
use crate::upload::memory;
use crate::upload::session::{Phase, Session, View};

/// The page.
pub fn page(cache: &str) -> AnyView {
    let slug = cache.to_owned();
    page_title(move || format!("Upload to {slug}"));
    let identity = identity();
    let slug = cache.to_owned();
    let body = move || {
        let slug = slug.clone();
        match identity.readiness(Some(&slug), Act::Upload) {
            Readiness::Ready => ready(&slug, identity.name()),
            Readiness::Busy(_) => ().into_any(),
            Readiness::Refused(why) => stranger(&slug, &why),
        }
    };
    let sessions = href(&Route::Uploads {
        cache: cache.to_owned(),
    });
    view! {
        <div class="page upload-page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Upload")}
                    <div class="page-actions">{link_button(Weight::Plain, None, "All uploads", sessions)}</div>
                </div>
                <p class="state-sentence">
                    "Each archive is unpacked and hashed in this tab before a byte of it is sent, and once more by the server before it is published."
                </p>
            </div>
            {changing(body)}
            {prepare()}
        </div>
    }
    .into_any()
}

/// For whom may not upload: why, and how to.
fn stranger(cache: &str, why: &str) -> AnyView {
    let here = Route::Upload {
        cache: cache.to_owned(),
    };
    let login = href(&Route::Access(AccessRoute::login(Some(here.to_string()))));
    let words = view! {
        <p>{format::sentence(why)}</p>
        <p>
            "Uploading takes the role of a Contributor, and a key of your own that a Maintainer or Owner has accepted. "
            <a href=login>"Sign in"</a> ", or ask one of the owners for an invitation."
        </p>
    };
    banner(Tone::Note, "You cannot upload here", words, ())
}

fn ready(cache: &str, me: Option<String>) -> AnyView {
    let upload = Session::new(cache, me);
    let view = upload.view;
    // The session is the page's: it is kept here, and everything that acts on it is called from here.
    let kept = StoredValue::new_local(upload);
    on_cleanup(move || {
        kept.try_with_value(|session| session.leave());
    });
    let leaving =
        window_event_listener(leptos::ev::beforeunload, move |event: BeforeUnloadEvent| {
            let under_way = matches!(
                view.phase.try_get_untracked(),
                Some(Phase::Sending | Phase::Offline)
            );
            if under_way {
                event.prevent_default();
            }
        });
    on_cleanup(move || leaving.remove());
    let slug = cache.to_owned();
    let forgotten = cache.to_owned();
    // Its folder, where the browser opens it again.
    let folder = RwSignal::new_local(None::<Folder>);
    if view.unfinished.with_untracked(Option::is_some) {
        let cache = cache.to_owned();
        spawn_local(async move {
            let found = folder::recall(&cache).await;
            let _ = folder.try_set(found);
        });
    }
    let unfinished = move || {
        let upload = view.unfinished.get()?;
        let idle = matches!(
            view.phase.get(),
            Phase::Empty | Phase::Looking | Phase::Ready
        );
        let slug = forgotten.clone();
        idle.then(|| {
            let words = view! {
                <p>
                    {format!("{} of {} are done. ", upload.done, format::counted(upload.paths as u64, "path", "paths"))}
                    "Choose " <strong class="break">{upload.from.clone()}</strong>
                    " again: what arrived is not sent once more. It began " {ago(&moment(upload.began))} "."
                </p>
            };
            let forget = button(Weight::Plain, None, "Forget it", move || {
                memory::forget(&slug);
                view.forget_pin();
                view.unfinished.set(None);
            });
            let go_on = folder.get().map(|folder| {
                button(Weight::Primary, None, "Go on with it", move || {
                    let folder = folder.clone();
                    spawn_local(async move {
                        if folder.may_be_read().await {
                            let _ = kept.try_with_value(|session| session.take_folder(folder));
                        }
                    });
                })
            });
            banner(Tone::Note, "An upload is not finished", words, view! { {go_on} {forget} })
        })
    };
    let failed = move || {
        let error = view.failure.get()?;
        Some(failure(&error, false, move || view.failure.set(None)))
    };
    let wrong = move || {
        let trouble = view.wrong.get()?;
        Some(alert(
            Tone::Warn,
            "This cannot be uploaded",
            trouble_line(&trouble),
            (),
        ))
    };
    let unreadable = move || {
        view.unreadable
            .get()
            .into_iter()
            .map(|trouble| alert(Tone::Bad, "", trouble_line(&trouble), ()))
            .collect_view()
    };
    view! {
        {changing(unfinished)}
        {chooser(kept, view)}
        {changing(failed)}
        {changing(wrong)}
        {changing(unreadable)}
        {changing(move || (!view.rows.with(Vec::is_empty)).then(|| plan(&slug, kept, view)))}
    }
    .into_any()
}

/// RFC 3339 of seconds.
fn moment(seconds: i64) -> String {
    js_sys::Date::new(&((seconds as f64) * 1000.0).into())
        .to_iso_string()
        .as_string()
        .unwrap_or_default()
}

/// The session, where everything that acts can reach it.
pub type Kept = StoredValue<Rc<Session>, LocalStorage>;

/// Two places to choose by and to drop on: the browser's own fields, made large.
fn chooser(kept: Kept, view: View) -> AnyView {
    let locked = move || matches!(view.phase.get(), Phase::Sending | Phase::Offline);
    let take = move |event: leptos::ev::Event| {
        let input = event_target::<HtmlInputElement>(&event);
        if let Some(files) = input.files() {
            kept.with_value(|session| session.take(&files));
        }
        // So that choosing the same folder again is a change.
        input.set_value("");
    };
    // The browser's own dialog for folders gives one that can be opened again.
    let dialog = move |event: leptos::ev::MouseEvent| {
        if !folder::can_choose() {
            return;
        }
        event.prevent_default();
        spawn_local(async move {
            if let Some(chosen) = folder::choose().await {
                let _ = kept.try_with_value(|session| session.take_folder(chosen));
            }
        });
    };
    view! {
        <div class="drops" inert=locked class:is-small=move || !view.rows.with(Vec::is_empty)>
            <label class="drop drop-folder">
                <input type="file" id="upload-folder" prop:webkitdirectory=true multiple on:change=take on:click=dialog />
                {icon(Icon::Upload)}
                <strong>"Choose folder"</strong>
                <span>"or drop it here: what " <code>"nix copy --to file://…"</code> " wrote"</span>
            </label>
            <label class="drop">
                <input type="file" id="upload-files" multiple on:change=take />
                {icon(Icon::Paths)}
                <strong>"Choose files"</strong>
                <span>"narinfos and their archives, or one of " <code>"nix-store --export"</code></span>
            </label>
        </div>
    }
    .into_any()
}

/// How to make what is uploaded here.
fn prepare() -> AnyView {
    let name = Field::new("Your key", "");
    name.value.set("alice-laptop-1".to_owned());
    let what = Field::new("What to upload", "A flake's output or a store path.");
    what.value.set(".#default".to_owned());
    let lines = move || {
        let (name, what) = (name.value.get(), what.value.get());
        code_file(
            "In a terminal",
            format!(
                "nix copy --to 'file:///tmp/out?compression=zstd' {what}\nnix store sign --store file:///tmp/out -r -k ~/.config/nix/{name}.secret {what}"
            ),
            "prepare.sh",
        )
    };
    let keys = href(&Route::Access(AccessRoute::Keys));
    card(
        "Prepare a folder",
        (),
        view! {
            <div class="form form-columns">{text_field(what, "text", "off")} {text_field(name, "text", "off")}</div>
            {changing(lines)}
            <p class="muted">
                "The second line can be left out: what is not signed can be signed in this tab. Without a key, make one on "
                <a href=keys>"the page of your keys"</a> "."
            </p>
        },
    )
}

//! A field for the file of a secret key. The file is read in this tab and not sent.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;
use web_sys::HtmlInputElement;

/// Bytes of such a file at most.
const MOST: f64 = 4096.0;

/// The field; `taken` gets the text of the file, or why there is none.
pub fn key_file(
    label: &'static str,
    id: &'static str,
    taken: impl Fn(Result<String, &'static str>) + Clone + 'static,
) -> AnyView {
    let picked = move |event: leptos::ev::Event| {
        let file = event_target::<HtmlInputElement>(&event)
            .files()
            .and_then(|files| files.get(0));
        let taken = taken.clone();
        spawn_local(async move {
            let Some(file) = file.filter(|file| file.size() < MOST) else {
                return taken(Err("A secret key file has about a hundred bytes."));
            };
            let text = JsFuture::from(file.text()).await.ok();
            taken(
                text.and_then(|text| text.as_string())
                    .ok_or("The file cannot be read."),
            );
        });
    };
    view! {
        <p>
            <label class="field">
                <span>{label}</span>
                <input type="file" id=id on:change=picked />
            </label>
        </p>
    }
    .into_any()
}

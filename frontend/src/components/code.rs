//! Text to take along: a file with its name, copy and download; or one command.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, Url};

use crate::components::copy::copy_button;
use crate::components::icon::{Icon, icon};

/// A file: its name as the title, its text, copy, and download under `download_as`.
pub fn code_file(
    title: impl Into<String>,
    text: impl Into<String>,
    download_as: impl Into<String>,
) -> AnyView {
    let (title, text, download_as) = (title.into(), text.into(), download_as.into());
    let copied = text.clone();
    let saved = text.clone();
    let label = format!("Contents of {title}");
    view! {
        <div class="code">
            <div class="code-head">
                <span class="code-head-title">{title}</span>
                <span class="code-actions">
                    {copy_button("Copy the text", true, move || copied.clone())}
                    <button
                        type="button"
                        class="quiet"
                        aria-label=format!("Download {download_as}")
                        on:click=move |_| save(saved.as_bytes(), &download_as)
                    >
                        {icon(Icon::Download)}
                        <span>"Download"</span>
                    </button>
                </span>
            </div>
            <pre tabindex="0" role="group" aria-label=label>{text}</pre>
        </div>
    }
    .into_any()
}

/// One or two lines to run or paste.
pub fn code_line(what: &'static str, text: impl Into<String>) -> AnyView {
    let text = text.into();
    let copied = text.clone();
    view! {
        <div class="code code-bare">
            <pre tabindex="0" role="group" aria-label=what>{text}</pre>
            {copy_button("Copy the lines", false, move || copied.clone())}
        </div>
    }
    .into_any()
}

/// Hands bytes to the browser as a file to save.
pub fn save(bytes: &[u8], name: &str) {
    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(bytes));
    let kind = BlobPropertyBag::new();
    kind.set_type("application/octet-stream");
    let Ok(blob) = Blob::new_with_u8_array_sequence_and_options(&parts, &kind) else {
        return;
    };
    let Ok(url) = Url::create_object_url_with_blob(&blob) else {
        return;
    };
    if let Ok(link) = document().create_element("a") {
        let link: HtmlAnchorElement = link.unchecked_into();
        link.set_href(&url);
        link.set_download(name);
        link.click();
    }
    // The click has taken it; the browser keeps what it needs.
    set_timeout(
        move || {
            let _ = Url::revoke_object_url(&url);
        },
        std::time::Duration::from_secs(10),
    );
}

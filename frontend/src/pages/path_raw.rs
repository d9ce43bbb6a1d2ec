//! The narinfo as it lies in the bucket, byte for byte, with what is signed marked in words.

use leptos::prelude::*;

use crate::components::changing::changing;
use crate::components::code::save;
use crate::components::copy::copy_button;
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::narinfo_lines::{Cover, covers};
use crate::pages::path::PathPage;

/// The tab.
pub fn tab(page: PathPage) -> AnyView {
    let body = move || match page.raw.get() {
        None if page.raw.error().is_none() => skeleton(10, "Fetching the narinfo…"),
        None => ().into_any(),
        Some(bytes) => shown(page, &bytes),
    };
    view! {
        <section class="section">
            {failure_of(page.raw)}
            {changing(body)}
        </section>
    }
    .into_any()
}

/// A text in which every control character but the ends of lines is its picture (U+2400 and on).
fn visible(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' => '\n',
            '\u{7f}' => '\u{2421}',
            '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{2426}'),
            '\u{80}'..='\u{9f}' => '\u{2426}',
            _ => character,
        })
        .collect()
}

fn shown(page: PathPage, bytes: &[u8]) -> AnyView {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let not_text = std::str::from_utf8(bytes).is_err().then(|| {
        view! { <p>"Some bytes are not UTF-8 and are shown as “\u{fffd}”. The download has them as they are."</p> }
    });
    let shown = visible(&text);
    let pictured = (shown != text).then(|| {
        view! { <p>"Control characters are shown by their pictures, such as “␛”. The copy and the download have them as they are."</p> }
    });
    let marks = covers(&text)
        .into_iter()
        .map(|(field, cover)| {
            let spoken = (cover != Cover::Nothing).then(|| {
                view! { <span class="visually-hidden">{format!("{field}: ")}</span> }
            });
            view! { <li class=cover.class()>{spoken} {cover.word()}</li> }
        })
        .collect_view();
    let copied = text.clone();
    let saved = bytes.to_vec();
    let name = format!("{}.narinfo", page.hash.get_value());
    let title = name.clone();
    let length = format::exact_bytes(bytes.len() as u64);
    view! {
        <p class="muted">
            "As it lies in the bucket. “signed” marks what a signature covers; every other line can be changed by whoever can write to the bucket."
        </p>
        {not_text}
        {pictured}
        <div class="code raw">
            <div class="code-head">
                <span>
                    <span class="code-head-title">{title}</span>
                    " "
                    <span class="muted">{length}</span>
                </span>
                <span class="code-actions">
                    {copy_button("Copy the narinfo", true, move || copied.clone())}
                    <button
                        type="button"
                        class="quiet"
                        aria-label="Download the narinfo"
                        on:click=move |_| save(&saved, &name)
                    >
                        {icon(Icon::Download)}
                        <span>"Download"</span>
                    </button>
                </span>
            </div>
            <div class="raw-body">
                <ol class="raw-marks" aria-label="Which fields are signed">{marks}</ol>
                <pre id="narinfo" tabindex="0" role="group" aria-label="Text of the narinfo">{shown}</pre>
            </div>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn control_characters_become_pictures_and_lines_stay() {
        assert_eq!(visible("a\u{1b}[2J\0\r\nb\u{7f}\u{9b}é"), "a␛[2J␀␍\nb␡␦é");
    }
}

//! A text that somebody pastes, drops or types, exactly as it is, and kept in this tab.
//!
//! A text area of the browser knows no line end but `\n`. So what is pasted or dropped is taken
//! before it gets there; what is typed afterwards keeps the line ends that the text had. A secret
//! key never stays: the field is emptied at once.

use leptos::html::Textarea;
use leptos::prelude::*;
use leptos::task::spawn_local;
use snowbank_shared::nix_conf::doctor::{self, Question, Rule, secret_in};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ClipboardEvent, DragEvent, Event, File, HtmlInputElement, HtmlTextAreaElement};

use crate::components::banner::alert;
use crate::components::button::{Weight, button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::fresh_id;
use crate::components::icon::Icon;
use crate::state::derived::effect;

/// Bytes of a text at most: real files have some kilobytes.
const MOST: usize = 1 << 20;

/// A pasted text. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Pasted {
    /// The text, byte for byte.
    pub text: RwSignal<String>,
    /// The name of a secret key that was in what came last.
    pub secret: RwSignal<Option<String>>,
    /// Told when another text came: pasted, dropped, chosen or cleared, not typed.
    pub came: Trigger,
    /// Why what came last was not taken.
    wrong: RwSignal<Option<&'static str>>,
}

impl Pasted {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            text: RwSignal::new(String::new()),
            secret: RwSignal::new(None),
            came: Trigger::new(),
            wrong: RwSignal::new(None),
        }
    }

    /// Takes a text as it is; one with a secret key is not kept.
    pub fn take(self, text: String) {
        self.wrong.set(None);
        if text.len() > MOST {
            self.wrong
                .set(Some("This is more than a megabyte: no configuration is."));
            return;
        }
        match secret_key(&text) {
            Some(name) => {
                self.text.set(String::new());
                self.secret.set(Some(name));
            }
            None => {
                self.secret.set(None);
                self.text.set(text);
            }
        }
    }

    /// What was typed into the area, with the line ends that the text had.
    fn typed(self, shown: &str) {
        let text = self
            .text
            .with_untracked(|before| with_ends_of(before, shown));
        self.take(text);
    }

    /// Takes another text.
    fn renew(self, text: String) {
        self.came.notify();
        self.take(text);
    }

    fn take_file(self, file: File) {
        if file.size() > MOST as f64 {
            self.wrong.set(Some(
                "This file has more than a megabyte: no configuration has.",
            ));
            return;
        }
        spawn_local(async move {
            // As bytes: reading as text would drop a byte order mark.
            let bytes = JsFuture::from(file.array_buffer()).await;
            let bytes = bytes.map(|bytes| js_sys::Uint8Array::new(&bytes).to_vec());
            match bytes.ok().map(String::from_utf8) {
                Some(Ok(text)) => self.renew(text),
                Some(Err(_)) => self.wrong.set(Some("This file is not text in UTF-8.")),
                None => self.wrong.set(Some("The file cannot be read.")),
            }
        });
    }
}

/// The name of the first secret key in a text.
fn secret_key(text: &str) -> Option<String> {
    let damaged = || {
        let findings = doctor::examine(&Question::new(text)).ok()?;
        let stop = findings.into_iter().find(|found| found.rule == Rule::D14)?;
        Some(stop.start..stop.end)
    };
    let word = text.get(secret_in(text).or_else(damaged)?)?;
    let name = word.rsplit_once(':').map_or(word, |(name, _)| name);
    // In the URL of a store it is the value of a parameter; a place may stand before it.
    let name = name.rsplit(['=', ':']).next().unwrap_or(name);
    Some(name.to_owned())
}

/// The text of an area with the line ends of the text that it shows; a byte order mark stays.
fn with_ends_of(before: &str, shown: &str) -> String {
    if normal(before) == shown {
        return before.to_owned();
    }
    if before.contains("\r\n") {
        shown.replace('\n', "\r\n")
    } else {
        shown.to_owned()
    }
}

/// A text as an area shows it.
fn normal(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The field. `hint` says what belongs into it.
pub fn pasted_field(
    label: &'static str,
    hint: &'static str,
    rows: u8,
    pasted: Pasted,
    id: &'static str,
) -> AnyView {
    let area = NodeRef::<Textarea>::new();
    let notes = fresh_id();
    // Only where the area shows something else, so that the caret stays where it is.
    effect(move || {
        let shown = pasted.text.with(|text| normal(text));
        if let Some(area) = area.get()
            && area.value() != shown
        {
            area.set_value(&shown);
        }
    });
    let on_paste = move |event: ClipboardEvent| {
        let Some(text) = event
            .clipboard_data()
            .and_then(|data| data.get_data("text/plain").ok())
        else {
            return;
        };
        let area = event_target::<HtmlTextAreaElement>(&event);
        let length = area.value().encode_utf16().count() as u32;
        let start = area.selection_start().ok().flatten().unwrap_or(0);
        let end = area.selection_end().ok().flatten().unwrap_or(0);
        // A whole text, not a piece of one.
        if start == 0 && end >= length {
            event.prevent_default();
            pasted.renew(text);
        }
    };
    let on_drop = move |event: DragEvent| {
        let file = event
            .data_transfer()
            .and_then(|data| data.files())
            .and_then(|files| files.get(0));
        if let Some(file) = file {
            event.prevent_default();
            pasted.take_file(file);
        }
    };
    let pick = move |event: Event| {
        let input = event_target::<HtmlInputElement>(&event);
        if let Some(file) = input.files().and_then(|files| files.get(0)) {
            pasted.take_file(file);
        }
        // So that choosing the same file again is a change.
        input.set_value("");
    };
    let stop = move || {
        let name = pasted.secret.get()?;
        Some(stopped(&name))
    };
    let wrong = move || {
        let why = pasted.wrong.get()?;
        Some(view! { <span class="field-error">{why}</span> })
    };
    let clear = move || {
        (!pasted.text.with(String::is_empty)).then(|| {
            button(Weight::Quiet, Some(Icon::Cross), "Clear", move || {
                pasted.renew(String::new());
            })
        })
    };
    view! {
        <div class="field pasted">
            <label for=id>{label}</label>
            <textarea
                id=id
                node_ref=area
                rows=rows.to_string()
                autocapitalize="off"
                autocomplete="off"
                spellcheck="false"
                aria-describedby=notes.clone()
                on:input=move |event| pasted.typed(&event_target_value(&event))
                on:paste=on_paste
                on:dragover=move |event: DragEvent| event.prevent_default()
                on:drop=on_drop
            ></textarea>
            <div class="pasted-foot">
                <p class="field-notes" id=notes aria-live="polite">
                    <span class="field-hint">{hint}</span>
                    {changing(wrong)}
                </p>
                <span class="page-actions">
                    <label class="quiet pasted-file">
                        <input type="file" on:change=pick />
                        "Choose a file"
                    </label>
                    {changing(clear)}
                </span>
            </div>
        </div>
        {changing(stop)}
    }
    .into_any()
}

/// D14: the red stop.
fn stopped(name: &str) -> AnyView {
    alert(
        Tone::Bad,
        "D14 Stop: that was a secret key",
        view! {
            <p>
                "The text held the secret key " <strong class="break">{name.to_owned()}</strong>
                ". The field was emptied, and nothing of it left this tab. nix.conf takes public keys only."
            </p>
            <p>
                "Whoever else may have seen it can sign in its name: make a new key under a new name, let the machines trust that one, and retire this one. Clear your clipboard too."
            </p>
        },
        (),
    )
}

/// The line above everything that is pasted.
pub fn promise() -> AnyView {
    view! {
        <p class="promise">
            {crate::components::icon::icon(Icon::Tick)}
            <span>"Nothing you paste is sent. Tokens are masked on screen."</span>
        </p>
    }
    .into_any()
}

/// A text with its tokens masked, for the screen: values of `access-tokens`, passwords of netrc,
/// tokens of this server, and what follows the word Bearer.
pub fn masked(text: &str) -> String {
    text.split_inclusive('\n').map(masked_line).collect()
}

fn masked_line(line: &str) -> String {
    const DOTS: &str = "••••••••";
    let trimmed = line.trim_start();
    if trimmed.starts_with("access-tokens") || trimmed.starts_with("extra-access-tokens") {
        let mut words = line.split_inclusive(char::is_whitespace);
        return words
            .by_ref()
            .map(|word| match word.trim_end().split_once('=') {
                Some((host, token)) if !host.is_empty() && !token.is_empty() => {
                    let end = &word[word.trim_end().len()..];
                    format!("{host}={DOTS}{end}")
                }
                _ => word.to_owned(),
            })
            .collect();
    }
    let mut hides = false;
    line.split_inclusive(char::is_whitespace)
        .map(|word| {
            let bare = word.trim_end();
            if hides && !bare.is_empty() {
                hides = false;
                return format!("{DOTS}{}", &word[bare.len()..]);
            }
            hides |= bare == "password" || bare.eq_ignore_ascii_case("bearer");
            match token_in(bare) {
                Some(at) => format!("{}{DOTS}{}", &bare[..at], &word[bare.len()..]),
                None => word.to_owned(),
            }
        })
        .collect()
}

/// Where in a word a token of this server begins.
fn token_in(word: &str) -> Option<usize> {
    let mut found = word.match_indices("snb_");
    found
        .find(|(at, _)| !word[..*at].ends_with(char::is_alphanumeric))
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use snowbank_shared::signature::SecretKey;

    use super::*;

    #[test]
    fn line_ends_survive_the_area() {
        let windows = "\u{feff}a = b\r\nc = d\r\n";
        assert_eq!(with_ends_of(windows, &normal(windows)), windows);
        assert_eq!(with_ends_of(windows, "a = b\nx"), "a = b\r\nx");
        assert_eq!(with_ends_of("a\nb", "a\nb\n"), "a\nb\n");
        assert_eq!(with_ends_of("", "a\nb"), "a\nb");
    }

    #[test]
    fn a_secret_key_is_found_wherever_it_stands() {
        let key = SecretKey::generate("alice-1", [3; 32]).expect("a key");
        let text = key.to_secret_text().as_str().to_owned();
        for text in [
            text.clone(),
            format!("extra-trusted-public-keys = {text}\n"),
            format!("  key = \"{text}\";"),
            format!("secret-key={text}"),
            format!("s3://bucket?secret-key={text}&x=1"),
            format!("`{text}`"),
            format!("stdin:1:{text}"),
        ] {
            assert_eq!(secret_key(&text).as_deref(), Some("alice-1"), "{text}");
        }
        let public = key.public_key().to_string();
        for text in [
            format!("trusted-public-keys = {public}"),
            "substituters = https://cache.nixos.org".to_owned(),
            String::new(),
        ] {
            assert_eq!(secret_key(&text), None, "{text}");
        }
    }

    #[test]
    fn tokens_are_masked_and_nothing_else() {
        assert_eq!(
            masked("a = b\naccess-tokens = github.com=ghp_x gitlab.com=PAT:y\n"),
            "a = b\naccess-tokens = github.com=•••••••• gitlab.com=••••••••\n"
        );
        assert_eq!(
            masked("machine a login b password c\n  password\td\r\n"),
            "machine a login b password ••••••••\n  password\t••••••••\r\n"
        );
        assert_eq!(
            masked("curl -H 'Authorization: Bearer abc' https://x\ntoken=snb_0123 libsnb_x\n"),
            "curl -H 'Authorization: Bearer •••••••• https://x\ntoken=•••••••• libsnb_x\n"
        );
        let conf =
            "extra-trusted-public-keys = team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=\n";
        assert_eq!(masked(conf), conf);
    }
}

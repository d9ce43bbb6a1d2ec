//! Bytes, with the exact number behind.

use leptos::prelude::*;

use crate::format;

/// A size in IEC units; the exact bytes on hover and in the element.
pub fn size(bytes: u64) -> AnyView {
    view! { <data value=bytes.to_string() title=format::exact_bytes(bytes)>{format::size(bytes)}</data> }
        .into_any()
}

/// The same, or why there is none.
pub fn size_or(bytes: Option<u64>, otherwise: &'static str) -> AnyView {
    match bytes {
        Some(bytes) => size(bytes),
        None => view! { <span class="none">{otherwise}</span> }.into_any(),
    }
}

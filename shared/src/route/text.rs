//! The characters of an address: what is escaped, and how queries are written and read.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::RouteError;

/// What is escaped in a path segment or a query value: all but the unreserved
/// characters of RFC 3986, and of these a segment never needs more.
pub(crate) const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A path segment or query value, escaped for an address.
pub fn escape(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, ESCAPED)
}

pub(super) fn unescape(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

/// A query value; a plus sign is a space, as forms send it.
pub(super) fn unescape_value(text: &str) -> Option<String> {
    unescape(&text.replace('+', "%20"))
}

/// The pairs of a query, unescaped. Pairs without a value, or that do not decode, are left out.
pub fn pairs(query: &str) -> impl Iterator<Item = (&str, String)> {
    query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = unescape_value(value)?;
        (!value.is_empty()).then_some((name, value))
    })
}

/// Writes `?name=value&name=value`.
pub(super) struct QueryWriter<'a, 'b> {
    pub(super) out: &'a mut fmt::Formatter<'b>,
    pub(super) separator: char,
}

impl QueryWriter<'_, '_> {
    pub(super) fn pair(&mut self, name: &str, value: &dyn fmt::Display) -> fmt::Result {
        write!(self.out, "{}{name}={value}", self.separator)?;
        self.separator = '&';
        Ok(())
    }

    pub(super) fn text(&mut self, name: &str, value: &str) -> fmt::Result {
        if value.is_empty() {
            return Ok(());
        }
        self.pair(name, &escape(value))
    }
}

pub(super) fn word<T: FromStr>(name: &'static str, value: &str) -> Result<T, RouteError> {
    value
        .parse()
        .map_err(|_| RouteError::parameter(name, value))
}

/// A segment that can be printed and read back: not empty, no control
/// character, and not one that a browser would resolve away.
pub(super) fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.chars().any(char::is_control)
}

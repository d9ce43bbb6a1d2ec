//! The query string of a request as pairs.

use percent_encoding::percent_decode_str;

/// Bytes of a query string at most.
pub const LONGEST: usize = 16 * 1024;
/// Pairs at most.
pub const MOST: usize = 256;

/// Why a query string cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryStringError {
    /// Too long.
    #[error("the query has more than {LONGEST} bytes or {MOST} parameters")]
    TooLong,
    /// Not UTF-8 when decoded.
    #[error("the query is not UTF-8 text when its escapes are undone")]
    NotText,
}

/// The pairs, decoded as forms encode them: `+` is a space. A name without `=` has an empty value.
///
/// # Errors
/// See [`QueryStringError`].
pub fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, QueryStringError> {
    let query = query.unwrap_or_default();
    if query.len() > LONGEST || query.split('&').count() > MOST {
        return Err(QueryStringError::TooLong);
    }
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn decoded(text: &str) -> Result<String, QueryStringError> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced)
        .decode_utf8()
        .map_err(|_| QueryStringError::NotText)?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_bounded() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs(None), Ok(vec![]));
        assert_eq!(
            pairs(Some("q=a+b%2Bc&&flag&sort=-x&q=%C3%A9")),
            Ok(vec![
                pair("q", "a b+c"),
                pair("flag", ""),
                pair("sort", "-x"),
                pair("q", "é")
            ])
        );
        assert_eq!(pairs(Some("q=%ff")), Err(QueryStringError::NotText));
        assert_eq!(
            pairs(Some(&"a&".repeat(MOST))),
            Err(QueryStringError::TooLong)
        );
        assert_eq!(
            pairs(Some(&"a".repeat(LONGEST + 1))),
            Err(QueryStringError::TooLong)
        );
    }
}

//! Patterns with stars: of claims that a trust rule names, and of paths' names that a key may sign,
//! which have no slash.

/// Whether a text fits a pattern in which `*` stands for any characters but `/`.
#[must_use]
pub fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        let at = if parts.peek().is_none() {
            // The last piece stands at the end.
            let Some(at) = rest.len().checked_sub(part.len()) else {
                return false;
            };
            if !rest.ends_with(part) {
                return false;
            }
            at
        } else {
            match rest.find(part) {
                Some(at) => at,
                None => return false,
            }
        };
        if rest[..at].contains('/') {
            return false;
        }
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stop_at_slashes() {
        for (pattern, text, expected) in [
            ("refs/heads/main", "refs/heads/main", true),
            ("refs/heads/main", "refs/heads/mainline", false),
            ("refs/heads/*", "refs/heads/main", true),
            ("refs/heads/*", "refs/heads/a/b", false),
            ("refs/heads/*", "refs/tags/v1", false),
            ("team/*", "team/repo", true),
            ("team/*", "team-evil/repo", false),
            ("*/repo", "team/repo", true),
            ("v*.*", "v1.2", true),
            ("v*.*", "v12", false),
            ("a*a", "a", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "abxc/", false),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text_of_a_paths_name() {
        for (glob, name) in [
            ("*", "x-1"),
            ("hello", "hello"),
            ("hello-*", "hello-1.0"),
            ("*-dev", "x-dev"),
            ("a*b*c", "a1b2c"),
            ("a*b*c", "abbcc"),
            ("**", "x"),
        ] {
            assert!(fits(glob, name), "{glob} {name}");
        }
        for (glob, name) in [
            ("", "x"),
            ("hello", "hello-1"),
            ("hello-*", "hell"),
            ("*-dev", "x-dev-1"),
            ("a*b*c", "acb"),
            ("ab*ba", "aba"),
        ] {
            assert!(!fits(glob, name), "{glob} {name}");
        }
    }
}

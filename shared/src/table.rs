//! Cells of tables that people take along: CSV and Markdown.
//!
//! Spreadsheets run cells that begin with `=`, `+`, `-` or `@` as formulas, and a store
//! path's name may begin with one. So in CSV such a text gets an apostrophe in front and
//! stands in quotes.

/// Appends a text as a cell of RFC 4180, safe for spreadsheets.
pub fn push_csv(text: &str, out: &mut String) {
    // Tab and carriage return begin a formula too, in some spreadsheets.
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula || text.contains(['"', ',', '\r', '\n']) {
        out.push('"');
        if formula {
            out.push('\'');
        }
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

/// Appends a text as a cell of a table in GitHub's Markdown: what would be markup is escaped,
/// line breaks and control characters are spaces.
pub fn push_markdown(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '\\' | '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '&' | '~' => {
                out.push('\\');
                out.push(character);
            }
            control if control.is_control() => out.push(' '),
            plain => out.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a14_what_a_spreadsheet_would_run_is_text() {
        for (text, cell) in [
            ("plain", "plain"),
            ("", ""),
            ("=1+1", "\"'=1+1\""),
            ("-x", "\"'-x\""),
            ("@a\"b", "\"'@a\"\"b\""),
            ("a,b", "\"a,b\""),
            ("a\nb", "\"a\nb\""),
        ] {
            let mut out = String::new();
            push_csv(text, &mut out);
            assert_eq!(out, cell);
        }
    }

    #[test]
    fn markup_is_text_in_markdown() {
        let mut out = String::new();
        push_markdown("a|b_c <i>\n*", &mut out);
        assert_eq!(out, "a\\|b\\_c \\<i\\> \\*");
    }
}

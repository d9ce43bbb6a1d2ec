//! The two XML documents that reads meet: a page of a listing, and an error.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesText, Event};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ETag;

/// A page of ListObjectsV2 as the store sent it, keys absolute.
#[derive(Debug, Default)]
pub(super) struct ListAnswer {
    pub(super) objects: Vec<Listed>,
    pub(super) prefixes: Vec<String>,
    pub(super) next_token: Option<String>,
    pub(super) truncated: Option<bool>,
    pub(super) key_count: Option<u64>,
}

/// An entry of it.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) last_modified: Option<OffsetDateTime>,
    pub(super) etag: Option<ETag>,
}

/// Reads a page of a listing.
///
/// # Errors
/// Why it is not one, or not a whole one.
pub(super) fn list(xml: &[u8]) -> Result<ListAnswer, String> {
    let mut reader = Reader::from_reader(xml);
    let mut answer = ListAnswer::default();
    // Names from the root down. Deeper than a listing ever is: not a listing.
    let mut path: Vec<Element> = Vec::with_capacity(4);
    let mut text = String::new();
    let mut current = Listed::default();
    let (mut has_key, mut has_size) = (false, false);
    let mut url_encoded = false;
    let mut prefix = None;
    let mut closed = false;
    loop {
        let event = reader
            .read_event()
            .map_err(|error| format!("not well-formed XML: {error}"))?;
        match event {
            Event::Start(start) => {
                if path.is_empty() && start.local_name().as_ref() != b"ListBucketResult" {
                    let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                    return Err(format!("`{name}` where a ListBucketResult was expected"));
                }
                if path.len() >= 8 {
                    return Err("nested deeper than a listing".to_owned());
                }
                let element = Element::named(start.local_name().as_ref());
                if element == Element::Contents {
                    current = Listed::default();
                    (has_key, has_size) = (false, false);
                }
                path.push(element);
                text.clear();
            }
            Event::Empty(_) => {}
            Event::Text(piece) => push_text(&mut text, &piece)?,
            Event::CData(piece) => {
                text.push_str(std::str::from_utf8(&piece).map_err(|_| "not UTF-8".to_owned())?);
            }
            Event::GeneralRef(reference) => push_reference(&mut text, &reference)?,
            Event::End(_) => {
                let element = path.pop();
                match (path.as_slice(), element) {
                    ([], Some(Element::Root)) => closed = true,
                    ([Element::Root], Some(element)) => match element {
                        Element::Contents => {
                            if !has_key || !has_size {
                                return Err("an entry without Key or Size".to_owned());
                            }
                            answer.objects.push(std::mem::take(&mut current));
                        }
                        Element::CommonPrefixes => answer
                            .prefixes
                            .push(prefix.take().ok_or("CommonPrefixes without Prefix")?),
                        Element::IsTruncated => {
                            answer.truncated = Some(match text.trim() {
                                "true" => true,
                                "false" => false,
                                _ => return Err("IsTruncated is neither true nor false".to_owned()),
                            });
                        }
                        Element::NextContinuationToken => {
                            answer.next_token = Some(text.trim().to_owned());
                        }
                        Element::KeyCount => {
                            answer.key_count =
                                Some(text.trim().parse().map_err(|_| "KeyCount is no number")?);
                        }
                        Element::EncodingType => {
                            url_encoded = text.trim().eq_ignore_ascii_case("url");
                        }
                        _ => {}
                    },
                    ([Element::Root, Element::Contents], Some(element)) => match element {
                        Element::Key => {
                            current.key = std::mem::take(&mut text);
                            has_key = true;
                        }
                        Element::Size => {
                            current.size = text.trim().parse().map_err(|_| "Size is no number")?;
                            has_size = true;
                        }
                        Element::LastModified => {
                            let parsed = OffsetDateTime::parse(text.trim(), &Rfc3339);
                            current.last_modified = parsed.ok().map(super::object::to_the_second);
                        }
                        Element::ETag if !text.trim().is_empty() => {
                            current.etag = Some(ETag::new(text.trim()));
                        }
                        _ => {}
                    },
                    ([Element::Root, Element::CommonPrefixes], Some(Element::Prefix)) => {
                        prefix = Some(std::mem::take(&mut text));
                    }
                    _ => {}
                }
                text.clear();
            }
            Event::Eof => break,
            Event::DocType(_) => return Err("a document type, which S3 never sends".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    if !closed {
        return Err("it ends before the listing does".to_owned());
    }
    // The element that says so may come after the keys.
    if url_encoded {
        for object in &mut answer.objects {
            decode_key(&mut object.key)?;
        }
        for prefix in &mut answer.prefixes {
            decode_key(prefix)?;
        }
    }
    Ok(answer)
}

/// The token in a page that says it goes on, found without reading the page: for who asks for
/// the next page at once. What it is worth shows when [`list`] has read the page. `None` too
/// where it is not spelled plainly.
pub(super) fn next_token(xml: &[u8]) -> Option<String> {
    const OPEN: &[u8] = b"<NextContinuationToken>";
    let find = |text: &[u8], from: &[u8]| memchr::memmem::find(from, text);
    find(b"<IsTruncated>true</IsTruncated>", xml)?;
    let start = find(OPEN, xml)? + OPEN.len();
    let length = find(b"<", &xml[start..])?;
    let token = std::str::from_utf8(&xml[start..start + length])
        .ok()?
        .trim();
    (!token.is_empty() && !token.contains('&')).then(|| token.to_owned())
}

/// The elements that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Root,
    Contents,
    CommonPrefixes,
    Prefix,
    Key,
    Size,
    LastModified,
    ETag,
    IsTruncated,
    NextContinuationToken,
    KeyCount,
    EncodingType,
    Other,
}

impl Element {
    fn named(name: &[u8]) -> Self {
        match name {
            b"ListBucketResult" => Self::Root,
            b"Contents" => Self::Contents,
            b"CommonPrefixes" => Self::CommonPrefixes,
            b"Prefix" => Self::Prefix,
            b"Key" => Self::Key,
            b"Size" => Self::Size,
            b"LastModified" => Self::LastModified,
            b"ETag" => Self::ETag,
            b"IsTruncated" => Self::IsTruncated,
            b"NextContinuationToken" => Self::NextContinuationToken,
            b"KeyCount" => Self::KeyCount,
            b"EncodingType" => Self::EncodingType,
            _ => Self::Other,
        }
    }
}

fn push_text(text: &mut String, piece: &BytesText<'_>) -> Result<(), String> {
    let decoded: Cow<'_, str> = piece.decode().map_err(|error| error.to_string())?;
    text.push_str(&decoded);
    Ok(())
}

fn push_reference(
    text: &mut String,
    reference: &quick_xml::events::BytesRef<'_>,
) -> Result<(), String> {
    if let Some(character) = reference
        .resolve_char_ref()
        .map_err(|error| error.to_string())?
    {
        text.push(character);
        return Ok(());
    }
    let name: &[u8] = reference;
    text.push(match name {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        _ => return Err("an unknown entity".to_owned()),
    });
    Ok(())
}

/// Undoes `encoding-type=url`, which is that of forms: a space may be `+`.
fn decode_key(key: &mut String) -> Result<(), String> {
    if !key.contains(['%', '+']) {
        return Ok(());
    }
    let spaced = key.replace('+', " ");
    *key = percent_encoding::percent_decode_str(&spaced)
        .decode_utf8()
        .map_err(|_| "a key that is not UTF-8")?
        .into_owned();
    Ok(())
}

/// Code and message of an error document, where it is one.
pub(super) fn error(xml: &[u8]) -> Option<(String, String)> {
    let mut reader = Reader::from_reader(xml);
    let (mut code, mut message) = (String::new(), String::new());
    let mut depth = 0_usize;
    let mut inside = Vec::new();
    let mut text = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if depth == 0 && start.local_name().as_ref() != b"Error" {
                    return None;
                }
                depth += 1;
                inside = start.local_name().as_ref().to_vec();
                text.clear();
            }
            Event::Text(piece) => push_text(&mut text, &piece).ok()?,
            Event::GeneralRef(reference) => push_reference(&mut text, &reference).ok()?,
            Event::End(_) => {
                depth = depth.checked_sub(1)?;
                match inside.as_slice() {
                    b"Code" if depth == 1 => code = text.trim().to_owned(),
                    b"Message" if depth == 1 => message = text.trim().to_owned(),
                    _ => {}
                }
                inside.clear();
                if depth == 0 {
                    return Some((code, message));
                }
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix>
<KeyCount>3</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
<NextContinuationToken>a&amp;b=</NextContinuationToken>
<Contents><Key>a%2Bb+c%01</Key><LastModified>2026-08-22T10:00:00.123Z</LastModified>
<ETag>&quot;abc&quot;</ETag><Size>12</Size><StorageClass>STANDARD</StorageClass></Contents>
<Contents><Key>z</Key><Size>0</Size></Contents>
<CommonPrefixes><Prefix>nar%2F</Prefix></CommonPrefixes></ListBucketResult>"#;

    #[test]
    fn reads_a_page() {
        let page = list(PAGE.as_bytes()).expect("a page");
        assert_eq!(page.objects.len(), 2);
        assert_eq!(page.objects[0].key, "a+b c\u{1}");
        assert_eq!(page.objects[0].size, 12);
        assert_eq!(page.objects[0].etag, Some(ETag::new("\"abc\"")));
        let modified = page.objects[0].last_modified.expect("a time");
        assert_eq!(modified.nanosecond(), 0);
        assert_eq!(page.objects[1].etag, None);
        assert_eq!(page.prefixes, ["nar/"]);
        assert_eq!(page.next_token.as_deref(), Some("a&b="));
        assert_eq!((page.truncated, page.key_count), (Some(true), Some(3)));
    }

    #[test]
    fn a_token_is_found_without_reading_the_page() {
        // One that needs unescaping waits for the page to be read.
        assert_eq!(next_token(PAGE.as_bytes()), None);
        let plain = PAGE.replace("a&amp;b=", " a/b+c== ");
        assert_eq!(next_token(plain.as_bytes()).as_deref(), Some("a/b+c=="));
        let read = list(plain.as_bytes()).expect("a page");
        assert_eq!(read.next_token.as_deref(), Some("a/b+c=="));
        let last = plain.replace(">true<", ">false<");
        assert_eq!(next_token(last.as_bytes()), None);
        assert_eq!(next_token(b"<NextContinuationToken>x"), None);
    }

    #[test]
    fn no_cut_of_a_page_passes_for_a_page() {
        for end in 0..PAGE.len() {
            assert!(list(&PAGE.as_bytes()[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn other_documents_are_refused() {
        for bad in [
            "",
            "hello",
            "<html><body>Sign in</body></html>",
            "<Error><Code>AccessDenied</Code></Error>",
            "<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult/>",
            "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
            "<ListBucketResult><IsTruncated>yes</IsTruncated></ListBucketResult>",
            "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
        ] {
            assert!(list(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_an_error() {
        let xml = b"<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please &lt;wait&gt;</Message><Resource>/b</Resource></Error>";
        let (code, message) = error(xml).expect("an error");
        assert_eq!(
            (code.as_str(), message.as_str()),
            ("SlowDown", "Please <wait>")
        );
        assert_eq!(error(b"<html><p>502</p></html>"), None);
        assert_eq!(error(b""), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let _ = list(&bytes);
            let _ = error(&bytes);
        }
    }
}

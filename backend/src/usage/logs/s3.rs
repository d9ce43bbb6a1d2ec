//! S3 server access logs, one line for each request: fields with one space between, some in quotes,
//! a dash for what is not known. Amazon adds fields at the end from time to time, so what follows the
//! known ones is passed over; what comes before has to be there and of its shape.
//!
//! ```text
//! OWNER BUCKET [06/Feb/2019:00:00:38 +0000] ADDRESS REQUESTER REQUEST-ID OPERATION KEY
//! "REQUEST" STATUS ERROR-CODE BYTES-SENT OBJECT-SIZE TOTAL-TIME TURN-AROUND-TIME "REFERRER"
//! "USER-AGENT" VERSION HOST-ID SIGNATURE-VERSION CIPHER AUTHENTICATION …
//! ```

use super::line::{Line, Request, Unreadable, decoded, digits, moment, number, number_or_dash};
use super::whose::Whose;

/// Fields that each line has.
const FEWEST: usize = 18;
/// Fields that are looked at; more may follow.
const MOST: usize = 22;

/// Places of the fields.
mod field {
    pub(super) const BUCKET: usize = 1;
    pub(super) const TIME: usize = 2;
    pub(super) const ADDRESS: usize = 3;
    pub(super) const REQUESTER: usize = 4;
    pub(super) const OPERATION: usize = 6;
    pub(super) const KEY: usize = 7;
    pub(super) const REQUEST: usize = 8;
    pub(super) const STATUS: usize = 9;
    pub(super) const BYTES_SENT: usize = 11;
    pub(super) const TURN_AROUND: usize = 14;
    pub(super) const USER_AGENT: usize = 16;
    pub(super) const AUTHENTICATION: usize = 21;
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Reads a line. `bucket`: whose requests are wanted; `None`: all.
/// `whose`: what this server's own are known by.
pub(super) fn line<'a>(
    text: &'a str,
    bucket: Option<&str>,
    whose: &Whose,
) -> Result<Line<'a>, Unreadable> {
    let fields = fields(text)?;
    let get = |at: usize| fields.get(at).copied().unwrap_or("-");
    if get(field::BUCKET).is_empty() {
        return Err(Unreadable("it names no bucket"));
    }
    let at = time(get(field::TIME))?;
    let status = get(field::STATUS);
    if bucket.is_some_and(|bucket| bucket != get(field::BUCKET)) {
        return Ok(Line::Nothing);
    }
    let head = match get(field::OPERATION) {
        "REST.GET.OBJECT" | "WEBSITE.GET.OBJECT" => false,
        "REST.HEAD.OBJECT" | "WEBSITE.HEAD.OBJECT" => true,
        operation if operation.contains('.') => return Ok(Line::Other(at)),
        _ => return Err(Unreadable("it names no operation")),
    };
    let agent = match get(field::USER_AGENT) {
        "-" => "",
        agent => agent,
    };
    let requester = match get(field::REQUESTER) {
        "-" => "",
        requester => requester,
    };
    if whose.has(requester) && is_ours(agent, get(field::AUTHENTICATION)) {
        return Ok(Line::Ours(at));
    }
    // Of a connection that broke off there is none.
    if status == "-" {
        return Ok(Line::Other(at));
    }
    let status = number(status, "its status is no number")?;
    let micros = number_or_dash(get(field::TURN_AROUND), "its turn-around time is no number")?;
    let bytes = number_or_dash(get(field::BYTES_SENT), "the bytes sent are no number")?;
    let address = match get(field::ADDRESS) {
        "-" => None,
        text => Some(
            text.parse()
                .map_err(|_| Unreadable("its address is none"))?,
        ),
    };
    Ok(Line::Read(Request {
        at,
        address,
        requester,
        agent: agent.into(),
        key: decoded(get(field::KEY)),
        head,
        status,
        bytes: bytes.unwrap_or(0),
        // Where a part begins is not told.
        whole: status == 200,
        micros: micros.map(|millis| millis.saturating_mul(1_000)),
    }))
}

/// Whether this server asked, or signed a link for somebody, where who signed it is one of ours: others
/// may share its keys.
///
/// Every request of ours says `snowbank/VERSION`, as its own name or as the SDK's application. One
/// that is signed and has no name at all is an older version's: clients of Nix have names. A link that
/// is signed in its query is a redirect of ours: Nix makes none.
fn is_ours(agent: &str, authentication: &str) -> bool {
    agent.starts_with("snowbank/")
        || agent.contains("app/snowbank")
        || authentication == "QueryString"
        || (agent.is_empty() && authentication == "AuthHeader")
}

/// The first fields of a line, without quotes and brackets.
///
/// From the referrer on a client may have written anything: what cannot be told apart there is not
/// believed to be anything, and what comes before it counts all the same.
fn fields(text: &str) -> Result<Vec<&str>, Unreadable> {
    let mut fields = Vec::with_capacity(MOST);
    let mut rest = text.trim_end_matches(['\r', '\n']);
    while !rest.is_empty() && fields.len() < MOST {
        match next(rest, fields.len()) {
            Ok((field, after)) => {
                fields.push(field);
                rest = after;
            }
            Err(_) if fields.len() > field::TURN_AROUND => return Ok(fields),
            Err(error) => return Err(error),
        }
    }
    if fields.len() < FEWEST {
        return Err(Unreadable("it has too few fields"));
    }
    Ok(fields)
}

/// The field that a text begins with, which is the line's at this place, and what follows it.
fn next(text: &str, place: usize) -> Result<(&str, &str), Unreadable> {
    let (field, after) = match (text.as_bytes().first(), place) {
        (Some(b'"'), field::REQUEST) => match request(&text[1..]) {
            Some(request) => request,
            None => quoted(&text[1..])?,
        },
        (Some(b'"'), _) => quoted(&text[1..])?,
        (Some(b'['), _) => text[1..]
            .split_once(']')
            .ok_or(Unreadable("a bracket does not end"))?,
        _ => text.split_at(text.find(' ').unwrap_or(text.len())),
    };
    match after.strip_prefix(' ') {
        Some(rest) => Ok((field, rest)),
        None if after.is_empty() => Ok((field, "")),
        None => Err(Unreadable("a field does not end with a space")),
    }
}

/// `METHOD ADDRESS HTTP/1.1` up to its quote. An address has no spaces and may have quotes, which then
/// end nothing.
fn request(text: &str) -> Option<(&str, &str)> {
    let mut spaces = text.match_indices(' ').map(|(at, _)| at);
    let version = spaces.nth(1)? + 1;
    let rest = text.get(version..)?;
    let end = version + rest.find('"')?;
    let known = rest.starts_with("HTTP/") && !text[version..end].contains(' ');
    known.then(|| (&text[..end], &text[end + 1..]))
}

/// A text up to the quote that ends it, and what follows. A client's name may have quotes of its own:
/// one that ends a field has a space or nothing behind it.
fn quoted(text: &str) -> Result<(&str, &str), Unreadable> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if bytes.get(at + 1) == Some(&b'"') => at += 1,
            b'"' if matches!(bytes.get(at + 1), None | Some(b' ')) => {
                return Ok((&text[..at], &text[at + 1..]));
            }
            _ => {}
        }
        at += 1;
    }
    Err(Unreadable("a quote does not end"))
}

/// `06/Feb/2019:00:00:38 +0000`
fn time(text: &str) -> Result<i64, Unreadable> {
    let read = || {
        let (clock, zone) = text.split_once(' ')?;
        let mut parts = clock.splitn(2, ':');
        let mut date = parts.next()?.split('/');
        let mut clock = parts.next()?.split(':');
        let day = digits(date.next()?)?;
        let name = date.next()?;
        let month = MONTHS.iter().position(|month| *month == name)?;
        let year = digits(date.next()?)?;
        let clock_of = |parts: &mut std::str::Split<'_, char>| {
            Some((
                digits(parts.next()?)?,
                digits(parts.next()?)?,
                digits(parts.next()?)?,
            ))
        };
        let of_day = clock_of(&mut clock)?;
        let is_over = date.next().is_none() && clock.next().is_none();
        let month = u8::try_from(month + 1).ok()?;
        (is_over && zone == "+0000").then(|| moment((year, month, day), of_day))?
    };
    read().ok_or(Unreadable("its time is none"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As who the bucket knows this server in these tests.
    const US: &str = "arn:aws:sts::123456789012:assumed-role/snowbank/one";

    fn line<'a>(text: &'a str, bucket: Option<&str>) -> Result<Line<'a>, Unreadable> {
        let mut whose = Whose::default();
        whose.learn(US);
        super::line(text, bucket, &whose)
    }

    /// The examples of Amazon's documentation, each on one line.
    const DOCUMENTED: [&str; 4] = [
        "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be amzn-s3-demo-bucket1 [06/Feb/2019:00:00:38 +0000] 192.0.2.3 79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be 3E57427F3EXAMPLE REST.GET.VERSIONING - \"GET /amzn-s3-demo-bucket1?versioning HTTP/1.1\" 200 - 113 - 7 - \"-\" \"S3Console/0.4\" - s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader amzn-s3-demo-bucket1.s3.us-west-1.amazonaws.com TLSV1.2 arn:aws:s3:us-west-1:123456789012:accesspoint/example-AP Yes",
        "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be amzn-s3-demo-bucket1 [06/Feb/2019:00:00:38 +0000] 192.0.2.3 79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be A1206F460EXAMPLE REST.GET.BUCKETPOLICY - \"GET /amzn-s3-demo-bucket1?policy HTTP/1.1\" 404 NoSuchBucketPolicy 297 - 38 - \"-\" \"S3Console/0.4\" - BNaBsXZQQDbssi6xMBdBU2sLt+Yf5kZDmeBUP35sFoKa3sLLeMC78iwEIWxs99CRUrbS4n11234= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader amzn-s3-demo-bucket1.s3.us-west-1.amazonaws.com TLSV1.2 - Yes",
        "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be amzn-s3-demo-bucket1 [06/Feb/2019:00:01:57 +0000] 192.0.2.3 79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be DD6CC733AEXAMPLE REST.PUT.OBJECT s3-dg.pdf \"PUT /amzn-s3-demo-bucket1/s3-dg.pdf HTTP/1.1\" 200 - - 4406583 41754 28 \"-\" \"S3Console/0.4\" - 10S62Zv81kBW7BB6SX4XJ48o6kpcl6LPwEoizZQQxJd5qDSCTLX0TgS37kYUBKQW3+bPdrg1234= SigV4 ECDHE-RSA-AES128-SHA AuthHeader amzn-s3-demo-bucket1.s3.us-west-1.amazonaws.com TLSV1.2 - Yes",
        "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be amzn-s3-demo-bucket1 [06/Feb/2019:00:00:38 +0000] 192.0.2.3 arn:aws:sts::123456789012:assumed-role/roleName/test-role 7B4A0FABBEXAMPLE REST.GET.OBJECT nar/0wsl.nar.xz \"GET /nar/0wsl.nar.xz HTTP/1.1\" 206 - 113 4406583 70 10 \"-\" \"curl/8.5.0 Nix/2.18.1\" - s9lz= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader amzn-s3-demo-bucket1.s3.us-west-1.amazonaws.com TLSV1.2 - - and more of later",
    ];

    #[test]
    fn documented_lines_are_read() {
        for text in &DOCUMENTED[..3] {
            let read = line(text, None);
            assert!(matches!(read, Ok(Line::Other(_))), "{text}: {read:?}");
        }
        let part = Request {
            at: 1_549_411_238,
            address: Some("192.0.2.3".parse().expect("an address")),
            requester: "arn:aws:sts::123456789012:assumed-role/roleName/test-role",
            agent: "curl/8.5.0 Nix/2.18.1".into(),
            key: "nar/0wsl.nar.xz".into(),
            head: false,
            status: 206,
            bytes: 113,
            whole: false,
            micros: Some(10_000),
        };
        let read = line(DOCUMENTED[3], Some("amzn-s3-demo-bucket1"));
        assert_eq!(read, Ok(Line::Read(part)));
        assert_eq!(line(DOCUMENTED[3], Some("another")), Ok(Line::Nothing));
    }

    /// A line of these fields.
    fn made(key: &str, status: &str, agent: &str, authentication: &str) -> String {
        format!(
            "o b [01/Dec/2026:10:40:00 +0000] 2001:db8::7 - R REST.HEAD.OBJECT {key} \"HEAD /{key} HTTP/1.1\" {status} - - - 4 3 \"-\" {agent} - h= SigV4 c {authentication} b.s3.amazonaws.com TLSV1.3"
        )
    }

    #[test]
    fn keys_are_decoded_and_names_may_have_quotes() {
        let text = made("nar%252Fa%2Bb.nar", "404", "\"a \"b\" c\"", "-");
        let Ok(Line::Read(request)) = line(&text, None) else {
            panic!("{:?}", line(&text, None));
        };
        assert_eq!(request.key, "nar/a+b.nar");
        assert_eq!(
            (request.status, request.bytes, request.head),
            (404, 0, true)
        );
        // `b" ` looks like the end of the name; what follows it is not believed to be anything.
        assert_eq!(request.agent, "a \"b");
        let text = made("a", "200", "\"say \\\"hi\\\" now\"", "-");
        let Ok(Line::Read(request)) = line(&text, None) else {
            panic!("{:?}", line(&text, None));
        };
        assert_eq!(request.agent, "say \\\"hi\\\" now");
    }

    #[test]
    fn what_this_server_signed_is_its_own_and_no_name_or_link_of_others_is() {
        for (agent, authentication, ours) in [
            ("\"snowbank/0.1.0\"", "AuthHeader", true),
            (
                "\"aws-sdk-rust/1.3 os/linux app/snowbank\"",
                "AuthHeader",
                true,
            ),
            ("\"curl/8 Nix/2.31\"", "QueryString", true),
            ("\"-\"", "AuthHeader", true),
            ("\"-\"", "-", false),
            ("\"curl/8 Nix/2.31\"", "AuthHeader", false),
        ] {
            let anybody = made("a", "200", agent, authentication);
            let us = anybody.replacen(" - R ", &format!(" {US} R "), 1);
            let other = anybody.replacen(" - R ", &format!(" {US}x R "), 1);
            let is_ours = |text: &str| matches!(line(text, None).expect("a line"), Line::Ours(_));
            assert_eq!(is_ours(&us), ours, "{agent} {authentication}");
            assert!(!is_ours(&anybody), "{agent} {authentication}");
            assert!(!is_ours(&other), "{agent} {authentication}");
        }
    }

    #[test]
    fn nothing_that_a_client_writes_hides_its_line() {
        let good = made("nar/a", "200", "\"n\"", "-");
        for (from, to) in [
            ("HEAD /nar/a HTTP", "HEAD /nar/a?x\" HTTP"),
            ("HEAD /nar/a HTTP", "HEAD /nar/a?[\\\" HTTP"),
            ("\"-\" \"n\"", "\"a\" [b\" \"n\""),
            ("\"-\" \"n\"", "\"a\" \"\" \"n\""),
            ("\"n\" -", "\"n\" [b\" -"),
            ("\"n\" -", "\"n\" \"x -"),
            ("\"n\" - h= SigV4", "\"n"),
        ] {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good);
            let read = line(&text, None);
            let Ok(Line::Read(request)) = read else {
                panic!("{text}: {read:?}");
            };
            assert_eq!((&*request.key, request.status), ("nar/a", 200), "{text}");
        }
    }

    #[test]
    fn broken_lines_say_what_is_wrong() {
        let good = made("a", "200", "\"n\"", "-");
        assert!(matches!(line(&good, None), Ok(Line::Read(_))));
        for (from, to, word) in [
            ("[01/Dec", "[31/Feb", "time"),
            ("+0000", "+0100", "time"),
            ("2001:db8::7", "2001:db8::7::", "address"),
            (" 200 ", " 2x0 ", "status"),
            (" 4 3 ", " 4 -3 ", "turn-around"),
            ("+0000]", "+0000", "bracket"),
            ("+0000]", "+0000]x", "space"),
            ("REST.HEAD.OBJECT", "HEAD", "operation"),
        ] {
            let bad = good.replacen(from, to, 1);
            let error = line(&bad, None).expect_err(&bad).to_string();
            assert!(error.contains(word), "{bad}: {error}");
        }
        let short: Vec<&str> = good.split(' ').take(12).collect();
        assert!(line(&short.join(" "), None).is_err());
        assert!(line("", None).is_err());
    }

    proptest! {
        #[test]
        fn no_line_is_too_odd(text in "\\PC*", at in 0usize..400, odd in "[\"\\[\\] %\\\\-]{0,4}") {
            let _ = line(&text, None);
            // Nearly right is where mistakes are.
            let mut near = made("nar/a", "200", "\"n\"", "-");
            let at = (0..=at.min(near.len())).rev().find(|at| near.is_char_boundary(*at)).unwrap_or(0);
            near.insert_str(at, &odd);
            let _ = line(&near, Some("b"));
            near.truncate(at);
            let _ = line(&near, Some("b"));
        }
    }
}

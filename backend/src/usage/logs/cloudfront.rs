//! Standard logs of CloudFront: two headings, then one line for each request, its fields separated by
//! tabs in the order that `#Fields` names. Fields that are not known are passed over.

use super::line::{Line, Request, Unreadable, decoded, digits, moment, number, number_or_dash};
use crate::config::LogOrigin;

/// Fields of a line that are counted at most.
const MOST: usize = 256;

/// In which place which field is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    date: usize,
    time: usize,
    bytes: usize,
    address: usize,
    method: usize,
    uri: usize,
    status: usize,
    agent: usize,
    result: Option<usize>,
    first_byte: Option<usize>,
    length: Option<usize>,
    range: Option<usize>,
    /// How many there are.
    count: usize,
}

impl Columns {
    /// Reads what stands behind `#Fields:`.
    fn parse(names: &str) -> Result<Self, Unreadable> {
        let names: Vec<&str> = names.split_ascii_whitespace().take(MOST).collect();
        let find = |name: &str| names.iter().position(|known| *known == name);
        let needed = |name: &str| find(name).ok_or(Unreadable("its heading lacks a field"));
        Ok(Self {
            date: needed("date")?,
            time: needed("time")?,
            bytes: needed("sc-bytes")?,
            address: needed("c-ip")?,
            method: needed("cs-method")?,
            uri: needed("cs-uri-stem")?,
            status: needed("sc-status")?,
            agent: needed("cs(User-Agent)")?,
            result: find("x-edge-result-type"),
            first_byte: find("time-to-first-byte"),
            length: find("sc-content-len"),
            range: find("sc-range-start"),
            count: names.len(),
        })
    }
}

/// Reads a line; a heading changes the columns.
pub(super) fn line<'a>(
    text: &'a str,
    columns: &mut Option<Columns>,
    origin: LogOrigin,
) -> Result<Line<'a>, Unreadable> {
    let text = text.trim_end_matches(['\r', '\n']);
    if let Some(heading) = text.strip_prefix('#') {
        if let Some(names) = heading.strip_prefix("Fields:") {
            *columns = Some(Columns::parse(names)?);
        }
        return Ok(Line::Nothing);
    }
    let columns = columns
        .as_ref()
        .ok_or(Unreadable("no heading with the fields came before it"))?;
    let fields: Vec<&str> = text.split('\t').take(MOST).collect();
    if fields.len() < columns.count {
        return Err(Unreadable("it has too few fields"));
    }
    let get = |at: usize| fields.get(at).copied().unwrap_or("-");
    let maybe = |at: Option<usize>| at.map_or("-", get);
    let at = time(get(columns.date), get(columns.time))?;
    let head = match get(columns.method) {
        "GET" => false,
        "HEAD" => true,
        method if method.bytes().all(|byte| byte.is_ascii_uppercase()) && !method.is_empty() => {
            return Ok(Line::Other(at));
        }
        _ => return Err(Unreadable("it names no method")),
    };
    let status: u16 = number(get(columns.status), "its status is no number")?;
    // `000`: the client went before anything was answered.
    if status == 0 {
        return Ok(Line::Other(at));
    }
    let sent: u64 = number(get(columns.bytes), "the bytes sent are no number")?;
    let agent = match get(columns.agent) {
        "-" => "".into(),
        agent => decoded(agent),
    };
    let is_hit = matches!(maybe(columns.result), "Hit" | "RefreshHit");
    // What the CDN passed on was counted where it went. Of this server itself there is nothing here: it
    // asks the bucket, whatever a client says that it is.
    if origin == LogOrigin::Server && !is_hit {
        return Ok(Line::Ours(at));
    }
    let address = match get(columns.address) {
        "-" => None,
        text => Some(
            text.parse()
                .map_err(|_| Unreadable("its address is none"))?,
        ),
    };
    let key = match decoded(get(columns.uri)) {
        std::borrow::Cow::Borrowed(key) => key.trim_start_matches('/').into(),
        std::borrow::Cow::Owned(key) => key.trim_start_matches('/').to_owned().into(),
    };
    let length = number_or_dash(maybe(columns.length), "its length is no number")?;
    let begins = number_or_dash(maybe(columns.range), "the begin of its range is no number")?;
    Ok(Line::Read(Request {
        at,
        address,
        requester: "",
        agent,
        key,
        head,
        status,
        bytes: match (head, length) {
            (true, _) => 0,
            // What was sent has its header in it: more than the body where all of that came.
            (false, Some(length)) => sent.min(length),
            (false, None) => sent,
        },
        whole: status == 200 || begins == Some(0),
        micros: micros(maybe(columns.first_byte)),
    }))
}

/// `2019-12-04` and `21:02:31`
fn time(date: &str, time: &str) -> Result<i64, Unreadable> {
    let read = || {
        let mut parts = date.split('-');
        let date = (
            digits(parts.next()?)?,
            digits(parts.next()?)?,
            digits(parts.next()?)?,
        );
        let mut clock = time.split(':');
        let time = (
            digits(clock.next()?)?,
            digits(clock.next()?)?,
            digits(clock.next()?)?,
        );
        let is_over = parts.next().is_none() && clock.next().is_none();
        is_over.then(|| moment(date, time))?
    };
    read().ok_or(Unreadable("its time is none"))
}

/// Seconds with a fraction, such as `0.081`, as microseconds; `None` where they are none.
fn micros(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: u64 = digits(seconds)?;
    let mut micros = seconds.checked_mul(1_000_000)?;
    let mut worth = 100_000;
    for digit in fraction.bytes() {
        if !digit.is_ascii_digit() {
            return None;
        }
        micros = micros.checked_add(u64::from(digit - b'0') * worth)?;
        worth /= 10;
    }
    Some(micros)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADING: &str = "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start sc-range-end";

    /// The examples of Amazon's documentation.
    const DOCUMENTED: [&str; 2] = [
        "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/index.html\t200\t-\tMozilla/5.0%20(Windows%20NT%2010.0;%20Win64;%20x64)%20AppleWebKit/537.36%20(KHTML,%20like%20Gecko)%20Chrome/78.0.3904.108%20Safari/537.36\t-\t-\tHit\tSOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==\td111111abcdef8.cloudfront.net\thttps\t23\t0.001\t-\tTLSv1.2\tECDHE-RSA-AES128-GCM-SHA256\tHit\tHTTP/2.0\t-\t-\t11040\t0.001\tHit\ttext/html\t78\t-\t-",
        "2019-12-13\t22:36:27\tSEA19-C1\t900\t192.0.2.200\tGET\td111111abcdef8.cloudfront.net\t/favicon.ico\t502\thttp://www.example.com/\tMozilla/5.0%20(Windows%20NT%2010.0;%20Win64;%20x64)%20AppleWebKit/537.36%20(KHTML,%20like%20Gecko)%20Chrome/78.0.3904.108%20Safari/537.36\t-\t-\tError\t1pkpNfBQ39sYMnjjUQjmH2w1wdJnbHYTbag21o_3OfcQgPzdL2RSSQ==\twww.example.com\thttp\t675\t0.102\t-\t-\t-\tError\tHTTP/1.1\t-\t-\t25260\t0.102\tOriginDnsError\ttext/html\t507\t-\t-",
    ];

    fn columns() -> Option<Columns> {
        let mut columns = None;
        assert_eq!(
            line("#Version: 1.0", &mut columns, LogOrigin::Bucket),
            Ok(Line::Nothing)
        );
        assert_eq!(
            line(HEADING, &mut columns, LogOrigin::Bucket),
            Ok(Line::Nothing)
        );
        columns
    }

    #[test]
    fn documented_lines_are_read() {
        let mut columns = columns();
        let hit = Request {
            at: 1_575_493_351,
            address: Some("192.0.2.100".parse().expect("an address")),
            requester: "",
            agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/78.0.3904.108 Safari/537.36".into(),
            key: "index.html".into(),
            head: false,
            status: 200,
            bytes: 78,
            whole: true,
            micros: Some(1_000),
        };
        let read = line(DOCUMENTED[0], &mut columns, LogOrigin::Bucket);
        assert_eq!(read, Ok(Line::Read(hit)));
        let Ok(Line::Read(error)) = line(DOCUMENTED[1], &mut columns, LogOrigin::Bucket) else {
            panic!("a read");
        };
        assert_eq!((error.status, error.micros), (502, Some(102_000)));
        // Nobody hides by a name.
        let named = DOCUMENTED[0].replacen("Mozilla/5.0", "snowbank/0.1.0", 1);
        let read = line(&named, &mut columns, LogOrigin::Bucket);
        assert!(matches!(read, Ok(Line::Read(_))), "{read:?}");
        // Behind the CDN is this server: what it passed on is counted there.
        let read = |text| line(text, &mut columns.clone(), LogOrigin::Server);
        assert!(matches!(read(DOCUMENTED[0]), Ok(Line::Read(_))));
        assert!(matches!(read(DOCUMENTED[1]), Ok(Line::Ours(_))));
    }

    #[test]
    fn broken_lines_say_what_is_wrong() {
        let bad = |from: &str, to: &str| {
            let text = DOCUMENTED[0].replacen(from, to, 1);
            let read = line(&text, &mut columns(), LogOrigin::Bucket);
            read.expect_err(&text).to_string()
        };
        for (from, to, word) in [
            ("2019-12-04", "2019-13-04", "time"),
            ("21:02:31", "21:02", "time"),
            ("\t392\t", "\t-\t", "bytes"),
            ("192.0.2.100", "192.0.2", "address"),
            ("\t200\t", "\tx\t", "status"),
            ("\tGET\t", "\tget\t", "method"),
            ("\t-\t-", "", "fields"),
        ] {
            let error = bad(from, to);
            assert!(error.contains(word), "{from}: {error}");
        }
        let alone = line(DOCUMENTED[0], &mut None, LogOrigin::Bucket);
        assert!(alone.is_err());
        let lacking = line("#Fields: date time", &mut None, LogOrigin::Bucket);
        assert!(lacking.is_err());
        let later = format!("{}\tnew\tfields", DOCUMENTED[0]);
        let read = line(&later, &mut columns(), LogOrigin::Bucket);
        assert!(matches!(read, Ok(Line::Read(_))));
    }

    #[test]
    fn seconds_are_read_as_they_stand() {
        for (text, micros_of) in [
            ("0.001", Some(1_000)),
            ("12", Some(12_000_000)),
            ("1.2345678", Some(1_234_567)),
            ("-", None),
            ("1.x", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(micros(text), micros_of, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_odd(text in "\\PC*", at in 0usize..500, odd in "[\t#%-]{0,4}") {
            let _ = line(&text, &mut None, LogOrigin::Bucket);
            let _ = line(&text, &mut columns(), LogOrigin::Server);
            let mut near = DOCUMENTED[0].to_owned();
            let at = at.min(near.len());
            near.insert_str(at, &odd);
            let _ = line(&near, &mut columns(), LogOrigin::Bucket);
            near.truncate(at);
            let _ = line(&near, &mut columns(), LogOrigin::Bucket);
        }
    }
}

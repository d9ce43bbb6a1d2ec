//! The lines of a log object, packed or not, as many and as long as they may be.

use std::io::{BufRead, BufReader, Read as _};

use flate2::read::MultiGzDecoder;

use super::line::Unreadable;

/// Bytes of an object at most, as stored.
pub(super) const MOST_STORED: usize = 32 << 20;
/// Bytes of its lines at most.
const MOST_UNPACKED: u64 = 512 << 20;
/// Bytes of a line at most.
const MOST_LINE: u64 = 64 << 10;

/// Hands over each line with its number, from 1. Empty ones are none.
///
/// # Errors
/// Where it is no gzip after all, or is too large unpacked; the lines before that were handed over.
pub(super) fn lines(
    bytes: &[u8],
    mut each: impl FnMut(u64, Result<&str, Unreadable>),
) -> Result<(), Unreadable> {
    let unpacked: Box<dyn BufRead + '_> = if bytes.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::new(MultiGzDecoder::new(bytes)))
    } else {
        Box::new(bytes)
    };
    let broken = |_| Unreadable("its gzip is broken");
    let mut unpacked = unpacked.take(MOST_UNPACKED);
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let mut part = (&mut unpacked).take(MOST_LINE);
        let read = part.read_until(b'\n', &mut line).map_err(broken)?;
        if read == 0 {
            break;
        }
        number += 1;
        if !line.ends_with(b"\n") && read as u64 == MOST_LINE {
            unpacked.skip_until(b'\n').map_err(broken)?;
            each(number, Err(Unreadable("it is longer than 64 KiB")));
            continue;
        }
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            each(number, Ok(&text));
        }
    }
    match unpacked.limit() {
        0 => Err(Unreadable("it is larger than 512 MiB unpacked")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(bytes: &[u8]) -> (Vec<(u64, Option<String>)>, bool) {
        let mut found = Vec::new();
        let done = lines(bytes, |number, line| {
            found.push((number, line.ok().map(|line| line.trim_end().to_owned())));
        });
        (found, done.is_ok())
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("packed")
    }

    #[test]
    fn lines_are_the_same_packed_and_plain_and_long_ones_are_passed_over() {
        let long = "x".repeat(200_000);
        let text = format!("one\r\n\n{long}\nfour\nlast");
        let expected = vec![
            (1, Some("one".to_owned())),
            (3, None),
            (4, Some("four".to_owned())),
            (5, Some("last".to_owned())),
        ];
        assert_eq!(read(text.as_bytes()), (expected.clone(), true));
        let whole = packed(text.as_bytes());
        assert_eq!(read(&whole), (expected, true));
        // What came before a break counts; that it broke is told.
        let many = packed("line\n".repeat(100_000).as_bytes());
        let (found, fine) = read(&many[..many.len() / 2]);
        assert!(!found.is_empty() && !fine);
        assert_eq!(read(b""), (Vec::new(), true));
        let (_, fine) = read(&[0x1f, 0x8b, 1, 2, 3]);
        assert!(!fine);
    }
}

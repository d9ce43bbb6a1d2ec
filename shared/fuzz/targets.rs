//! What is fuzzed: plain functions of bytes that must not panic.
//!
//! They check promises, not only the absence of crashes: what is accepted is
//! written back to the same bytes, what comes in pieces is judged as the whole.
//! Two things run them: libFuzzer (`cargo +nightly fuzz run nar` in `shared/`),
//! and on stable, in every test run, the properties of `tests/fuzz_targets.rs`.

use snowbank_shared::nar::{
    Event, Listing, ListingBuilder, ListingLimits, NarError, NarParser, NarWriter, ReferenceScanner,
};

/// The NAR parser, writer, listing and reference scanner. The first byte of
/// the input is the size of the chunks, the rest the archive.
pub fn nar(input: &[u8]) {
    let Some((&first, archive)) = input.split_first() else {
        return;
    };
    let size = usize::from(first) + 1;
    let whole = parse_nar(archive, archive.len().max(1));
    let pieces = parse_nar(archive, size);
    assert_eq!(
        whole, pieces,
        "chunks of {size} bytes are judged differently"
    );
    if let Ok((rewritten, listing)) = whole {
        assert_eq!(
            rewritten, archive,
            "accepted, but not the one archive of its tree"
        );
        let text = listing.to_json();
        let read = Listing::from_json(text.as_bytes(), ListingLimits::default());
        assert_eq!(
            read.as_ref(),
            Ok(&listing),
            "a listing that does not come back"
        );
    }
    let _ = Listing::from_json(
        archive,
        ListingLimits {
            nodes: 1000,
            text: 10_000,
        },
    );

    let Some(hash) = archive.last_chunk::<32>() else {
        return;
    };
    let mut scanner = ReferenceScanner::new([*hash]);
    archive.chunks(size).for_each(|chunk| scanner.push(chunk));
    let is_hash = hash
        .iter()
        .all(|byte| b"0123456789abcdfghijklmnpqrsvwxyz".contains(byte));
    assert_eq!(
        scanner.found().count(),
        usize::from(is_hash),
        "the hash at the end, found only if it is one"
    );
}

fn parse_nar(archive: &[u8], size: usize) -> Result<(Vec<u8>, Listing), NarError> {
    let mut parser = NarParser::new();
    let mut builder = ListingBuilder::new(ListingLimits::default());
    let mut rewritten = Vec::new();
    let mut writer = NarWriter::new(|bytes: &[u8]| rewritten.extend_from_slice(bytes));
    for chunk in archive.chunks(size) {
        parser.push(chunk, &mut |event: Event<'_>| {
            builder.event(&event);
            writer
                .event(event)
                .expect("the writer takes what the parser reports");
        })?;
    }
    parser.finish()?;
    writer
        .finish()
        .expect("the writer is complete when the parser is");
    Ok((
        rewritten,
        builder.finish().expect("a listing of every archive"),
    ))
}

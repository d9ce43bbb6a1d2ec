//! Archives for synthetic paths: real NARs of a chosen size, that compress
//! about as well as packages do and mention the references they should.

use std::sync::Arc;

use snowbank_shared::nar::{NarWriter, WriteError};

use super::random::Random;

/// Share of random bytes among the text. Programs compress to about 0.3 of
/// their size; text of these words alone would compress better.
const NOISE: f64 = 0.03;

/// The archive of a path: a directory with a program, its documentation and,
/// where there are references, a file that names them.
pub(super) fn nar(seed: u64, size: u64, references: &[Arc<str>]) -> Result<Vec<u8>, WriteError> {
    let mut random = Random::new(seed);
    let mut out = Vec::new();
    let mut writer = NarWriter::new(|bytes: &[u8]| out.extend_from_slice(bytes));
    // The frame of directories and names takes about 1.5 kB.
    let contents = size.saturating_sub(1500).max(16);
    writer.directory()?;
    writer.entry(b"bin")?;
    writer.directory()?;
    writer.entry(b"program")?;
    writer.file(&matter(contents * 7 / 8, &mut random), true)?;
    writer.end()?;
    if !references.is_empty() {
        writer.entry(b"nix-support")?;
        writer.directory()?;
        writer.entry(b"references")?;
        let lines: String = references
            .iter()
            .map(|base_name| format!("/nix/store/{base_name}\n"))
            .collect();
        writer.file(lines.as_bytes(), false)?;
        writer.end()?;
    }
    writer.entry(b"sbin")?;
    writer.symlink(b"bin")?;
    writer.entry(b"share")?;
    writer.directory()?;
    writer.entry(b"doc")?;
    writer.file(&matter(contents / 8, &mut random), false)?;
    writer.end()?;
    writer.end()?;
    writer.finish()?;
    Ok(out)
}

/// Words from a small vocabulary with random bytes between them.
fn matter(size: u64, random: &mut Random) -> Vec<u8> {
    let vocabulary: Vec<Vec<u8>> = (0..2048)
        .map(|_| {
            let mut word = vec![0; 4 + random.below(12)];
            random.fill(&mut word);
            // Printable and not of the nix32 alphabet alone: no accidental reference.
            word.iter_mut().for_each(|byte| *byte = b'A' + *byte % 26);
            word
        })
        .collect();
    let size = size as usize;
    let mut out = Vec::with_capacity(size + 16);
    while out.len() < size {
        if random.chance(NOISE) {
            let mut noise = [0; 8];
            random.fill(&mut noise);
            out.extend_from_slice(&noise);
        } else {
            // The square of an even draw prefers the first words, as language does.
            let draw = random.unit();
            out.extend_from_slice(&vocabulary[(draw * draw * 2048.0) as usize]);
            out.push(b' ');
        }
    }
    out.truncate(size);
    out
}

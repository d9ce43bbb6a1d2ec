//! One narinfo on its way into the columns.
//!
//! A [`Record`] is all that the index keeps of one narinfo: the fields, the
//! spelling ([`Layout`]) and what its signatures are worth. Uploads stay records
//! until the next merge; the log is a list of them.

use std::collections::HashSet;
use std::sync::Arc;

use snowbank_shared::api::{ContentStatus, SignatureStatus};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::Judgement;
use snowbank_shared::store_path::{StorePathHash, StorePathRef};

use super::change::ParsedEntry;
use super::chunk::{UNKNOWN, content_code, content_of};
use super::encode::{Encoded, Source, encode};
use super::key::BaseName;
use super::layout::{Fields, Layout, LayoutPool, Line, Piece, Url};
use super::wire::{
    Damaged, put, put_column, put_option, put_text, take, take_column, take_length, take_option,
    take_text,
};

/// What the signatures of a path are worth, without their texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Judged {
    pub(crate) status: SignatureStatus,
    pub(crate) problem: Option<SignatureStatus>,
    /// One word per `Sig` line, in their order.
    pub(crate) verdicts: Box<[SignatureStatus]>,
}

impl Judged {
    /// The words of a judgement.
    pub(crate) fn of(judgement: &Judgement) -> Self {
        let verdicts = judgement.signatures.iter().map(|verdict| verdict.status);
        Self {
            status: judgement.status,
            problem: judgement.problem,
            verdicts: verdicts.collect(),
        }
    }
}

/// Why a narinfo would crash a client (PROTOCOL.md, Distilled 6).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Withheld {
    /// Code of the finding.
    pub(crate) check: Box<str>,
    pub(crate) reason: Box<str>,
}

impl Withheld {
    fn of(narinfo: &NarInfo) -> Option<Arc<Self>> {
        let reason = narinfo.crash_risk()?;
        let check = narinfo.crash_code()?.as_str();
        Some(Arc::new(Self {
            check: check.into(),
            reason: reason.into(),
        }))
    }

    /// Appends it to a file.
    pub(crate) fn write(withheld: Option<&Self>, out: &mut Vec<u8>) {
        put_option(withheld.map(|withheld| &*withheld.check), out);
        if let Some(withheld) = withheld {
            put_text(&withheld.reason, out);
        }
    }

    /// Reads it.
    pub(crate) fn read(bytes: &mut &[u8]) -> Result<Option<Arc<Self>>, Damaged> {
        let Some(check) = take_option(bytes)? else {
            return Ok(None);
        };
        Ok(Some(Arc::new(Self {
            check: check.into(),
            reason: take_text(bytes)?.into(),
        })))
    }
}

/// All that is kept of one narinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) base: BaseName,
    pub(crate) nar_hash: [u8; 32],
    pub(crate) nar_size: u64,
    /// SHA-256 of the file, or zeros; see [`Layout::has_file_hash`].
    pub(crate) file_hash: [u8; 32],
    /// FileSize, or [`UNKNOWN`].
    pub(crate) file_size: u64,
    /// As the narinfo lists them, without repetitions; the path itself among them where it is.
    pub(crate) references: Box<[BaseName]>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) tail: Box<[u8]>,
    /// The text, where the columns cannot give it back.
    pub(crate) raw: Option<Box<[u8]>>,
    /// Seconds since 1970.
    pub(crate) added_at: u32,
    /// Fingerprint of the change token.
    pub(crate) token: u64,
    pub(crate) judged: Judged,
    pub(crate) content: ContentStatus,
    /// Why no client is served it.
    pub(crate) withheld: Option<Arc<Withheld>>,
}

impl Record {
    /// Reduces a parsed narinfo to what the index keeps. `store_dir` is the cache's.
    pub(crate) fn new(entry: &ParsedEntry, store_dir: &str, layouts: &LayoutPool) -> Self {
        let narinfo = &entry.narinfo;
        let path = narinfo.store_path();
        let base = BaseName {
            key: path.hash(),
            name: path.name().into(),
        };
        let references = references(narinfo);
        let nar_hash = narinfo.nar_hash().0;
        let file_hash = narinfo.file_hash().and_then(|hash| hash.as_sha256());
        let signers: Vec<Box<str>> = entry
            .judgement
            .signatures
            .iter()
            .map(|verdict| verdict.key.as_str().into())
            .collect();
        let source = Source {
            bytes: narinfo.to_bytes(),
            store_dir,
            url: narinfo.url(),
            compression: narinfo.compression(),
            signers: &signers,
            references: &references,
            has_file_hash: file_hash.is_some(),
            has_file_size: narinfo.file_size().is_some(),
        };
        let file_hash = file_hash.map_or([0; 32], |hash| hash.0);
        let file_size = narinfo.file_size().unwrap_or(UNKNOWN);
        let fields = Fields {
            key: base.key,
            name: &base.name,
            nar_hash: &nar_hash,
            nar_size: narinfo.nar_size(),
            file_hash: &file_hash,
            file_size,
            tail: &[],
        };
        let Encoded { layout, tail, raw } = encode(&source, &fields);
        Self {
            nar_hash,
            nar_size: narinfo.nar_size(),
            file_hash,
            file_size,
            references: references.into(),
            layout: layouts.share(layout),
            tail,
            raw,
            added_at: u32::try_from(entry.added_at.max(0)).unwrap_or(u32::MAX),
            token: entry.token.fingerprint(),
            judged: Judged::of(&entry.judgement),
            content: ContentStatus::NotChecked,
            withheld: Withheld::of(narinfo),
            base,
        }
    }

    /// What the narinfo is printed from.
    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields {
            key: self.base.key,
            name: &self.base.name,
            nar_hash: &self.nar_hash,
            nar_size: self.nar_size,
            file_hash: &self.file_hash,
            file_size: self.file_size,
            tail: &self.tail,
        }
    }

    /// Whether both say the same to the graph: equal size and references.
    pub(crate) fn same_node(&self, other: &Self) -> bool {
        self.base == other.base
            && self.nar_size == other.nar_size
            && self.references == other.references
    }

    /// Appends it to the log.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_base(&self.base, out);
        put(self.nar_hash, out);
        put(self.nar_size, out);
        put(self.file_hash, out);
        put(self.file_size, out);
        put(self.references.len() as u64, out);
        for reference in &self.references {
            write_base(reference, out);
        }
        write_layout(&self.layout, out);
        put_column(&self.tail, out);
        put(u8::from(self.raw.is_some()), out);
        if let Some(raw) = &self.raw {
            put_column(raw, out);
        }
        put(self.added_at, out);
        put(self.token, out);
        write_judged(&self.judged, out);
        put(content_code(self.content), out);
        Withheld::write(self.withheld.as_deref(), out);
    }

    /// Reads it from the log.
    pub(crate) fn read(bytes: &mut &[u8]) -> Result<Self, Damaged> {
        Ok(Self {
            base: read_base(bytes)?,
            nar_hash: take(bytes)?,
            nar_size: take(bytes)?,
            file_hash: take(bytes)?,
            file_size: take(bytes)?,
            references: (0..take_length(bytes)?)
                .map(|_| read_base(bytes))
                .collect::<Result<_, _>>()?,
            layout: Arc::new(read_layout(bytes)?),
            tail: take_column(bytes)?.into(),
            raw: match take::<u8>(bytes)? {
                0 => None,
                1 => Some(take_column(bytes)?.into()),
                _ => return Err(Damaged),
            },
            added_at: take(bytes)?,
            token: take(bytes)?,
            judged: read_judged(bytes)?,
            content: content_of(take(bytes)?)?,
            withheld: Withheld::read(bytes)?,
        })
    }
}

/// The references of a narinfo in their order, without repetitions.
fn references(narinfo: &NarInfo) -> Vec<BaseName> {
    /// Up to so many are held against each other, which takes less than a table of them.
    const FEW: usize = 32;
    let listed: Vec<StorePathRef<'_>> = narinfo.references().collect();
    let mut seen = HashSet::new();
    let mut references = Vec::with_capacity(listed.len());
    for (n, reference) in listed.iter().enumerate() {
        let repeated = match listed.len() <= FEW {
            true => listed[..n].contains(reference),
            false => !seen.insert(*reference),
        };
        if !repeated {
            references.push(BaseName {
                key: reference.hash(),
                name: reference.name().into(),
            });
        }
    }
    references
}

/// Appends a base name.
pub(crate) fn write_base(base: &BaseName, out: &mut Vec<u8>) {
    put(*base.key.as_bytes(), out);
    put_text(&base.name, out);
}

/// Reads a base name.
pub(crate) fn read_base(bytes: &mut &[u8]) -> Result<BaseName, Damaged> {
    Ok(BaseName {
        key: StorePathHash::from_bytes(take(bytes)?),
        name: take_text(bytes)?.into(),
    })
}

/// A signature word as a byte: its place in [`SignatureStatus::ALL`].
pub(crate) fn status_code(status: SignatureStatus) -> u8 {
    SignatureStatus::ALL
        .iter()
        .position(|&word| word == status)
        .unwrap_or(SignatureStatus::ALL.len()) as u8
}

/// The signature word of a byte.
fn status_of(code: u8) -> Result<SignatureStatus, Damaged> {
    SignatureStatus::ALL
        .get(usize::from(code))
        .copied()
        .ok_or(Damaged)
}

/// Appends a judgement.
pub(crate) fn write_judged(judged: &Judged, out: &mut Vec<u8>) {
    put(status_code(judged.status), out);
    put(judged.problem.map_or(u8::MAX, status_code), out);
    let verdicts: Vec<u8> = judged.verdicts.iter().copied().map(status_code).collect();
    put_column(&verdicts, out);
}

/// Reads a judgement.
pub(crate) fn read_judged(bytes: &mut &[u8]) -> Result<Judged, Damaged> {
    Ok(Judged {
        status: status_of(take(bytes)?)?,
        problem: match take(bytes)? {
            u8::MAX => None,
            code => Some(status_of(code)?),
        },
        verdicts: take_column::<u8>(bytes)?
            .into_iter()
            .map(status_of)
            .collect::<Result<_, _>>()?,
    })
}

/// Appends a layout.
pub(crate) fn write_layout(layout: &Layout, out: &mut Vec<u8>) {
    let lines = layout.lines.as_deref();
    put(u8::from(lines.is_some()), out);
    let lines = lines.unwrap_or_default();
    put(lines.len() as u64, out);
    for line in lines {
        put(line_code(line), out);
        if let Line::Sig(name) = line {
            put_text(name, out);
        }
    }
    match &layout.url {
        Url::Tail => put(u64::MAX, out),
        Url::Pattern(pieces) => {
            put(pieces.len() as u64, out);
            for piece in pieces {
                let code: u8 = match piece {
                    Piece::Text(_) => 0,
                    Piece::FileHash => 1,
                    Piece::FileHashHex => 2,
                    Piece::NarHash => 3,
                    Piece::NarHashHex => 4,
                    Piece::PathHash => 5,
                };
                put(code, out);
                if let Piece::Text(text) = piece {
                    put_text(text, out);
                }
            }
        }
    }
    put_text(&layout.compression, out);
    put(layout.signers.len() as u64, out);
    for signer in &layout.signers {
        put_text(signer, out);
    }
    put(
        u8::from(layout.has_file_hash) | u8::from(layout.has_file_size) << 1,
        out,
    );
}

/// Reads a layout.
pub(crate) fn read_layout(bytes: &mut &[u8]) -> Result<Layout, Damaged> {
    let kept = match take::<u8>(bytes)? {
        0 => false,
        1 => true,
        _ => return Err(Damaged),
    };
    let mut lines = Vec::new();
    for _ in 0..take_length(bytes)? {
        lines.push(read_line(bytes)?);
    }
    let url = {
        let mut ahead = *bytes;
        if take::<u64>(&mut ahead)? == u64::MAX {
            *bytes = ahead;
            Url::Tail
        } else {
            let mut pieces = Vec::new();
            for _ in 0..take_length(bytes)? {
                pieces.push(match take::<u8>(bytes)? {
                    0 => Piece::Text(take_text(bytes)?.into()),
                    1 => Piece::FileHash,
                    2 => Piece::FileHashHex,
                    3 => Piece::NarHash,
                    4 => Piece::NarHashHex,
                    5 => Piece::PathHash,
                    _ => return Err(Damaged),
                });
            }
            Url::Pattern(pieces.into())
        }
    };
    let compression = take_text(bytes)?.into();
    let mut signers: Vec<Box<str>> = Vec::new();
    for _ in 0..take_length(bytes)? {
        signers.push(take_text(bytes)?.into());
    }
    let flags: u8 = take(bytes)?;
    Ok(Layout {
        lines: kept.then(|| lines.into()),
        url,
        compression,
        signers: signers.into(),
        has_file_hash: flags & 1 != 0,
        has_file_size: flags & 2 != 0,
    })
}

fn line_code(line: &Line) -> u8 {
    match line {
        Line::StorePath => 0,
        Line::Url => 1,
        Line::Compression => 2,
        Line::FileHash => 3,
        Line::FileHashHex => 4,
        Line::FileSize => 5,
        Line::NarHash => 6,
        Line::NarHashHex => 7,
        Line::NarSize => 8,
        Line::References => 9,
        Line::Deriver => 10,
        Line::Sig(_) => 11,
        Line::Literal => 12,
    }
}

fn read_line(bytes: &mut &[u8]) -> Result<Line, Damaged> {
    Ok(match take::<u8>(bytes)? {
        0 => Line::StorePath,
        1 => Line::Url,
        2 => Line::Compression,
        3 => Line::FileHash,
        4 => Line::FileHashHex,
        5 => Line::FileSize,
        6 => Line::NarHash,
        7 => Line::NarHashHex,
        8 => Line::NarSize,
        9 => Line::References,
        10 => Line::Deriver,
        11 => Line::Sig(take_text(bytes)?.into()),
        12 => Line::Literal,
        _ => return Err(Damaged),
    })
}

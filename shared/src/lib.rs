//! The vocabulary of Nix binary caches: pure, without I/O, the same code on the
//! server and in the browser.
//!
//! One module per concept, named as Nix names it. A value that exists is a valid
//! one: a [`StorePath`](store_path::StorePath) has been checked, a
//! [`NarInfo`](narinfo::NarInfo) has been read and gives every byte back.
//!
//! | module | what |
//! |---|---|
//! | [`hash`] | nix32, base16, base64, SRI; hashing piece by piece |
//! | [`store_path`] | hash part, name, store directory |
//! | [`content_address`] | the path that follows from content, and hashing content that names itself |
//! | [`narinfo`] | what a cache says of a path: read leniently or strictly, changed by a line, printed |
//! | [`cache_info`] | what a cache says of itself |
//! | [`signature`] | keys, signatures, key rings and what a path's signatures are worth |
//! | [`realisation`] | to which path a derivation's output came, by whose word |
//! | [`nar`] | the archive format: parser, writer, listing, reference scanner |
//! | [`contents`] | the files of an archive with their hashes, and in which two archives differ |
//! | [`key_proof`] | proving that one holds a key |
//! | [`nix_conf`] | the lines by which a client uses a cache: read, simulated, merged, examined |
//! | [`snippets`] | these lines for machines, projects and CI |
//! | [`explain`] | what Nix's messages mean |
//! | [`package`] | package names and versions, compared as Nix does |
//! | [`pasted`] | store paths in whatever text people have |
//! | [`size`] | bytes in words |
//! | [`table`] | cells of CSV and Markdown |
//! | [`api`], [`route`] | what crosses the wire, and the dashboard's addresses |
#![forbid(unsafe_code)]

pub mod api;
pub mod cache_info;
pub mod content_address;
pub mod contents;
pub mod explain;
pub mod hash;
pub mod key_proof;
pub mod nar;
pub mod narinfo;
pub mod nix_conf;
pub mod package;
pub mod pasted;
pub mod pattern;
pub mod realisation;
pub mod route;
pub mod signature;
pub mod size;
pub mod snippets;
pub mod store_path;
pub mod table;

//! Uploading from a browser.
//!
//! What is given (a folder that `nix copy --to file://…` wrote, loose narinfos and
//! archives, or a file of `nix-store --export`) is
//! read where it lies, slice by slice. From there to a published path:
//!
//! 1. [`given`] sorts the files, finds each narinfo's archive and puts the paths in the order of
//!    their references. A file of `nix-store --export` is
//!    cut into its paths ([`export`]). What is no cache gets an explanation and a command.
//! 2. The server is asked which paths are there, which keys are known, and how much room is left.
//! 3. A worker ([`worker`]) unpacks each archive ([`unpack`]) and finds out everything about it
//!    ([`examine`]): the same code as on the server. Nothing is sent meanwhile.
//! 4. [`verdict`] says for each path what will happen, and why not.
//! 5. [`session`] sends what somebody decided to send, through the same requests as `nix copy`
//!    ([`transfer`]): archives four at a time, each narinfo after its archive and after what it
//!    refers to. The server judges everything again; this page only spares people the wait.
//!
//! The server keeps a session of what is sent: it says before what will happen with each path, and
//! large archives go to it in parts. What the server has is not sent again, so an upload that broke
//! off goes on where it was when the same folder is chosen once more; [`memory`] reminds of it, and
//! [`folder`] spares the choosing where the browser lets it.

pub mod examine;
pub mod export;
pub mod folder;
pub mod given;
pub mod memory;
pub mod session;
pub mod transfer;
pub mod unpack;
pub mod verdict;
pub mod worker;

#[cfg(test)]
mod vectors;

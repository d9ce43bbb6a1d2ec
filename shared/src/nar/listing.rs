//! The tree of an archive without the contents of its files: what a cache
//! keeps beside a narinfo as `HASH.ls` (PROTOCOL.md §9).
//!
//! Names and targets are bytes. Where they are UTF-8, as nearly always, the
//! text form is exactly Nix's; where not, see [`Listing::to_json`].

use super::{Event, FileName};

/// The tree of one archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What the store path is itself.
    pub root: ListingNode,
}

/// A file, directory or symlink in a [`Listing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingNode {
    /// A directory.
    Directory {
        /// What is in it, in increasing order of the names' bytes, each name once.
        entries: Vec<(FileName, ListingNode)>,
    },
    /// A file.
    Regular {
        /// Its size in bytes.
        size: u64,
        /// Whether it may be executed.
        executable: bool,
        /// Where its contents begin in the uncompressed archive, in bytes;
        /// unknown where the writer of the listing left it out.
        nar_offset: Option<u64>,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points: any bytes.
        target: Vec<u8>,
    },
}

/// How big a listing may become in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListingLimits {
    /// Files, directories and symlinks, the root included.
    pub nodes: usize,
    /// Bytes of all names and targets together.
    pub text: usize,
}

impl Default for ListingLimits {
    /// A million nodes and 64 MiB of names: several times the largest packages (texlive, linux sources).
    fn default() -> Self {
        Self {
            nodes: 1_000_000,
            text: 64 << 20,
        }
    }
}

/// Why there is no listing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    /// The tree exceeds its [`ListingLimits`].
    #[error("the listing is too large: more than {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// The events or the text ended early, or the events are not those of an archive.
    #[error("the listing is incomplete")]
    Incomplete,
    /// The text is not a `.ls` file.
    #[error("not a listing at byte {offset}: {reason}")]
    Syntax {
        /// Offset in the text, in bytes.
        offset: usize,
        /// What is wrong there.
        reason: String,
    },
}

impl Listing {
    /// The node at `path`: names joined by `/`, empty for the root. Symlinks are not followed.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<&ListingNode> {
        path.split(|&byte| byte == b'/')
            .filter(|name| !name.is_empty())
            .try_fold(&self.root, |node, name| match node {
                ListingNode::Directory { entries } => entries
                    .binary_search_by(|(entry, _)| entry.as_bytes().cmp(name))
                    .ok()
                    .and_then(|index| entries.get(index))
                    .map(|(_, node)| node),
                _ => None,
            })
    }
}

/// Counts a growing tree against its limits.
#[derive(Debug)]
pub(super) struct Budget {
    limits: ListingLimits,
    nodes: usize,
    text: usize,
}

impl Budget {
    pub(super) fn new(limits: ListingLimits) -> Self {
        Self {
            limits,
            nodes: 0,
            text: 0,
        }
    }

    /// One more node.
    pub(super) fn node(&mut self) -> Result<(), ListingError> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(ListingError::TooLarge {
                what: "files, directories and symlinks",
                limit: self.limits.nodes,
            });
        }
        Ok(())
    }

    /// So many more bytes of names and targets.
    pub(super) fn text(&mut self, bytes: usize) -> Result<(), ListingError> {
        self.text = self.text.saturating_add(bytes);
        if self.text > self.limits.text {
            return Err(ListingError::TooLarge {
                what: "bytes of names and targets",
                limit: self.limits.text,
            });
        }
        Ok(())
    }
}

/// A directory whose end has not come: what is in it so far, and the name of the node that comes next.
#[derive(Debug, Default)]
struct OpenDirectory {
    entries: Vec<(FileName, ListingNode)>,
    next: Option<FileName>,
}

/// Makes a [`Listing`] from the events of a [`NarParser`](super::NarParser).
#[derive(Debug)]
pub struct ListingBuilder {
    budget: Budget,
    /// From the root to where the next node goes.
    open: Vec<OpenDirectory>,
    root: Option<ListingNode>,
    /// Why there will be no listing.
    failed: Option<ListingError>,
}

impl ListingBuilder {
    /// An empty one that keeps to `limits`.
    #[must_use]
    pub fn new(limits: ListingLimits) -> Self {
        Self {
            budget: Budget::new(limits),
            open: Vec::new(),
            root: None,
            failed: None,
        }
    }

    /// Takes the next event. Beyond the limits it lets go of what it has and
    /// keeps nothing more; [`finish`](Self::finish) says so.
    pub fn event(&mut self, event: &Event<'_>) {
        if self.failed.is_none()
            && let Err(error) = self.take(event)
        {
            self.failed = Some(error);
            self.open = Vec::new();
            self.root = None;
        }
    }

    /// The finished listing.
    ///
    /// # Errors
    /// [`ListingError::TooLarge`], or [`ListingError::Incomplete`] if the archive did not end.
    pub fn finish(self) -> Result<Listing, ListingError> {
        match (self.failed, self.root) {
            (Some(error), _) => Err(error),
            (None, Some(root)) => Ok(Listing { root }),
            (None, None) => Err(ListingError::Incomplete),
        }
    }

    fn take(&mut self, event: &Event<'_>) -> Result<(), ListingError> {
        match *event {
            Event::Directory => {
                self.budget.node()?;
                self.open.push(OpenDirectory::default());
                Ok(())
            }
            Event::Entry { name } => {
                self.budget.text(name.len())?;
                let directory = self.open.last_mut().ok_or(ListingError::Incomplete)?;
                directory.next = Some(FileName::new(name).map_err(|_| ListingError::Incomplete)?);
                Ok(())
            }
            Event::DirectoryEnd => {
                let directory = self.open.pop().ok_or(ListingError::Incomplete)?;
                self.place(ListingNode::Directory {
                    entries: directory.entries,
                })
            }
            Event::Regular {
                size,
                executable,
                offset,
            } => {
                self.budget.node()?;
                self.place(ListingNode::Regular {
                    size,
                    executable,
                    nar_offset: Some(offset),
                })
            }
            Event::Contents(_) => Ok(()),
            Event::Symlink { target } => {
                self.budget.node()?;
                self.budget.text(target.len())?;
                self.place(ListingNode::Symlink {
                    target: target.to_vec(),
                })
            }
        }
    }

    fn place(&mut self, node: ListingNode) -> Result<(), ListingError> {
        match self.open.last_mut() {
            Some(directory) => {
                let name = directory.next.take().ok_or(ListingError::Incomplete)?;
                directory.entries.push((name, node));
            }
            None => self.root = Some(node),
        }
        Ok(())
    }
}

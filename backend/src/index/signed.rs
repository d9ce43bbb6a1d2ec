//! Whose signatures a path has, without its narinfo being printed.

use snowbank_shared::api::SignatureStatus;

use super::view::{Id, View, known};

impl View {
    /// The names of the keys in a path's `Sig` lines, each with what that signature is worth, in their
    /// order.
    pub fn verdicts(&self, id: Id) -> impl Iterator<Item = (&str, SignatureStatus)> {
        let signers = self.graph.layout(id.0).signers.iter();
        let words = self.graph.judged(id.0).verdicts.iter();
        signers.zip(words).map(|(name, word)| (&**name, *word))
    }

    /// Bytes of a path's archive as it lies in the bucket; `None` where nobody knows.
    pub fn file_size(&self, id: Id) -> Option<u64> {
        known(self.graph.file_size(id.0))
    }
}

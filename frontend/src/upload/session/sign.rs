//! Signing in this tab.

use snowbank_shared::signature::SecretKey;

use super::Session;
use crate::upload::verdict;

impl Session {
    /// Signs, in this tab, what nobody who may has signed. Says how many paths.
    ///
    /// # Errors
    /// Where the text is no secret key, or of none that may sign here.
    pub fn sign(&self, secret: &str) -> Result<usize, String> {
        let key: SecretKey = secret
            .trim()
            .parse()
            .map_err(|error| format!("This is no secret key file: {error}."))?;
        let public = key.public_key().to_string();
        let is_mine = self
            .known
            .borrow()
            .contributors
            .iter()
            .any(|known| known.public_key == public);
        if !is_mine {
            return Err(format!(
                "The key {} is not registered: do that on the page of your keys first.",
                key.name()
            ));
        }
        let mut signed = 0;
        {
            let known = self.known.borrow();
            for item in self.items.borrow_mut().iter_mut() {
                if item.signed.is_ok() {
                    continue;
                }
                let signature = key.sign(item.narinfo.fingerprint().as_bytes());
                if let Ok(with) = item.narinfo.add_signature(&signature) {
                    self.forget_fate(&with.store_path().hash().to_string());
                    item.signed = verdict::signer(&with, &known);
                    item.narinfo = with;
                    signed += 1;
                }
            }
        }
        self.judge();
        Ok(signed)
    }
}

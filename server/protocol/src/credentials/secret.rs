//! A text that nothing shows by accident.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use zeroize::Zeroize as _;

/// A text that is shown nowhere: it has no `Display`, its `Debug` is fixed, and its memory is overwritten when it goes.
///
/// It is read from, and written to, messages as an ordinary string; only what is meant to carry a value has one.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(type = "string")]
pub struct Secret(String);

impl Secret {
    /// Takes a text over.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one who must write or send it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A second holder of the same text; there is no `Clone`, so that none comes about by accident.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(held)" })
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

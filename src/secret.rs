//! Secrets: how they are held, the files they come from ([`SecretFile`]), and how they are kept out of foreign text
//! ([`Mask`]).
//!
//! Must never happen here: a secret in a message, in the log, or in the output of `Debug`.

mod file;
mod mask;

pub use file::{Form, SecretFile};
pub use mask::{Mask, RESERVED};

/// A text that nobody may see. It has no `Display`, and `Debug` shows three stars.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself: for the request that it belongs into, and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_three_stars() {
        let holder = Some(Secret::new("geheim"));
        assert_eq!(format!("{holder:?}"), "Some(***)");
    }
}

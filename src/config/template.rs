//! Writes the table of keys out: as the commented `ferryd.toml` of `ferryd init`, and as the
//! document that the built-in defaults are read from.

use super::keys::{Initial, KEYS};

const HEAD: &str = "\
# The configuration of ferryd.
#
# A line that is commented out shows the default; remove the \"# \" to change it.
# Durations are whole numbers with a unit: 500ms, 30s, 5m, 6h, 7d.
# Any single value can also be set by an environment variable, which wins over this file:
# FERRYD_<SECTION>_<KEY>, for example FERRYD_API_URL.
";

/// A `ferryd.toml` with every key, its meaning and its default commented out. `api.url`, which has
/// no default, shows an example.
pub fn template() -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for key in KEYS {
        if section != key.section() {
            section = key.section();
            text += &format!("\n[{section}]\n");
        }
        let (Initial::Default(value) | Initial::Unset(value)) = key.initial;
        text += "\n";
        for line in key.help.lines() {
            text += &format!("# {line}\n");
        }
        text += &format!("# {} = {value}\n", key.leaf());
    }
    text
}

/// The built-in defaults as a TOML document.
pub(super) fn defaults_document() -> String {
    let mut text = String::new();
    for key in KEYS {
        if let Initial::Default(value) = key.initial {
            text += &format!("{} = {value}\n", key.name);
        }
    }
    text
}

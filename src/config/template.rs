//! Writes the table of keys out: as the commented `ferryd.toml` of `ferryd init` and of the packages, and as the
//! document that the built-in defaults are read from.

use super::keys::{Initial, KEYS, Set};

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
    template_with(&[])
}

/// The `ferryd.toml` of the packages: the template with the database where a service keeps its state. It names no version
/// of ferryd, so that an upgrade asks about a file that its owner changed only when a key has come or changed.
pub fn packaged_template() -> String {
    let version = concat!("ferryd/", env!("CARGO_PKG_VERSION"));
    template_with(&[("database.path", r#""/var/lib/ferryd/ferryd.db""#)])
        .replace(version, "ferryd/<version>")
}

/// The template, in which some keys are set to a TOML value.
fn template_with(set: &[(&str, &str)]) -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for key in KEYS {
        if section != key.section() {
            section = key.section();
            text += &format!("\n[{section}]\n");
        }
        text += "\n";
        for line in key.help.lines() {
            text += &format!("# {line}\n");
        }
        let (Initial::Default(value) | Initial::Unset(value)) = key.initial;
        text += &match set.iter().find(|(name, _)| *name == key.name) {
            Some((_, value)) => format!("{} = {value}\n", key.leaf()),
            None => format!("# {} = {value}\n", key.leaf()),
        };
    }
    text
}

/// What the manual says of a key.
pub struct KeyManual {
    /// `section.key`
    pub name: &'static str,
    /// The environment variable that sets it; tables have none.
    pub variable: Option<String>,
    /// Lines of whole sentences.
    pub help: &'static str,
    /// As a TOML value; `None` where there is none and one is needed.
    pub default: Option<&'static str>,
}

/// Every key, section by section, for the manual page.
pub fn manual() -> impl Iterator<Item = KeyManual> {
    KEYS.iter().map(|key| KeyManual {
        name: key.name,
        variable: matches!(key.set, Set::One(_)).then(|| key.variable()),
        help: key.help,
        default: match key.initial {
            Initial::Default(value) => Some(value),
            Initial::Unset(_) => None,
        },
    })
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

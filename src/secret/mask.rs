//! Keeps secrets out of foreign text: an API that repeats the request in its answer would put them into the database.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Stands in place of a secret.
const STARS: &str = "***";

/// A secret that breaks off at the end of a text is recognised by so many characters of its beginning.
const BEGINNING: usize = 4;

/// All but the unreserved characters (RFC 3986 section 2.3).
pub const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The forms in which the secrets of one moment may turn up.
pub struct Mask {
    /// The longest first, so that none is left over of which another is a part.
    forms: Vec<String>,
}

impl Mask {
    /// A mask for these secrets.
    pub fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Mask {
        let mut forms: Vec<String> = secrets.into_iter().flat_map(forms).collect();
        forms.retain(|form| !form.is_empty());
        forms.sort_by(|a, b| (b.len(), b).cmp(&(a.len(), a)));
        forms.dedup();
        Mask { forms }
    }

    /// The text with stars in place of each secret, also of one that breaks off at the end.
    pub fn cover(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in &self.forms {
            if text.contains(form) {
                text = text.replace(form, STARS);
            }
        }
        if let Some(start) = self.beginning_at_end(&text) {
            text.truncate(start);
            text.push_str(STARS);
        }
        text
    }

    /// Where the longest beginning of a secret starts that the text ends with.
    fn beginning_at_end(&self, text: &str) -> Option<usize> {
        let ends = |form: &str| {
            let cuts = form.char_indices().map(|(at, _)| at).rev();
            cuts.take_while(|at| *at >= BEGINNING)
                .find(|at| text.ends_with(&form[..*at]))
        };
        let longest = self.forms.iter().filter_map(|form| ends(form)).max()?;
        Some(text.len() - longest)
    }
}

/// A secret as it is, and as the usual encodings of answers write it.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let html = secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    vec![
        secret.to_owned(),
        json.replace('/', "\\/"),
        json,
        html.replace('\'', "&#39;"),
        html.replace('\'', "&#x27;"),
        html,
        percent(secret, true),
        percent(secret, true).replace("%20", "+"),
        percent(secret, false),
        unpadded(BASE64_STANDARD.encode(secret)),
        unpadded(BASE64_URL_SAFE.encode(secret)),
    ]
}

fn unpadded(base64: String) -> String {
    base64.trim_end_matches('=').to_owned()
}

/// Percent-encoded, with digits in upper case (RFC 3986 section 2.1) or in lower case.
fn percent(text: &str, upper: bool) -> String {
    let pieces = utf8_percent_encode(text, RESERVED);
    let piece = |piece: &str| match piece.starts_with('%') && !upper {
        true => piece.to_ascii_lowercase(),
        false => piece.to_owned(),
    };
    pieces.map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover(secret: &str, text: &str) -> String {
        Mask::of([secret]).cover(text)
    }

    #[test]
    fn every_form_of_a_secret_is_covered() {
        let secret = r#"a/b"c<d>e f+g&h'i"#;
        for form in forms(secret) {
            let text = format!("you sent {form}, which is wrong");
            assert_eq!(
                cover(secret, &text),
                "you sent ***, which is wrong",
                "{form}"
            );
        }
    }

    #[test]
    fn a_secret_that_breaks_off_at_the_end_is_covered() {
        assert_eq!(cover("geheimnis", "you sent geheimn"), "you sent ***");
        assert_eq!(cover("geheimnis", "you sent gehe"), "you sent ***");
        assert_eq!(cover("geheimnis", "you sent geh"), "you sent geh");
        assert_eq!(cover("pässwörd", "you sent pässw"), "you sent ***");
    }

    #[test]
    fn a_secret_that_is_part_of_another_leaves_nothing_of_it() {
        assert_eq!(Mask::of(["word", "password1"]).cover("password1"), "***");
    }

    #[test]
    fn text_without_a_secret_stays_as_it_is() {
        let mask = Mask::of(["", "geheim"]);
        assert_eq!(mask.cover("nothing to see"), "nothing to see");
    }
}

//! Values in URLs and forms: which bytes stand as they are, and how the others are written.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters (RFC 3986 section 2.3): what comes out can stand anywhere in a URL.
const URL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The application/x-www-form-urlencoded percent-encode set (WHATWG URL standard, section 1.3), less the blank, which is
/// not percent-encoded there.
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b' ');

/// Appends `text` as it stands in the path or in the query of a URL.
pub fn push_url(out: &mut String, text: &str) {
    out.extend(utf8_percent_encode(text, URL));
}

/// Appends `text` as it stands in a form (WHATWG URL standard, section 5.2): as in a URL, but with a plus sign for a blank.
pub fn push_form(out: &mut Vec<u8>, text: &str) {
    for piece in utf8_percent_encode(text, FORM) {
        out.extend(piece.bytes().map(|byte| match byte {
            b' ' => b'+',
            byte => byte,
        }));
    }
}

/// Whether a segment of a URL's path is `.` or `..`, also with percent-encoded dots: on its way it would be taken out, and
/// its neighbour with it (RFC 3986 sections 5.2.4 and 6.2.2.2).
pub fn is_dot_segment(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(plain.as_str(), "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    fn url(text: &str) -> String {
        let mut out = String::new();
        push_url(&mut out, text);
        out
    }

    fn form(text: &str) -> String {
        let mut out = Vec::new();
        push_form(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_url_keeps_the_unreserved_characters_and_no_other() {
        let ascii: String = (' '..='~').collect();
        let kept: String = ascii
            .chars()
            .filter(|c| url(&c.to_string()).len() == 1)
            .collect();
        assert_eq!(
            kept,
            "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
        );
        assert_eq!(url("a b/ü?%\0"), "a%20b%2F%C3%BC%3F%25%00");
    }

    #[test]
    fn a_form_writes_a_blank_as_a_plus_sign() {
        assert_eq!(form("a b+c*~ü&="), "a+b%2Bc*%7E%C3%BC%26%3D");
    }

    #[test]
    fn dots_that_a_path_would_lose_are_seen() {
        for segment in [".", "..", "%2e", ".%2E", "%2e%2E"] {
            assert!(is_dot_segment(segment), "{segment}");
        }
        for segment in ["", "...", "a.", ".a", "%2f"] {
            assert!(!is_dot_segment(segment), "{segment}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(text in any::<String>()) {
            let in_url = url(&text);
            prop_assert!(in_url.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            prop_assert_eq!(percent_decode_str(&in_url).decode_utf8().unwrap(), text.as_str());

            let in_form = form(&text);
            prop_assert!(in_form.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._*%+".contains(&b)));
            let blanks = in_form.replace('+', " ");
            prop_assert_eq!(percent_decode_str(&blanks).decode_utf8().unwrap(), text.as_str());
        }
    }
}

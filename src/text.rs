//! Foreign text, made fit for one line of a log, a table or a terminal.
//!
//! Whatever comes from outside (answers, headers, rows, import lines) goes through here before a
//! person or a file of ours sees it. Pure: no I/O, std only.
//!
//! Invariant: what comes out has no line break, no control character, nothing that turns or hides
//! text, and is never longer than the caller allowed. An escape is never cut in half.

use std::borrow::Cow;
use std::fmt::Write;

/// A number with its word, as in `1 batch` and `2 batches`.
pub fn count(number: i64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

/// Stands at the end of a text that was cut.
const CUT: char = '…';

/// `text` as one printable line of at most `max_bytes` bytes.
///
/// Control characters, line and paragraph separators, bidirectional controls and whatever else
/// cannot be seen are escaped as in a Rust literal: `\n`, `\r`, `\t`, `\u{1b}`. A backslash becomes
/// `\\`, so that an escape cannot be forged: two different texts give two different lines as long
/// as nothing is cut. Letters of all scripts, combining marks and blanks stay as they are.
///
/// A line that would be longer is cut between two characters and ends in `…`, which is counted
/// too. Where not even `…` has room (`max_bytes` below 3) a text that does not fit becomes empty.
pub fn printable(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut line = Line::new(max_bytes);
    let _ = line.push_text(text);
    Cow::Owned(line.text)
}

/// As [`printable`], for bytes that may not be UTF-8: each byte that is not part of a character
/// becomes `\xNN`.
pub fn printable_bytes(bytes: &[u8], max_bytes: usize) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return printable(text, max_bytes);
    }
    let mut line = Line::new(max_bytes);
    for chunk in bytes.utf8_chunks() {
        if line.push_text(chunk.valid()).is_err() || line.push_bytes(chunk.invalid()).is_err() {
            break;
        }
    }
    Cow::Owned(line.text)
}

/// `text` for a terminal, where it may have been through [`printable`] before: then it stays as it is, backslashes and all.
/// The file's own messages are of this kind, but other programs can write there too.
pub fn shown(text: &str) -> Cow<'_, str> {
    match text.chars().all(|c| c == '\\' || is_plain(c)) {
        true => Cow::Borrowed(text),
        false => printable(text, usize::MAX),
    }
}

/// The line is full and has been cut.
struct Full;

/// A line that grows by whole characters and whole escapes up to its bound.
struct Line {
    text: String,
    max: usize,
    /// Up to here the text leaves room for the cut mark.
    keep: usize,
}

impl Line {
    fn new(max: usize) -> Line {
        Line {
            text: String::new(),
            max,
            keep: 0,
        }
    }

    fn push_text(&mut self, text: &str) -> Result<(), Full> {
        text.chars().try_for_each(|c| self.push_char(c))
    }

    fn push_char(&mut self, c: char) -> Result<(), Full> {
        match c {
            '\n' => self.text.push_str("\\n"),
            '\r' => self.text.push_str("\\r"),
            '\t' => self.text.push_str("\\t"),
            '\\' => self.text.push_str("\\\\"),
            c if is_plain(c) => self.text.push(c),
            c => self.text.extend(c.escape_unicode()),
        }
        self.check()
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), Full> {
        bytes.iter().try_for_each(|byte| {
            // Writing to a String cannot fail.
            let _ = write!(self.text, "\\x{byte:02x}");
            self.check()
        })
    }

    /// Looks at the length after each whole character or escape.
    fn check(&mut self) -> Result<(), Full> {
        let len = self.text.len();
        if len + CUT.len_utf8() <= self.max {
            self.keep = len;
        }
        if len <= self.max {
            return Ok(());
        }
        self.text.truncate(self.keep);
        if self.max >= CUT.len_utf8() {
            self.text.push(CUT);
        }
        Err(Full)
    }
}

/// Whether `c` may stand in the line as it is.
fn is_plain(c: char) -> bool {
    match c {
        '\\' => false,
        ' '..='~' => true,
        c => !c.is_control() && !is_unseen(c),
    }
}

/// Characters without a picture of their own, or that change the picture of their neighbours:
/// Unicode's general categories Cf, Zl, Zp and Co, the noncharacters, the variation selectors and
/// the fillers. Combining marks and blanks (Mn, Zs) are not among them: many scripts and
/// ordinary typography need them.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{8e2}'
        | '\u{600}'..='\u{605}' | '\u{890}'..='\u{891}'
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        // Zero-width, marks of direction; line and paragraph separator, embeddings; isolates.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{ffa0}'
        // Private use, noncharacters, variation selectors, byte order mark, annotations.
        | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        // Tags and more variation selectors; private planes.
        | '\u{e0000}'..='\u{10ffff}')
        || (c as u32) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_handed_through_without_a_copy() {
        for text in [
            "",
            "Zürich",
            "東京",
            "{\"city\": \"Köln\"}",
            "กรุงเทพฯ",
            "e\u{301}",
            "a b\u{a0}c",
        ] {
            let line = printable(text, 100);
            assert_eq!(line, text);
            assert!(matches!(line, Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\nb\r\tc", 100), "a\\nb\\r\\tc");
        assert_eq!(printable("\u{1b}[31mred", 100), "\\u{1b}[31mred");
        assert_eq!(
            printable("\0\u{7f}\u{85}\u{9b}", 100),
            "\\u{0}\\u{7f}\\u{85}\\u{9b}"
        );
    }

    #[test]
    fn separators_bidi_controls_and_unseen_characters_are_escaped() {
        let unseen = "\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\
            \u{feff}\u{200b}\u{200d}\u{ad}\u{2060}\u{e000}\u{fffe}\u{1ffff}\u{e0041}\u{fe0f}\u{10ffff}";
        for c in unseen.chars() {
            let expected = format!("a\\u{{{:x}}}b", c as u32);
            assert_eq!(printable(&format!("a{c}b"), 100), expected);
        }
    }

    #[test]
    fn a_forged_escape_differs_from_a_true_one() {
        assert_eq!(printable("\\n", 100), "\\\\n");
        assert_eq!(printable_bytes(b"\\xff \xff", 100), "\\\\xff \\xff");
    }

    #[test]
    fn text_of_exactly_the_bound_is_not_cut() {
        assert_eq!(printable("12345678", 8), "12345678");
        assert_eq!(printable("1234567\n", 9), "1234567\\n");
        assert_eq!(printable("ü", 2), "ü");
    }

    #[test]
    fn a_cut_line_ends_in_the_mark_and_keeps_the_bound() {
        assert_eq!(printable("123456789", 8), "12345…");
        assert_eq!(printable("üüüüü", 8), "üü…");
        assert_eq!(printable("1234\u{1b}5678", 8), "1234…");
        assert_eq!(printable("12\n\n\n", 7), "12\\n…");
    }

    #[test]
    fn a_bound_too_small_for_the_mark_gives_nothing() {
        assert_eq!(printable("abc", 0), "");
        assert_eq!(printable("abc", 2), "");
        assert_eq!(printable("abcd", 3), "…");
    }

    #[test]
    fn bytes_that_are_no_character_are_escaped_one_by_one() {
        assert_eq!(printable_bytes("Genève\n".as_bytes(), 100), "Genève\\n");
        assert_eq!(printable_bytes(b"a\xff\xc3(b", 100), "a\\xff\\xc3(b");
        assert_eq!(printable_bytes(b"\xe2\x82", 100), "\\xe2\\x82");
        assert_eq!(printable_bytes(b"abc\xff\xff\xff", 8), "abc…");
    }

    #[test]
    fn what_was_escaped_before_is_shown_as_it_is_and_the_rest_is_escaped() {
        assert_eq!(shown("a\\nb"), "a\\nb");
        assert_eq!(shown("a\nb"), "a\\nb");
        assert_eq!(shown("\u{1b}[31m\u{202e}"), "\\u{1b}[31m\\u{202e}");
    }

    #[test]
    fn nothing_breaks_the_line_or_the_bound_whatever_comes_in() {
        let all: String = (0..=0x10ffff).filter_map(char::from_u32).collect();
        let line = printable(&all, usize::MAX);
        assert!(!line.chars().any(|c| c.is_control() || is_unseen(c)));
        let bytes: Vec<u8> = (0..=255).rev().cycle().take(600).collect();
        for max in 0..300 {
            assert!(printable(&all, max).len() <= max);
            assert!(printable_bytes(&bytes, max).len() <= max);
        }
    }
}

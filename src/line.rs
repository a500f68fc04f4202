//! Lines for people, measured in the cells of a terminal: cut, wrapped, and coloured where that is wanted.
//!
//! A colour is kept beside its text until the line is shown, so that an escape sequence is never measured or cut in half.
//! Pure: no I/O. What comes in has been through [`crate::text`].

use unicode_width::UnicodeWidthChar;

/// Stands at the end of a text that was cut; one cell.
const CUT: char = '…';

/// What a colour means. There are no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// All is well, or it is no matter of well or ill.
    #[default]
    Plain,
    /// It will be tried again by itself.
    Warn,
    /// It waits for a person.
    Bad,
}

impl Tone {
    /// What the status of a batch or the state of a record means for a person.
    pub fn of_status(status: &str) -> Tone {
        match status {
            "FAILED" | "RETRY" | "UNKNOWN" => Tone::Warn,
            "DEAD" => Tone::Bad,
            _ => Tone::Plain,
        }
    }

    /// Select Graphic Rendition (ECMA-48 §8.3.117): yellow and red.
    fn sequence(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Warn => "\x1b[33m",
            Tone::Bad => "\x1b[31m",
        }
    }
}

/// Text of one tone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    /// Without a line break.
    pub text: String,
    /// Its colour.
    pub tone: Tone,
}

impl Cell {
    /// Text with a meaning.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Cell {
        Cell {
            text: text.into(),
            tone,
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::toned(text, Tone::Plain)
    }
}

/// One line: cells side by side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line(Vec<Cell>);

impl Line {
    /// The line with a further cell.
    pub fn with(mut self, cell: impl Into<Cell>) -> Line {
        self.0.push(cell.into());
        self
    }

    /// Cells of the terminal that it takes.
    pub fn width(&self) -> usize {
        self.0.iter().map(|cell| width(&cell.text)).sum()
    }

    /// The line in at most `max` cells.
    pub fn cut(mut self, max: usize) -> Line {
        if self.width() <= max {
            return self;
        }
        let mut left = max;
        for index in 0..self.0.len() {
            let wide = width(&self.0[index].text);
            let is_last = self.0[index + 1..].iter().all(|cell| cell.text.is_empty());
            // The mark needs a cell, unless nothing comes after.
            if wide < left || (wide == left && is_last) {
                left -= wide;
                continue;
            }
            // All that follows is gone, so this text is cut even where it would just fit.
            self.0[index].text = match wide <= left {
                true => cut(&format!("{}{CUT}", self.0[index].text), left),
                false => cut(&self.0[index].text, left),
            };
            self.0.truncate(index + 1);
            break;
        }
        self
    }

    /// As text, without blanks at its end.
    pub fn show(&self, colour: bool) -> String {
        let mut out = String::new();
        let texts = self
            .0
            .iter()
            .rposition(|cell| !cell.text.trim_end().is_empty());
        for (index, cell) in self.0.iter().enumerate() {
            let text = match texts {
                Some(last) if index < last => cell.text.as_str(),
                Some(last) if index == last => cell.text.trim_end(),
                _ => "",
            };
            match colour && cell.tone != Tone::Plain && !text.is_empty() {
                true => out.extend([cell.tone.sequence(), text, "\x1b[m"]),
                false => out.push_str(text),
            }
        }
        out
    }
}

/// Cells of the terminal that a text takes (Unicode standard annex 11): two for a wide character, none for a mark upon
/// the one before it.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// A text in at most `max` cells.
pub fn cut(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_string();
    }
    let Some(room) = max.checked_sub(1) else {
        return String::new();
    };
    let mut kept = head(text, room).to_string();
    kept.push(CUT);
    kept
}

/// The beginning of a text that takes at most `max` cells.
fn head(text: &str, max: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += c.width().unwrap_or(0);
        taken > max
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// A text in lines of at most `max` cells, broken at blanks where there are any; of more than `lines` lines the last is cut.
pub fn wrap(text: &str, max: usize, lines: usize) -> Vec<String> {
    let mut wrapped = Vec::new();
    let mut rest = text;
    while wrapped.len() + 1 < lines && width(rest) > max {
        let fits = head(rest, max);
        // A character wider than the line ends the line all the same.
        let fits = match fits.is_empty() {
            true => &rest[..rest.chars().next().map_or(0, char::len_utf8)],
            false => fits,
        };
        let at_blank = rest[fits.len()..].starts_with(' ');
        let end = match fits.rfind(' ') {
            Some(blank) if blank > 0 && !at_blank => blank,
            _ => fits.len(),
        };
        wrapped.push(rest[..end].trim_end().to_string());
        rest = rest[end..].trim_start();
    }
    if !rest.is_empty() {
        wrapped.push(cut(rest, max));
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_wide_character_is_not_cut_in_half() {
        assert_eq!(cut("東京都", 6), "東京都");
        assert_eq!(cut("東京都", 5), "東京…");
        assert_eq!(cut("東京都", 4), "東…");
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn a_line_of_several_cells_is_cut_where_it_becomes_too_wide() {
        let line = || Line::default().with("abc").with("def").with("");
        assert_eq!(line().cut(6).show(false), "abcdef");
        assert_eq!(line().cut(5).show(false), "abcd…");
        assert_eq!(line().cut(3).show(false), "ab…");
    }

    #[test]
    fn colours_stand_around_their_text_and_count_for_nothing() {
        let line = Line::default()
            .with("gate ")
            .with(Cell::toned("closed", Tone::Bad));
        assert_eq!(line.width(), 11);
        assert_eq!(line.show(false), "gate closed");
        assert_eq!(line.show(true), "gate \x1b[31mclosed\x1b[m");
        assert_eq!(line.cut(8).show(true), "gate \x1b[31mcl…\x1b[m");
    }

    #[test]
    fn text_wraps_at_blanks_and_the_last_line_is_cut() {
        assert_eq!(wrap("who are you?", 8, 9), ["who are", "you?"]);
        assert_eq!(wrap("who are you?", 7, 9), ["who are", "you?"]);
        assert_eq!(wrap("who are you?", 5, 2), ["who", "are …"]);
        assert_eq!(wrap("abcdefgh", 3, 9), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3, 9), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_it_may_be(text in "\\PC*", max in 2usize..50) {
            prop_assert!(width(&cut(&text, max)) <= max);
            for line in wrap(&text, max, 5) {
                prop_assert!(width(&line) <= max);
            }
            let (one, two) = text.split_at(text.ceil_char_boundary(text.len() / 2));
            prop_assert!(Line::default().with(one).with(two).cut(max).width() <= max);
        }
    }
}

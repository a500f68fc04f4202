//! Placeholders: names of columns in braces, as in `/users/{user_id}/visits?city={city}`.
//!
//! What stands in braces is a name unless it holds a brace, a quote, a colon or a comma: so a header field whose value is
//! JSON stays as it is. `{{city}}` is the text `{city}`.

/// A piece of a text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Stands as it is.
    Text(&'a str),
    /// Stands for the column of this name.
    Column(&'a str),
}

/// The pieces of `text`, in order.
pub fn parse(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    // Up to `start` all is in `pieces`; up to `at` all is known to be text.
    let (mut start, mut at) = (0, 0);
    while let Some(open) = text[at..].find('{').map(|open| at + open) {
        let rest = &text[open..];
        if let Some(name) = name_in(rest, "{{", "}}") {
            // One pair of the braces is text, the other is dropped.
            push_text(&mut pieces, &text[start..open]);
            pieces.push(Piece::Text(&rest[1..name.len() + 3]));
            at = open + name.len() + 4;
            start = at;
        } else if let Some(name) = name_in(rest, "{", "}") {
            push_text(&mut pieces, &text[start..open]);
            pieces.push(Piece::Column(name));
            at = open + name.len() + 2;
            start = at;
        } else {
            at = open + 1;
        }
    }
    push_text(&mut pieces, &text[start..]);
    pieces
}

/// The columns that `text` names, in order.
pub fn columns(text: &str) -> impl Iterator<Item = &str> {
    parse(text).into_iter().filter_map(|piece| match piece {
        Piece::Column(name) => Some(name),
        Piece::Text(_) => None,
    })
}

fn push_text<'a>(pieces: &mut Vec<Piece<'a>>, text: &'a str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}

/// The name that `text` begins with, in these braces.
fn name_in<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (name, _) = text.strip_prefix(open)?.split_once(close)?;
    let fits = |c: char| !matches!(c, '{' | '}' | '"' | '\'' | ':' | ',') && !c.is_control();
    (!name.is_empty() && name.trim() == name && name.chars().all(fits)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::Piece::{Column, Text};
    use super::*;

    #[test]
    fn names_in_braces_are_columns_and_the_rest_is_text() {
        assert_eq!(parse(""), []);
        assert_eq!(parse("plain"), [Text("plain")]);
        assert_eq!(
            parse("/a/{id}?x={ex tra}&{città}"),
            [
                Text("/a/"),
                Column("id"),
                Text("?x="),
                Column("ex tra"),
                Text("&"),
                Column("città")
            ]
        );
        assert_eq!(parse("{a}{b}"), [Column("a"), Column("b")]);
    }

    #[test]
    fn doubled_braces_are_text() {
        assert_eq!(
            parse("a{{b}}c{d}"),
            [Text("a"), Text("{b}"), Text("c"), Column("d")]
        );
    }

    #[test]
    fn braces_that_hold_no_name_stay_as_they_are() {
        for text in [
            "{",
            "}",
            "{}",
            "{ a }",
            "{a",
            "a}",
            "{\"a\":1}",
            "{a:1}",
            "{a,b}",
            "{a\n}",
        ] {
            assert_eq!(parse(text), [Text(text)]);
        }
        assert_eq!(
            parse("{\"path\": \"/{id}\"}"),
            [Text("{\"path\": \"/"), Column("id"), Text("\"}")]
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_but_the_braces(text in "[{}a-c\":]{0,20}") {
            let mut again = String::new();
            for piece in parse(&text) {
                match piece {
                    Text(text) => again += text,
                    Column(name) => again += &format!("{{{name}}}"),
                }
            }
            let bare = |text: &str| text.replace(['{', '}'], "");
            proptest::prop_assert_eq!(bare(&again), bare(&text));
        }
    }
}

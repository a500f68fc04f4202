//! JSON pointers (RFC 6901) into a text that is not read into memory: what stands at one, as a piece of the text.
//!
//! An answer comes from outside. What is built here never grows with what somebody put into it beside the results, and
//! nesting costs no stack.

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;
use std::fmt;

/// Where to look.
#[derive(Debug, Clone)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads a pointer, whose syntax was checked before.
    pub fn new(text: &str) -> Pointer {
        let tokens = text.split('/').skip(1);
        Pointer(
            tokens
                .map(|token| token.replace("~1", "/").replace("~0", "~"))
                .collect(),
        )
    }

    /// What stands there, if anything. Of members with the same name the last one counts.
    ///
    /// # Errors
    /// When the text is no JSON.
    pub fn find<'a>(&self, text: &'a [u8]) -> serde_json::Result<Option<&'a RawValue>> {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let found = Walk(&self.0).deserialize(&mut reader)?;
        reader.end().map(|()| found)
    }
}

/// The way that is left.
struct Walk<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => <&RawValue>::deserialize(reader).map(Some),
            _ => reader.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut found, Some((name, rest))) = (None, self.0.split_first()) else {
            return Ok(None);
        };
        while let Some(is_it) = map.next_key_seed(IsName(name))? {
            match is_it {
                true => found = map.next_value_seed(Walk(rest))?,
                false => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut found, Some((token, rest))) = (None, self.0.split_first()) else {
            return Ok(None);
        };
        let place = index(token);
        for at in 0.. {
            let more = match place == Some(at) {
                true => list
                    .next_element_seed(Walk(rest))?
                    .map(|there| found = there),
                false => list.next_element::<IgnoredAny>()?.map(drop),
            };
            if more.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Digits without a leading zero.
fn index(token: &str) -> Option<usize> {
    let is_index = token == "0" || !token.starts_with(['0', '+']);
    is_index.then(|| token.parse().ok())?
}

/// Whether a member has this name.
struct IsName<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// The members of a list, and how many there are; those beyond `max` are counted and not kept. `None` when it is no list.
///
/// # Errors
/// When the text is no JSON.
pub fn members(list: &RawValue, max: usize) -> serde_json::Result<Option<(Vec<&RawValue>, usize)>> {
    if !list.get().starts_with('[') {
        return Ok(None);
    }
    let mut reader = serde_json::Deserializer::from_str(list.get());
    reader.deserialize_seq(Members { max }).map(Some)
}

struct Members {
    max: usize,
}

impl<'de> Visitor<'de> for Members {
    type Value = (Vec<&'de RawValue>, usize);

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < self.max {
            match list.next_element()? {
                Some(member) => kept.push(member),
                None => break,
            }
        }
        let mut count = kept.len();
        while kept.len() == self.max && list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok((kept, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_pointer_finds_what_serde_json_finds() {
        let text =
            r#"{"a":{"b/c":[1,{"~":"x"},[true]]},"":7,"a":{"b/c":[2,{"~":null}],"0":-1.5e400}}"#;
        let whole: Value = serde_json::from_str(text).unwrap();
        for pointer in [
            "",
            "/",
            "/a",
            "/a/b~1c",
            "/a/b~1c/0",
            "/a/b~1c/1/~0",
            "/a/b~1c/2",
            "/a/b~1c/00",
            "/a/b~1c/+1",
            "/a/b~1c/-",
            "/a/0",
            "/a/0/x",
            "/x",
            "/a/b~1c/1/~0/x",
            "/a/b~1c/99999999999999999999",
        ] {
            let found = Pointer::new(pointer).find(text.as_bytes()).unwrap();
            let found = found.map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap());
            assert_eq!(found.as_ref(), whole.pointer(pointer), "{pointer}");
        }
    }

    #[test]
    fn what_is_cut_off_or_goes_on_after_its_end_is_no_json() {
        for text in [
            "",
            "{\"a\":[1]",
            "{\"a\":[1]}}",
            "{\"a\":[1]} x",
            "{\"a\":[1,]}",
            "{\"a\":\"\u{1}\"}",
        ] {
            assert!(Pointer::new("/a").find(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Pointer::new("/a").find(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn members_are_counted_and_no_more_kept_than_wanted() {
        let members = |text: &str, max| {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            let found = super::members(raw, max).unwrap();
            found.map(|(kept, count)| (kept.len(), count))
        };
        assert_eq!(members("[1,[2],{}]", 3), Some((3, 3)));
        assert_eq!(members("[1,[2],{}]", 2), Some((2, 3)));
        assert_eq!(members("[1]", 3), Some((1, 1)));
        assert_eq!(members("[]", 0), Some((0, 0)));
        assert_eq!(members("{}", 3), None);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!(
            "{{\"deep\":{}{},\"a\":1}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        let found = Pointer::new("/a").find(deep.as_bytes()).unwrap();
        assert_eq!(found.unwrap().get(), "1");
    }
}

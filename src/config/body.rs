//! What can stand behind a key of `api.body`, and how TOML says it.
//!
//! Must never happen here: a form that is guessed. A table is one of the three words if that is its only key, and a nested
//! object otherwise.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// What stands behind a key of the body.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The value of a column, with the type that SQLite stored.
    Column(String),
    /// The JSON text in a column, as it is.
    Json(String),
    /// The same for each record.
    Constant(serde_json::Value),
    /// A nested object, in file order.
    Object(Vec<(String, Content)>),
    /// A list.
    List(Vec<Content>),
}

/// Something in `api.body` that cannot be.
#[derive(Debug)]
pub(super) struct Flaw {
    /// The key inside the body, such as `place.city`.
    pub path: String,
    /// The byte of the document where it stands.
    pub at: usize,
    /// What is allowed, as the end of a sentence that begins with the key.
    pub reason: String,
}

type Members = Vec<(String, Content)>;

/// The members of the body's table, or all that is wrong with it.
pub(super) fn read(table: &DeTable) -> Result<Members, Vec<Flaw>> {
    let mut reader = Reader::default();
    let members = reader.members("", table);
    match reader.flaws.is_empty() {
        true => Ok(members),
        false => Err(reader.flaws),
    }
}

#[derive(Default)]
struct Reader {
    flaws: Vec<Flaw>,
}

impl Reader {
    fn refuse(&mut self, path: &str, at: usize, reason: &str) {
        self.flaws.push(Flaw {
            path: path.to_owned(),
            at,
            reason: reason.to_owned(),
        });
    }

    fn members(&mut self, path: &str, table: &DeTable) -> Members {
        let mut members = Vec::new();
        for (name, value) in in_order(table) {
            let path = match path {
                "" => name.get_ref().to_string(),
                path => format!("{path}.{}", name.get_ref()),
            };
            if let Some(content) = self.content(&path, name.span().start, value.get_ref()) {
                members.push((name.get_ref().to_string(), content));
            }
        }
        members
    }

    fn content(&mut self, path: &str, at: usize, value: &DeValue) -> Option<Content> {
        match value {
            DeValue::String(column) if is_column(column) => {
                Some(Content::Column(column.to_string()))
            }
            DeValue::String(_) => {
                self.refuse(path, at, "must name a column of user_record");
                None
            }
            DeValue::Table(table) => self.table(path, at, table),
            DeValue::Array(list) => self.list(path, at, list),
            _ => {
                let reason =
                    "must be a string, the name of a column; a constant is written { value = … }";
                self.refuse(path, at, reason);
                None
            }
        }
    }

    fn table(&mut self, path: &str, at: usize, table: &DeTable) -> Option<Content> {
        let mut members = table.iter();
        let (first, more) = (members.next(), members.next());
        let only = match (first, more) {
            (None, _) => {
                self.refuse(
                    path,
                    at,
                    "must not be empty; an empty object is written { value = {} }",
                );
                return None;
            }
            (Some((name, value)), None) => Some((name.get_ref().as_ref(), value.get_ref())),
            _ => None,
        };
        match only {
            Some(("value", value)) => match constant(value) {
                Ok(constant) => Some(Content::Constant(constant)),
                Err(reason) => {
                    self.refuse(path, at, reason);
                    None
                }
            },
            Some(("json", DeValue::String(column))) if is_column(column) => {
                Some(Content::Json(column.to_string()))
            }
            Some(("json", _)) => {
                let reason = "must name a column, { json = \"column\" }; \
                     a nested object with this key is written { object = { json = … } }";
                self.refuse(path, at, reason);
                None
            }
            Some(("object", DeValue::Table(table))) if !table.is_empty() => {
                Some(Content::Object(self.members(path, table)))
            }
            Some(("object", _)) => {
                let reason = "must be a table, { object = { key = \"column\" } }; \
                     a nested object with this key is written { object = { object = … } }";
                self.refuse(path, at, reason);
                None
            }
            _ => Some(Content::Object(self.members(path, table))),
        }
    }

    fn list(&mut self, path: &str, at: usize, list: &DeArray) -> Option<Content> {
        if list.is_empty() {
            self.refuse(
                path,
                at,
                "must not be empty; an empty list is written { value = [] }",
            );
            return None;
        }
        let mut items = Vec::new();
        for (number, item) in list.iter().enumerate() {
            let path = format!("{path}[{number}]");
            items.extend(self.content(&path, item.span().start, item.get_ref()));
        }
        Some(Content::List(items))
    }
}

/// Whether the column exists is for the database to say.
fn is_column(name: &str) -> bool {
    !name.is_empty() && !name.contains('\0')
}

/// The parser sorts by name; this sorts by place.
fn in_order<'a, 'b>(
    table: &'a DeTable<'b>,
) -> Vec<(
    &'a Spanned<std::borrow::Cow<'b, str>>,
    &'a Spanned<DeValue<'b>>,
)> {
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(name, _)| name.span().start);
    pairs
}

/// A TOML value as JSON.
fn constant(value: &DeValue) -> Result<serde_json::Value, &'static str> {
    Ok(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(is) => (*is).into(),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_err(|_| "must be a constant of at most 64 bits")?
            .into(),
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok();
            let number = number.and_then(serde_json::Number::from_f64);
            number
                .ok_or("must be a finite number: JSON has no other")?
                .into()
        }
        DeValue::Datetime(_) => return Err("must be text: write the date in quotes"),
        DeValue::Array(list) => {
            let items = list.iter().map(|item| constant(item.get_ref()));
            items.collect::<Result<_, _>>()?
        }
        DeValue::Table(table) => {
            let mut object = serde_json::Map::new();
            for (name, value) in in_order(table) {
                object.insert(name.get_ref().to_string(), constant(value.get_ref())?);
            }
            object.into()
        }
    })
}

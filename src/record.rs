//! A record: a row of `user_record`, as far as the request needs it.

/// A row of `user_record` with the columns that `api.body` names, in that order.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// `user_record.id`.
    pub id: i64,
    /// Times that it was sent before.
    pub attempts: i64,
    /// The columns of the body.
    pub values: Vec<Value>,
}

/// A value with the type that SQLite stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// INTEGER.
    Integer(i64),
    /// REAL.
    Real(f64),
    /// TEXT that is valid UTF-8.
    Text(String),
    /// A BLOB, or TEXT that is not UTF-8: nothing that JSON can carry.
    Bytes,
}

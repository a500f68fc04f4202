//! A record: a row of `user_record`, as far as the request needs it.

/// A row of `user_record` with the columns that the request needs, in the endpoint's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// `user_record.id`.
    pub id: i64,
    /// Times that it was sent before.
    pub attempts: i64,
    /// The columns of the request.
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
    /// A BLOB, or TEXT that is not UTF-8: nothing that a request can carry.
    Bytes,
}

//! The keys of `[api.bulk]`: many records in one request, and where the answer tells what became of each.

use super::super::BulkFormat;
use super::super::values::{one_of, pointer, scalars, whole};
use super::Initial::Default;
use super::Key;
use super::Set::One;

pub(super) const RECORDS: Key = Key {
    name: "api.bulk.records",
    help: "Records in one request, at most; 1 to 10000. 0: each record is a request of its own.",
    initial: Default("0"),
    set: One(|config, given| whole(given, 0..=10_000).map(|n| config.api.bulk.records = n)),
};

pub(super) const FORMAT: Key = Key {
    name: "api.bulk.format",
    help: "How api.body is repeated: \"json\" (an array) or \"ndjson\" (a line for each record).",
    initial: Default(r#""json""#),
    set: One(|config, given| {
        let words = [("json", BulkFormat::Json), ("ndjson", BulkFormat::Ndjson)];
        one_of(given, &words).map(|format| config.api.bulk.format = format)
    }),
};

pub(super) const MAX_BYTES: Key = Key {
    name: "api.bulk.max_bytes",
    help: "Bytes in the body of one request, at most, before any compression; a single record may be longer.",
    initial: Default("1048576"),
    set: One(|config, given| {
        whole(given, 1..=64 << 20).map(|bytes| config.api.bulk.max_bytes = bytes)
    }),
};

pub(super) const ITEMS: Key = Key {
    name: "api.bulk.items",
    help: "Where a 2xx answer has an array with a result for each record, in their order: a JSON pointer\n\
           (RFC 6901) such as \"/results\". Without it a 2xx is a success of all; a request that is refused\n\
           (400, 413, 422, …) is split in halves until the bad record stands alone.",
    initial: Default(r#""""#),
    set: One(|config, given| pointer(given).map(|pointer| config.api.bulk.items = pointer)),
};

pub(super) const OK: Key = Key {
    name: "api.bulk.ok",
    help: "Where in a result stands whether the record was accepted: a JSON pointer.",
    initial: Default(r#""/status""#),
    set: One(|config, given| pointer(given).map(|pointer| config.api.bulk.ok = pointer)),
};

pub(super) const OK_VALUES: Key = Key {
    name: "api.bulk.ok_values",
    help: "The values there that mean \"accepted\", such as [\"created\", \"exists\"]. []: true, and 200 to 299.\n\
           Another number counts as the HTTP status of that record; anything else is tried again.",
    initial: Default("[]"),
    set: One(|config, given| scalars(given).map(|values| config.api.bulk.ok_values = values)),
};

pub(super) const ERROR: Key = Key {
    name: "api.bulk.error",
    help: "Where in a result the reason stands, for people: a JSON pointer.",
    initial: Default(r#""/error""#),
    set: One(|config, given| pointer(given).map(|pointer| config.api.bulk.error = pointer)),
};

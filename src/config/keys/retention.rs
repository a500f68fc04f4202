//! The keys of `[retention]`: how long what was delivered stays in the file.

use std::time::Duration;

use super::super::values::{Given, boolean, positive_duration};
use super::Initial::Default;
use super::Key;
use super::Set::One;

pub(super) const OLDER_THAN: Key = Key {
    name: "retention.older_than",
    help: "SUCCESS batches that ended longer ago than this are deleted, such as \"30d\"; \"off\": all stay.\n\
           What they have delivered stays counted.",
    initial: Default(r#""off""#),
    set: One(|config, given| age(given).map(|age| config.retention.older_than = age)),
};

pub(super) const RECORDS: Key = Key {
    name: "retention.records",
    help: "Whether the delivered rows of user_record go with their batch. There is no way back.",
    initial: Default("false"),
    set: One(|config, given| boolean(given).map(|on| config.retention.records = on)),
};

/// `None` when it is off.
fn age(given: &Given) -> Result<Option<Duration>, String> {
    match given.text() {
        Some("off") => Ok(None),
        _ => positive_duration(given)
            .map(Some)
            .map_err(|error| format!("{error}, or \"off\"")),
    }
}

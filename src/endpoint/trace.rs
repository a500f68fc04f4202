//! A `traceparent` for each request (W3C Trace Context, version 00): the API's traces can be found by what it logged.

use http::HeaderValue;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes trace ids that are never the same.
///
/// A keyed hash of a counter is as good as random here: an id is no secret, it must only be unlike all others, and the
/// standard library takes its keys from the system's randomness.
#[derive(Default)]
pub struct Traces {
    keys: RandomState,
    count: AtomicU64,
}

impl Traces {
    /// `00-<trace id>-<parent id>-01`, where 01 asks to record the trace.
    pub fn next(&self) -> HeaderValue {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        // Ids of nothing but zeros are not valid.
        let part = |number: u8| self.keys.hash_one((count, number)).max(1);
        let text = format!("00-{:016x}{:016x}-{:016x}-01", part(0), part(1), part(2));
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

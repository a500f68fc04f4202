//! The rules between two keys, looked at when all sources have been read.

use super::super::duration::format_duration;
use super::super::{BodyFormat, Content, IdempotencyKey, shown};
use super::{Draft, Subject};
use crate::placeholder;
use crate::retry::RetryPolicy;

impl Draft {
    pub(super) fn check_rules(&mut self) {
        self.check_retry();
        self.check_body();
        self.check_written_headers();
        self.check_bulk();
    }

    /// What is one for a whole request cannot come from single records; a request's records are all of one user.
    fn check_bulk(&mut self) {
        let unknown = |name| self.misread || self.refused.contains(name);
        let api = &self.config.api;
        if unknown("api.bulk.records") || api.bulk.records == 0 {
            return;
        }
        if api.format != BodyFormat::Json {
            let reason = "must be \"json\", because api.bulk puts many records into one body";
            self.blame("api.format", "api.format", reason);
        }
        let api = &self.config.api;
        let url = api.url.iter().map(|url| ("api.url", url));
        let headers = api.headers.iter().map(|(_, value)| ("api.headers", value));
        let of_records: Vec<&str> = url
            .chain(headers)
            .filter(|(_, text)| {
                placeholder::columns(text).any(|column| !column.eq_ignore_ascii_case("user_id"))
            })
            .map(|(key, _)| key)
            .collect();
        for key in of_records {
            let reason = "may hold no placeholder but {user_id}, because api.bulk puts many records of a user into one request";
            self.blame(key, key, reason);
        }
    }

    /// The problem goes to the value that was set last.
    fn check_retry(&mut self) {
        let RetryPolicy {
            interval,
            max_interval,
            ..
        } = self.config.retry;
        let unknown = |name| self.misread || self.refused.contains(name);
        if interval <= max_interval || unknown("retry.interval") || unknown("retry.max_interval") {
            return;
        }
        let place = |name| self.set_by.get(name).map(|subject| &subject.place);
        let (name, reason) = if place("retry.interval") > place("retry.max_interval") {
            let most = format_duration(max_interval);
            let reason = format!("must be at most retry.max_interval, which is {most}");
            ("retry.interval", reason)
        } else {
            let least = format_duration(interval);
            let reason = format!("must be at least retry.interval, which is {least}");
            ("retry.max_interval", reason)
        };
        if let Some(subject) = self.set_by.get(name).cloned() {
            self.report(&subject, &reason);
        }
    }

    /// A body that somebody wrote is sent, and fits the format.
    fn check_body(&mut self) {
        let unknown = |name| self.misread || self.refused.contains(name);
        if unknown("api.format") || unknown("api.method") {
            return;
        }
        let api = &self.config.api;
        if api.method == "HEAD" && api.format != BodyFormat::None {
            let reason = "cannot have a body: set api.format = \"none\"";
            self.blame("api.method", "api.method", reason);
        }
        let api = &self.config.api;
        match api.format {
            BodyFormat::Json => {}
            BodyFormat::None => {
                let reason = "is not sent, because api.format is \"none\": remove one of them";
                self.blame("api.body", "api.body", reason);
            }
            BodyFormat::Form => {
                let unfit = api.body.iter().filter(|(_, content)| !fits_form(content));
                let names: Vec<_> = unfit.map(|(name, _)| format!("api.body.{name}")).collect();
                for name in names {
                    let reason =
                        "must be a column or a single constant, because api.format is \"form\"";
                    self.blame("api.body", &name, reason);
                }
            }
        }
    }

    /// A header field that ferryd writes is not written a second time.
    fn check_written_headers(&mut self) {
        let api = &self.config.api;
        let mut written = Vec::new();
        if api.idempotency_key != IdempotencyKey::Off {
            written.push((api.idempotency_header.clone(), "api.idempotency_header"));
        }
        if api.traceparent {
            written.push(("traceparent".to_owned(), "api.traceparent"));
        }
        for (name, key) in written {
            let mut headers = self.config.api.headers.iter();
            let Some((had, _)) = headers.find(|(had, _)| had.eq_ignore_ascii_case(&name)) else {
                continue;
            };
            let reason = format!("is written by ferryd itself: see {key}");
            let name = format!("api.headers.{had}");
            self.blame("api.headers", &name, &reason);
        }
    }

    /// Reports what is wrong with `name` where somebody set `key`, if somebody did.
    fn blame(&mut self, key: &str, name: &str, reason: &str) {
        let Some(subject) = self.set_by.get(key).cloned() else {
            return;
        };
        // A table's subject ends with its key; the entry at fault is named in its place.
        let name = match subject.name.strip_suffix(key) {
            Some(place) => format!("{place}{}", shown(name)),
            None => subject.name,
        };
        let place = subject.place;
        self.report(&Subject { place, name }, reason);
    }
}

/// A form is a flat list of names and texts.
fn fits_form(content: &Content) -> bool {
    match content {
        Content::Column(_) => true,
        Content::Constant(value) => value.is_string() || value.is_number() || value.is_boolean(),
        Content::Json(_) | Content::Object(_) | Content::List(_) => false,
    }
}

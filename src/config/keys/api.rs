//! The keys of `[api]`, but for those of access and of its sections: the destination and the shape of a request.

use super::super::request::{api_url, key_header};
use super::super::values::{
    boolean, check_header, check_verdict, method, one_of, positive_duration, proxy, rate_limit,
    user_agent, whole,
};
use super::super::{BodyFormat, Compress, IdempotencyKey};
use super::Initial::{Default, Unset};
use super::Set::{self, One};
use super::{Key, Table};

pub(super) const URL: Key = Key {
    name: "api.url",
    help: "Where the records are sent, http or https. Required; there is no default.\n\
           {column} in the path or in the query stands for a column of the record,\n\
           percent-encoded: \"https://api.example/users/{user_id}?city={city}\".",
    initial: Unset(r#""http://127.0.0.1:8080/records""#),
    set: One(|config, given| api_url(given).map(|url| config.api.url = Some(url))),
};

pub(super) const METHOD: Key = Key {
    name: "api.method",
    help: "The HTTP method, in upper case.",
    initial: Default(r#""POST""#),
    set: One(|config, given| method(given).map(|method| config.api.method = method)),
};

pub(super) const TIMEOUT: Key = Key {
    name: "api.timeout",
    help: "How long a whole request may take.",
    initial: Default(r#""30s""#),
    set: One(|config, given| positive_duration(given).map(|d| config.api.timeout = d)),
};

pub(super) const CONNECT_TIMEOUT: Key = Key {
    name: "api.connect_timeout",
    help: "How long connecting may take.",
    initial: Default(r#""5s""#),
    set: One(|config, given| positive_duration(given).map(|d| config.api.connect_timeout = d)),
};

pub(super) const HEADERS: Key = Key {
    name: "api.headers",
    help: "Further header fields, such as { X-City = \"{city}\" }; secret ones belong into [api.auth].\n\
           A field with the placeholder of a column that is NULL is left out.\n\
           They may also be written as a section of their own, [api.headers].",
    initial: Default("{}"),
    set: Set::Table(Table {
        entries: |config| &mut config.api.headers,
        check: check_header,
        may_be_empty: true,
    }),
};

pub(super) const BODY: Key = Key {
    name: "api.body",
    help: "What the body holds: key = column of user_record, in this order.\n\
           Nested tables are nested objects and lists are lists: place = { city = \"city\" }.\n\
           { value = … } is a constant, { json = \"column\" } the JSON text of a column.\n\
           (A nested object whose only key is value, json or object: { object = { value = \"column\" } }.)\n\
           It may also be written as a section of its own, [api.body].",
    initial: Default(r#"{ networkId = "network_id", city = "city" }"#),
    set: Set::Body,
};

pub(super) const FORMAT: Key = Key {
    name: "api.format",
    help: "How the body is written: \"json\", \"form\" (as HTML forms are; a NULL is left out) or\n\
           \"none\" (there is no body).",
    initial: Default(r#""json""#),
    set: One(|config, given| {
        let words = [
            ("json", BodyFormat::Json),
            ("form", BodyFormat::Form),
            ("none", BodyFormat::None),
        ];
        one_of(given, &words).map(|format| config.api.format = format)
    }),
};

pub(super) const VERDICTS: Key = Key {
    name: "api.verdicts",
    help: "HTTP statuses that mean something else than usual to this API, such as { 404 = \"dead\" }:\n\
           \"retry\" (send the record again), \"hold\" (the destination is at fault) or \"dead\".",
    initial: Default("{}"),
    set: Set::Table(Table {
        entries: |config| &mut config.api.verdicts,
        check: check_verdict,
        may_be_empty: true,
    }),
};

pub(super) const IDEMPOTENCY_KEY: Key = Key {
    name: "api.idempotency_key",
    help: "How the key of a record is written into idempotency_header: \"bare\", \"quoted\"\n\
           (a structured-field string) or \"off\".",
    initial: Default(r#""bare""#),
    set: One(|config, given| {
        let words = [
            ("bare", IdempotencyKey::Bare),
            ("quoted", IdempotencyKey::Quoted),
            ("off", IdempotencyKey::Off),
        ];
        one_of(given, &words).map(|form| config.api.idempotency_key = form)
    }),
};

pub(super) const IDEMPOTENCY_HEADER: Key = Key {
    name: "api.idempotency_header",
    help: "The header field that tells the API a record's key.",
    initial: Default(r#""Idempotency-Key""#),
    set: One(|config, given| key_header(given).map(|name| config.api.idempotency_header = name)),
};

pub(super) const TRACEPARENT: Key = Key {
    name: "api.traceparent",
    help: "Whether each request has a traceparent header field of its own (W3C Trace Context).",
    initial: Default("false"),
    set: One(|config, given| boolean(given).map(|on| config.api.traceparent = on)),
};

pub(super) const PROXY: Key = Key {
    name: "api.proxy",
    help: "\"none\", \"env\" (HTTPS_PROXY and its kin), or the URL of an http or https proxy.",
    initial: Default(r#""none""#),
    set: One(|config, given| proxy(given).map(|proxy| config.api.proxy = proxy)),
};

pub(super) const RATE_LIMIT: Key = Key {
    name: "api.rate_limit",
    help: "Requests that may begin in a second, minute or hour, over all workers, such as \"50/s\",\n\
           \"600/m\" or \"1000/h\"; \"none\": as fast as it goes. They are evenly spaced, see burst.",
    initial: Default(r#""none""#),
    set: One(|config, given| rate_limit(given).map(|d| config.api.pace.interval = d)),
};

pub(super) const BURST: Key = Key {
    name: "api.burst",
    help: "Requests that may begin at once after a pause, within rate_limit; 1 to 1000000.",
    initial: Default("1"),
    set: One(|config, given| whole(given, 1..=1_000_000).map(|n| config.api.pace.burst = n)),
};

pub(super) const MAX_IN_FLIGHT: Key = Key {
    name: "api.max_in_flight",
    help: "Requests under way at a time, over all workers, at most; 0: as many as workers.threads.",
    initial: Default("0"),
    set: One(|config, given| whole(given, 0..=1024).map(|n| config.api.pace.max_in_flight = n)),
};

pub(super) const CONCURRENCY: Key = Key {
    name: "api.concurrency",
    help: "\"fixed\", or \"adaptive\": starts with one request at a time, and finds how many the API\n\
           likes, from how long it takes and whether it answers 429 or 503; never more than\n\
           max_in_flight and workers.threads.",
    initial: Default(r#""fixed""#),
    set: One(|config, given| {
        let words = [("fixed", false), ("adaptive", true)];
        one_of(given, &words).map(|adaptive| config.api.pace.adaptive = adaptive)
    }),
};

pub(super) const COMPRESS: Key = Key {
    name: "api.compress",
    help: "\"none\", or \"gzip\": request bodies of 1 KiB and more are compressed, if the API can\n\
           read that.",
    initial: Default(r#""none""#),
    set: One(|config, given| {
        let words = [("none", Compress::None), ("gzip", Compress::Gzip)];
        one_of(given, &words).map(|compress| config.api.compress = compress)
    }),
};

pub(super) const USER_AGENT: Key = Key {
    name: "api.user_agent",
    help: "The User-Agent header: who is calling.",
    initial: Default(concat!("\"ferryd/", env!("CARGO_PKG_VERSION"), "\"")),
    set: One(|config, given| user_agent(given).map(|text| config.api.user_agent = text)),
};

//! The configuration: what an operator decides, gathered at the start and at each reload. What was gathered never changes.
//!
//! Later wins: built-in defaults, the file, `FERRYD_` variables, flags. Whatever is wrong is
//! reported in one go, a line per problem. What a key is called, means, accepts and defaults to
//! stands in one table (`config/keys.rs`), and nowhere else.
//!
//! Must never happen here: a value that is guessed instead of refused, a message that shows a
//! header's value or a password, a look at the database or at the network.

mod access;
mod body;
mod changes;
mod draft;
mod duration;
mod file;
mod keys;
mod rate;
mod request;
mod template;
mod values;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::pace;
use crate::retry::RetryPolicy;
use crate::text;

pub(crate) use access::user_of;
pub use access::{Auth, ClientAuth, OAuth2, Tls, TlsVersion, Webhook, is_secret_name};
pub use body::Content;
pub use duration::{DurationError, format_duration, parse_duration};
pub use template::{KeyManual, manual, packaged_template, template};

/// Bytes of foreign text that a message shows at most.
const SHOWN_BYTES: usize = 200;

/// What the path of a secret's file may begin with: the directory of the unit's credentials (systemd.exec(5),
/// LoadCredential=).
pub(crate) const CREDENTIALS: &str = "${CREDENTIALS_DIRECTORY}/";

/// Foreign text as a message shows it.
fn shown(text: &str) -> Cow<'_, str> {
    text::printable(text, SHOWN_BYTES)
}

/// Everything an operator can decide. Each value has been checked. `Default` gives the built-in
/// defaults, which have no `api.url`.
///
/// `Debug` shows header values, which may be secret: do not log it.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub database: Database,
    pub batch: Batch,
    pub workers: Workers,
    pub retry: RetryPolicy,
    pub api: Api,
    pub gate: Gate,
    pub retention: Retention,
    pub status: Status,
    pub shutdown: Shutdown,
}

/// `[database]`: the SQLite file.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// A relative path starts at the working directory, not at the configuration file.
    pub path: PathBuf,
    pub durability: Durability,
}

/// How much a power cut may undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// At least one synced commit a second while there is work.
    Normal,
    /// Each group of outcomes is synced.
    Full,
}

/// `[batch]`: how records are cut into batches.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Records in a batch at most; 1 to 100,000.
    pub size: u32,
    /// How long a short last batch may wait for more rows.
    pub linger: Duration,
}

/// `[workers]`: the threads that send.
#[derive(Clone, Debug, PartialEq)]
pub struct Workers {
    /// 1 to 1024.
    pub threads: u32,
    /// Bound of the work channel, in batches; 1 to 100,000.
    pub queue: u32,
}

/// `[api]`: the destination and the shape of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// An absolute `http` or `https` URL, which may hold placeholders in path and query. It may hold
    /// a password: never log it. Use [`Config::require_url`] to read it.
    pub url: Option<String>,
    /// An upper-case HTTP method (RFC 9110 section 9.1), never CONNECT or TRACE.
    pub method: String,
    /// For a whole request; above zero.
    pub timeout: Duration,
    /// For the connection alone; above zero.
    pub connect_timeout: Duration,
    /// Further header fields, name and value, in file order. Values may hold placeholders, and may be
    /// secret: never log them.
    pub headers: Vec<(String, String)>,
    /// Key and what stands behind it, in file order; never empty. It fits the format.
    pub body: Vec<(String, Content)>,
    pub format: BodyFormat,
    /// Statuses that mean something else than usual, and what: see [`crate::verdict::Row`].
    pub verdicts: Vec<(String, String)>,
    pub idempotency_key: IdempotencyKey,
    /// The name of the header field for it.
    pub idempotency_header: String,
    /// Whether each request has a `traceparent` of its own.
    pub traceparent: bool,
    pub proxy: Proxy,
    pub bulk: Bulk,
    /// Whether records may travel unencrypted to another machine.
    pub allow_http: bool,
    pub auth: Auth,
    pub oauth2: OAuth2,
    pub webhook: Webhook,
    pub tls: Tls,
    /// `rate_limit`, `burst`, `max_in_flight` and `concurrency`.
    pub pace: pace::Rules,
    pub compress: Compress,
    /// The `User-Agent` header field (RFC 9110 section 10.1.5).
    pub user_agent: String,
}

/// `[api.bulk]`: many records in one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bulk {
    /// At most so many; 0: one by one.
    pub records: u32,
    pub format: BulkFormat,
    /// Bytes of a body; at least 1.
    pub max_bytes: u32,
    /// JSON pointer (RFC 6901) to the results; empty: there are none.
    pub items: String,
    /// JSON pointer within a result, to what tells success from failure.
    pub ok: String,
    /// What stands there for a success; empty: `true`, and 200 to 299.
    pub ok_values: Vec<serde_json::Value>,
    /// JSON pointer within a result, to the reason.
    pub error: String,
}

/// How the bodies of many records are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BulkFormat {
    /// A JSON array.
    #[default]
    Json,
    /// A line for each.
    Ndjson,
}

/// How request bodies are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compress {
    None,
    Gzip,
}

/// How the body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// A JSON object (RFC 8259).
    Json,
    /// `application/x-www-form-urlencoded` (WHATWG URL standard, section 5).
    Form,
    /// There is no body.
    None,
}

/// How the header field with a record's key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdempotencyKey {
    /// The key as it is.
    Bare,
    /// As a structured-field string (RFC 9651 section 3.3.3): in double quotes.
    Quoted,
    /// The header field is left out.
    Off,
}

/// How the destination is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// Directly, whatever the environment says.
    None,
    /// As `HTTPS_PROXY` and its kin say.
    Env,
    /// By this `http` or `https` proxy. The URL may hold a password: never log it.
    Url(String),
}

/// `[gate]`: when sending is held for the whole destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Failures in a row that close the gate; at least 1.
    pub failures: u32,
    /// Time from one probe to the next; above zero.
    pub probe_interval: Duration,
}

/// `[retention]`: how long what was delivered stays in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// SUCCESS batches that ended longer ago are deleted; `None`: all stay.
    pub older_than: Option<Duration>,
    /// Whether the records that they delivered go too.
    pub records: bool,
}

/// `[status]`: the status listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// `None`: there is no listener.
    pub listen: Option<Listen>,
    /// Whether the status page shows what is in records that failed, and what the API said about them.
    pub show_records: bool,
}

/// Where the status listener is reached: on this machine only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A loopback address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// `[shutdown]`: how ferryd stops.
#[derive(Clone, Debug, PartialEq)]
pub struct Shutdown {
    /// How long requests in flight may go on after the first signal.
    pub grace: Duration,
}

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`: the file to read; it must exist.
    pub config: Option<PathBuf>,
    /// `--database`: overrides `database.path`.
    pub database: Option<PathBuf>,
}

/// The configuration and the file that it came from, if any.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub file: Option<PathBuf>,
}

/// All that is wrong with the configuration, one line a problem: the file's in line order, then
/// the environment's, then the flags'. The text is safe to print.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub struct ConfigError {
    problems: Vec<String>,
}

impl ConfigError {
    /// A single problem, as a printable line that names the key.
    pub(crate) fn of(problem: impl Into<String>) -> ConfigError {
        ConfigError {
            problems: vec![problem.into()],
        }
    }
}

/// Gathers the configuration from its file, the environment of this process and `flags`.
///
/// # Errors
/// Everything that is wrong, at once: a file that is missing or cannot be read, what is not TOML,
/// unknown keys and variables, values that are not allowed. A missing `api.url` is no error here.
pub fn load(flags: &Flags) -> Result<Loaded, ConfigError> {
    let environment: Vec<_> = std::env::vars_os().collect();
    let source = file::find(flags, &environment, &file::standard_places());
    let config = draft::assemble(source.as_ref().map(Option::as_ref), &environment, flags)?;
    let file = source.ok().flatten().map(|source| source.path);
    Ok(Loaded { config, file })
}

impl Default for Config {
    fn default() -> Self {
        draft::defaults()
    }
}

impl Config {
    /// The URL as people may see it: without the user name and password that it may hold.
    pub fn shown_url(&self) -> String {
        draft::without_password(self.api.url.as_deref().unwrap_or_default())
    }

    /// The URL that records are sent to.
    ///
    /// # Errors
    /// When it is not set (the message says where to set it), or when records must not be sent with these settings:
    /// unencrypted to another machine, or with settings that contradict each other.
    pub fn require_url(&self) -> Result<&str, ConfigError> {
        let url = self.api.url.as_deref().ok_or_else(|| {
            ConfigError::of(
                "api.url is not set: set url in section [api] of the configuration file, \
                 or set FERRYD_API_URL",
            )
        })?;
        let problems = access::problems(&self.api, url);
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_loaded_names_the_file_that_it_came_from() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("my.toml");
        std::fs::write(&path, "[retry]\nmax_attempts = 3\n").unwrap();
        let flags = Flags {
            config: Some(path.clone()),
            database: None,
        };
        let loaded = load(&flags).unwrap();
        assert_eq!(loaded.config.retry.max_attempts, 3);
        assert_eq!(loaded.file, Some(path.clone()));

        std::fs::write(&path, "[retry]\nmax_attempts = -3\n").unwrap();
        let error = load(&flags).unwrap_err().to_string();
        assert!(error.contains("my.toml:2: retry.max_attempts = -3: must be"));
    }

    #[test]
    fn a_missing_url_is_an_error_only_where_it_is_required() {
        let mut config = Config::default();
        let error = config.require_url().unwrap_err().to_string();
        assert!(error.contains("[api]") && error.contains("FERRYD_API_URL"));
        config.api.url = Some("http://127.0.0.1/".to_owned());
        assert_eq!(config.require_url().unwrap(), "http://127.0.0.1/");
    }
}

//! `ferryd receiver`: a loopback API to try things against. It answers as it is told, counts, and
//! prints what it received.
//!
//! Invariants: it never listens beyond loopback; what it prints is made printable first, for it is
//! foreign text, and no token ever; its memory is bounded; a closed stdout ends the printing, not the receiver; with a
//! journal, nothing is answered as accepted that is not in the journal.

mod door;
mod items;
mod printer;
mod tally;

pub use door::TlsFiles;
pub use tally::Counts;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::ConfigError;
use crate::journal::Journal;
use crate::output::say;
use crate::server::{Answer, Limits, Request, Server};
use crate::stop::Stop;
use crate::text::{printable, printable_bytes};
use door::Token;
use printer::Printer;
use rustls::ServerConfig;
use tally::Tally;

/// Bytes printed of a target or a body, and of a key.
const PRINT_MAX: usize = 200;
const PRINT_KEY_MAX: usize = 100;
/// Bytes of a request for many records: the most that `api.bulk.max_bytes` can ask for.
const BULK_BODY_MAX: usize = 64 << 20;

/// How the receiver behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; a loopback address. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// How long every answer takes.
    pub latency: Duration,
    /// The share of the requests that fail, 0 to 1. Which ones is the same in every run.
    pub fail_rate: f64,
    /// The status of those, 100 to 999.
    pub fail_status: u16,
    /// The status of the others, 100 to 999.
    pub status: u16,
    /// `Retry-After` in seconds, sent with every status that is not 2xx.
    pub retry_after: Option<u64>,
    /// Each request is for many records, a JSON array or lines of JSON; its answer tells a result for each, and the fail
    /// rate is a share of the records.
    pub bulk: bool,
    /// The file with the bearer token that each request must show, else it is answered 401.
    pub token: Option<String>,
    /// Serve HTTPS with these.
    pub tls: Option<TlsFiles>,
    /// Print each request on stdout.
    pub print: bool,
    /// Append each answer to this file before it leaves, for `ferryd audit`.
    pub journal: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            latency: Duration::ZERO,
            fail_rate: 0.0,
            fail_status: 500,
            status: 200,
            retry_after: None,
            bulk: false,
            token: None,
            tls: None,
            print: true,
            journal: None,
        }
    }
}

/// A running receiver; it stops when dropped.
pub struct Receiver {
    addr: SocketAddr,
    server: Server,
    tally: Arc<Mutex<Tally>>,
    printer: Option<Arc<Printer>>,
}

impl Receiver {
    /// Listens and answers until [`Receiver::stop`] or drop.
    ///
    /// Refuses with `InvalidInput` an address that is not loopback, a fail rate outside 0 to 1, a
    /// status without three digits and unfit files; otherwise the errors of binding the address.
    pub fn start(options: Options) -> io::Result<Receiver> {
        let unfit = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let door = Door::open(&options).map_err(unfit)?;
        let listener = bind(&options)?;
        Receiver::serve(listener, door, options, io::stdout())
    }

    fn serve(
        listener: TcpListener,
        door: Door,
        options: Options,
        out: impl Write + Send + 'static,
    ) -> io::Result<Receiver> {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let printer = match options.print {
            true => Some(Arc::new(Printer::start(out)?)),
            false => None,
        };
        let journal = options.journal.as_deref().map(Journal::open).transpose()?;
        let mut limits = Limits::default();
        if options.bulk {
            limits.body = BULK_BODY_MAX;
        }
        let Door { token, tls } = door;
        let handler = {
            let (tally, printer) = (Arc::clone(&tally), printer.clone());
            move |request: &Request| {
                let is_let_in = token.as_ref().is_none_or(|token| token.is_shown(request));
                answer(
                    request,
                    is_let_in,
                    &options,
                    &tally,
                    journal.as_ref(),
                    printer.as_deref(),
                )
            }
        };
        Ok(Receiver {
            addr: listener.local_addr()?,
            server: Server::start_with(listener, handler, limits, tls)?,
            tally,
            printer,
        })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What has been received up to now.
    pub fn counts(&self) -> Counts {
        lock(&self.tally).counts()
    }

    /// Stops, as [`Server::stop`] does, and prints what is still to be printed. A request that
    /// waits for its latency gets no answer and is not counted.
    pub fn stop(&mut self) {
        self.server.stop();
        if let Some(printer) = &self.printer {
            printer.flush();
        }
    }
}

/// Runs `ferryd receiver`: prints where it listens, waits for `stop` (a message, or its sender
/// gone), prints the counts.
pub fn run(options: Options, stop: &Stop) -> anyhow::Result<()> {
    let door = Door::open(&options)?;
    let listener = bind(&options)?;
    let scheme = match door.tls {
        Some(_) => "https",
        None => "http",
    };
    // Before the first request is taken, so that it is the first line.
    say(&format!(
        "receiver listening on {scheme}://{}/",
        listener.local_addr()?
    ));
    let mut receiver = Receiver::serve(listener, door, options, io::stdout())?;
    let _ = stop.channel().recv();
    receiver.stop();
    say(&receiver.counts().to_string());
    Ok(())
}

/// What is made of the files that the options name.
struct Door {
    token: Option<Token>,
    tls: Option<Arc<ServerConfig>>,
}

impl Door {
    fn open(options: &Options) -> Result<Door, ConfigError> {
        Ok(Door {
            token: options.token.as_deref().map(Token::open).transpose()?,
            tls: options.tls.as_ref().map(door::tls).transpose()?,
        })
    }
}

/// Checks the options and takes the address; errors name cause and remedy.
fn bind(options: &Options) -> io::Result<TcpListener> {
    let listen = options.listen;
    let refuse = |why: String| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    if !listen.ip().to_canonical().is_loopback() {
        return refuse(format!(
            "the receiver is for trying things out and listens on loopback only, not on {listen}; use 127.0.0.1:{} or [::1]:{}",
            listen.port(),
            listen.port()
        ));
    }
    if !(0.0..=1.0).contains(&options.fail_rate) {
        return refuse(format!(
            "the fail rate must be between 0 and 1, not {}",
            options.fail_rate
        ));
    }
    for status in [options.status, options.fail_status] {
        if !(100..=999).contains(&status) {
            return refuse(format!("a status has three digits, {status} has not"));
        }
    }
    TcpListener::bind(listen).map_err(|error| {
        let why = format!("cannot listen on {listen}: {error}; choose another address");
        io::Error::new(error.kind(), why)
    })
}

/// The handler: waits, decides, counts, writes down, prints.
fn answer(
    request: &Request,
    is_let_in: bool,
    options: &Options,
    tally: &Mutex<Tally>,
    journal: Option<&Journal>,
    printer: Option<&Printer>,
) -> Answer {
    if !request.sleep(options.latency) {
        return Answer::Hangup;
    }
    let key = request.header("idempotency-key");
    let (status, body) = match is_let_in {
        true => decide(request, key, options, tally),
        false => {
            let why = "the bearer token is missing or wrong";
            (lock(tally).take(key, |_| 401), why.into())
        }
    };
    if let Some(Err(error)) = journal.map(|journal| journal.append(status, key)) {
        log::error!(
            "The journal cannot be written; everything is refused from here on. error={error}"
        );
        return Answer::text(500, "the receiver cannot write its journal");
    }
    if let Some(printer) = printer {
        printer.line(&describe(request, status, key));
    }
    let header = match (options.retry_after, status) {
        // RFC 9110, 11.6.1.
        (_, 401) if !is_let_in => Some(("WWW-Authenticate".to_owned(), "Bearer".to_owned())),
        (None, _) | (_, 200..=299) => None,
        (Some(seconds), _) => Some(("Retry-After".to_owned(), seconds.to_string())),
    };
    Answer::Full {
        status,
        headers: header.into_iter().collect(),
        body,
    }
}

/// The status of the answer, and its body.
fn decide(
    request: &Request,
    key: Option<&str>,
    options: &Options,
    tally: &Mutex<Tally>,
) -> (u16, Vec<u8>) {
    let of_number = |number| match is_chosen(number, options.fail_rate) {
        true => options.fail_status,
        false => options.status,
    };
    if !options.bulk {
        return (lock(tally).take(key, of_number), Vec::new());
    }
    let body = items::plain(request, BULK_BODY_MAX);
    let Some(records) = body.and_then(|body| items::count(&body)) else {
        let why = "the body is neither a JSON array nor lines of JSON";
        return (lock(tally).take(key, |_| 400), why.into());
    };
    let whole = match options.status {
        200..=299 => options.status,
        refused => return (lock(tally).take(key, |_| refused), Vec::new()),
    };
    let mut tally = lock(tally);
    tally.take(key, |_| whole);
    (
        whole,
        items::results(&tally.take_records(records, of_number)),
    )
}

fn describe(request: &Request, status: u16, key: Option<&str>) -> String {
    format!(
        "{} {} {status} key={} body={}",
        printable(request.method(), PRINT_KEY_MAX),
        printable(request.target(), PRINT_MAX),
        printable(key.unwrap_or("-"), PRINT_KEY_MAX),
        printable_bytes(&request.body, PRINT_MAX),
    )
}

/// Whether the request of this number is among the share `rate`: evenly spread, the same in every
/// run.
fn is_chosen(number: u64, rate: f64) -> bool {
    const SEED: u64 = 0x0046_4552_5259;
    // The upper 53 bits are all that a f64 between 0 and 1 can hold.
    let fraction = (splitmix64(SEED.wrapping_add(number)) >> 11) as f64 / (1u64 << 53) as f64;
    fraction < rate
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014), applied to a counter.
fn splitmix64(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Locks whether or not a holder panicked: counts and lines are whole after every step.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

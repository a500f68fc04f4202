//! # ferryd
//!
//! Ferries the rows of `user_record`, in one SQLite file, to an HTTP API, in batches, and keeps the status of every
//! batch in the same file. One process, plain threads, no async runtime. This file is the map; it holds no code.
//!
//! ## The path of a record
//!
//! ```text
//! user_record ──trigger──► backlog       any writer, any process; a row below the cursor is LATE
//!                            │ wake: inotify on the -wal
//!                         planner ─────► processing_batch_status   PENDING: a range of ids, cut by keyset
//!                            │ claim: committed RUNNING before it is handed over
//!                         bounded channel of claims
//!                            │
//!                         worker ── reader ──► records, in short pages
//!                            │
//!                         endpoint ────► HTTP
//!                            │ outcome
//!                         writer ──────► one transaction for many outcomes ─► SUCCESS | FAILED and due | DEAD
//!                            ▲
//!                         timer: "due", nothing else
//! ```
//!
//! ## What always holds
//!
//! * The file is the only truth: what a thread knows, it can lose.
//! * One connection writes, for one thread at a time. Whoever asked is answered after the commit.
//! * An outcome and the batch's progress are one transaction, fenced by the claim.
//! * A worker is at most two requests ahead of the last committed outcome.
//! * Only a 2xx is delivered. SUCCESS is final.
//! * No transaction, open or forgotten, spans a request to the API.
//!
//! ## The rooms, in reading order
//!
//! Domain, pure: [`record`], [`batch`], [`chunk`], [`verdict`], [`outcome`], [`retry`], [`time`], [`text`], [`placeholder`],
//! [`percent`], [`nearest`], [`secret`], [`pem`], [`line`](mod@line), [`table`].
//! Storage: [`db`] and what is in it; the statements themselves are in `sql/`. Delivery: [`endpoint`], [`client`].
//! Threads: [`daemon`], [`planner`], [`worker`], [`gate`], [`pace`], [`timer`], [`steward`], [`retention`], [`wake`], [`settings`],
//! [`stop`], [`signals`], [`lock`], [`limits`].
//! Told by all threads, for whoever looks from beside: [`activity`], [`metrics`], both by the [`clock`] that costs little.
//! Edges: [`cli`], [`config`], [`run`](mod@run), [`drain`], [`import`], [`status`], [`failures`], [`batches`],
//! [`listing`], [`check`], [`preview`], [`explain`], [`operate`], [`prune`](mod@prune), [`backup`], [`shell`], [`init`], [`demo`], [`receiver`], [`journal`],
//! [`audit`], [`server`], [`listener`], [`progress`], [`terminal`], [`screen`], [`output`], [`stderr`], [`logging`], [`systemd`], [`exit`].
//!
//! Dependencies point from edges to threads, to storage and delivery, to the domain, and never back.

pub mod activity;
pub mod audit;
pub mod backup;
pub mod batch;
pub mod batches;
pub mod check;
pub mod chunk;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod db;
pub mod demo;
pub mod drain;
pub mod endpoint;
pub mod exit;
pub mod explain;
pub mod failures;
pub mod gate;
pub mod import;
pub mod init;
pub mod journal;
pub mod limits;
pub mod line;
pub mod listener;
pub mod listing;
pub mod lock;
pub mod logging;
pub mod metrics;
pub mod nearest;
pub mod operate;
pub mod outcome;
pub mod output;
pub mod pace;
pub mod pem;
pub mod percent;
pub mod placeholder;
pub mod planner;
pub mod preview;
pub mod progress;
pub mod prune;
pub mod receiver;
pub mod record;
pub mod retention;
pub mod retry;
pub mod run;
pub mod screen;
pub mod secret;
pub mod server;
pub mod settings;
pub mod shell;
pub mod signals;
pub mod status;
pub mod stderr;
pub mod steward;
pub mod stop;
pub mod systemd;
pub mod table;
pub mod terminal;
pub mod text;
pub mod time;
pub mod timer;
pub mod verdict;
pub mod wake;
pub mod worker;

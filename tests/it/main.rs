//! Drives the real executable against the real file and a receiver of ours. The name of a test is its claim.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod audit;

mod background;
mod backup;
mod bulk;
mod commands;
mod configuration;
mod explain;
mod faults;
mod file;
mod gate;
mod harness;
mod hostile;
mod import;
mod listener;
mod listing;
mod login;
mod manners;
mod model;
mod planning;
mod pool;
mod prune;
mod queries;
mod rebuilt;
mod reload;
mod request;
mod restart;
mod retry;
mod retry_after;
mod rights;
mod sending;
mod sharing;
mod shell;
mod smoke;
mod sql;
mod steer;
mod stopping;
mod systemd;
mod terminal;
mod tls;
mod torture;
mod triggers;
mod upgrade;
mod views;

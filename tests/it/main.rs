//! Drives the real executable against the real file and a receiver of ours. The name of a test is its claim.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;
mod smoke;

//! Drives the real executable against the real file and a receiver of ours. The name of a test is its claim.

mod harness;
mod smoke;

//! The program: parses the command line, runs the command, and turns an error into one line and an exit code.

use ferryd::cli::{Cli, Outcome};
use ferryd::{exit, logging, stderr};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::from_arguments();
    let result = std::panic::catch_unwind(|| cli.run());
    ExitCode::from(match result {
        Ok(Ok(Outcome::Done)) => exit::DONE,
        Ok(Ok(Outcome::Broken | Outcome::NotAccepted)) => exit::FAILED,
        Ok(Ok(Outcome::NotDelivered)) => exit::NOT_DELIVERED,
        Ok(Err(error)) => {
            complain(&exit::message(&error));
            exit::code(&error)
        }
        // The panic has been reported by the panic hook.
        Err(_) => exit::INTERNAL,
    })
}

/// Writes to standard error, if there is one; a configuration can have several problems, a line each.
fn complain(message: &str) {
    let priority = logging::last_words();
    for line in message.lines() {
        stderr::write(format!("{priority}ferryd: {line}\n").as_bytes());
    }
}

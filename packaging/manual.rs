//! The manual pages: ferryd(8) and one page for each command from what `--help` says, ferryd.toml(5) from the table of keys.

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::path::Path;

use ferryd::{cli, config, exit};

const MANUAL: &str = "ferryd Manual";
const SOURCE: &str = concat!("ferryd ", env!("CARGO_PKG_VERSION"));

/// Files, and what they are.
const FILES: [(&str, &str); 6] = [
    (
        "/etc/ferryd/ferryd.toml",
        "The configuration, see ferryd.toml(5).",
    ),
    (
        "/var/lib/ferryd/ferryd.db",
        "The database of the service. ferryd.db-wal and ferryd.db-shm beside it belong to it.",
    ),
    (
        "/var/lib/ferryd/ferryd.db.lock",
        "Keeps a second ferryd out, and stays.",
    ),
    (
        "/var/lib/ferryd/ferryd.db.ballast",
        "1 MiB of room that is given up on a full disk, to write down what was sent.",
    ),
    (
        "/usr/share/ferryd/schema.sql",
        "The schema of the database, with a comment on every column.",
    ),
    (
        "/usr/share/ferryd/queries.sql",
        "Queries for the sqlite3 shell.",
    ),
];

/// Variables, and what they do.
const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "FERRYD_CONFIG",
        "The configuration file, unless --config names one.",
    ),
    (
        "FERRYD_<SECTION>_<KEY>",
        "Sets a key, and wins over the file: FERRYD_API_URL.",
    ),
    (
        "RUST_LOG",
        "What is logged, such as debug or ferryd::planner=trace; wins over -v and -q.",
    ),
    ("NO_COLOR", "No colours, whatever its value."),
];

/// Signals of `ferryd run`, and what they do.
const SIGNALS: [(&str, &str); 2] = [
    (
        "SIGTERM, SIGINT",
        "Stops in order: requests in flight may finish within shutdown.grace. A second one ends the process at once.",
    ),
    ("SIGHUP", "Reads the configuration and the secrets again."),
];

/// Writes all pages into a directory.
///
/// # Errors
/// When a page cannot be written.
pub fn write(directory: &Path) -> anyhow::Result<()> {
    let mut program = cli::command().disable_help_subcommand(true);
    program.build();
    let date = date()?;
    save(directory, "ferryd.8", &program_page(&program, &date)?)?;
    for command in program.get_subcommands() {
        let name = format!("ferryd-{}.8", command.get_name());
        save(directory, &name, &command_page(command, &date)?)?;
    }
    save(directory, "ferryd.toml.5", &config_page(&date).render())
}

fn save(directory: &Path, name: &str, page: &str) -> anyhow::Result<()> {
    let path = directory.join(name);
    // clap_mangen breaks a line before and after an empty one, which says nothing more and is complained about.
    let page = page.replace("\n.br\n\n.br\n", "\n.sp\n");
    std::fs::write(&path, page).with_context(|| format!("{} cannot be written", path.display()))
}

/// The day that stands on the pages: that of `SOURCE_DATE_EPOCH`, so that a page can be made again as it was, else today.
fn date() -> anyhow::Result<String> {
    let time = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => jiff::Timestamp::from_second(seconds.parse()?),
        Err(_) => Ok(jiff::Timestamp::now()),
    };
    let time = time.context("SOURCE_DATE_EPOCH is no time in seconds")?;
    Ok(time.to_string().chars().take(10).collect())
}

fn program_page(program: &Command, date: &str) -> anyhow::Result<String> {
    let mut more = Roff::new();
    tagged(&mut more, "SIGNALS", &SIGNALS);
    tagged(&mut more, "ENVIRONMENT", &ENVIRONMENT);
    tagged(&mut more, "FILES", &FILES);
    let codes = exit::MEANINGS.map(|(code, meaning)| (code.to_string(), meaning));
    tagged(&mut more, "EXIT STATUS", &codes);
    more.control("SH", ["SEE ALSO"]);
    more.text([
        bold("ferryd.toml"),
        roman("(5), "),
        bold("sqlite3"),
        roman("(1), "),
        bold("systemctl"),
        roman("(1), "),
        bold("journalctl"),
        roman("(1)"),
    ]);
    Ok(command_page(program, date)? + &more.to_roff())
}

/// The page of the program or of one of its commands.
fn command_page(command: &Command, date: &str) -> anyhow::Result<String> {
    let man = Man::new(command.clone())
        .section("8")
        .date(date)
        .source(SOURCE)
        .manual(MANUAL);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    if let Some(text) = command.get_after_help() {
        after_help(&mut rest, &text.to_string());
    }
    if !command.has_subcommands() {
        rest.control("SH", ["SEE ALSO"]);
        rest.text([
            bold("ferryd"),
            roman("(8), "),
            bold("ferryd.toml"),
            roman("(5)"),
        ]);
    }
    Ok(String::from_utf8(page)? + &rest.to_roff())
}

/// What `--help` says at its end: sentences, then a heading and examples that are to stay as they are.
fn after_help(page: &mut Roff, text: &str) {
    let (sentences, examples): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| !line.starts_with("  "));
    let sentences = sentences
        .into_iter()
        .filter(|line| !line.is_empty() && !line.ends_with(':'));
    page.control("SH", ["EXAMPLES"]);
    for sentence in sentences {
        page.text([roman(sentence)]);
        page.control("PP", []);
    }
    literal(page, examples.into_iter().map(str::trim_start));
}

fn literal<'a>(page: &mut Roff, lines: impl Iterator<Item = &'a str>) {
    page.control("nf", []);
    page.control("RS", []);
    for line in lines {
        page.text([roman(line)]);
    }
    page.control("RE", []);
    page.control("fi", []);
}

/// A section of words with a text each.
fn tagged(page: &mut Roff, heading: &str, entries: &[(impl AsRef<str>, &str)]) {
    page.control("SH", [heading]);
    for (word, text) in entries {
        page.control("TP", []);
        page.text([bold(word.as_ref())]);
        page.text([roman(*text)]);
    }
}

fn config_page(date: &str) -> Roff {
    let mut page = Roff::new();
    page.control("TH", ["ferryd.toml", "5", date, SOURCE, MANUAL]);
    page.control("SH", ["NAME"]);
    page.text([roman("ferryd.toml - the configuration of ferryd")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(
        "The file is the one of --config, else of $FERRYD_CONFIG, else ./ferryd.toml, else /etc/ferryd/ferryd.toml. It is \
         written in TOML. An environment variable wins over the file, and a flag over both. All that is wrong is reported at \
         once, with line, key and what is allowed. Durations are whole numbers with a unit: 500ms, 30s, 5m, 6h, 7d.",
    )]);
    page.control("PP", []);
    page.text([roman(
        "SIGHUP, or systemctl reload ferryd, makes a running daemon read the file again. The sections database, workers and \
         status need a restart.",
    )]);
    let mut section = "";
    for key in config::manual() {
        let (its, leaf) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if its != section {
            section = its;
            page.control("SH", [format!("[{section}]").as_str()]);
        }
        page.control("TP", []);
        page.text([bold(leaf)]);
        for line in key.help.lines() {
            page.text([roman(line)]);
        }
        page.control("sp", []);
        page.text(match key.default {
            Some(value) => [roman("Default: "), roman(value), roman(".")].to_vec(),
            None => vec![roman("Required.")],
        });
        if let Some(variable) = key.variable {
            page.text([roman("Variable: "), bold(variable), roman(".")]);
        }
    }
    page.control("SH", ["EXAMPLES"]);
    page.text([roman(
        "A token that systemd hands over (LoadCredential=token:/etc/ferryd/token in a drop-in of the unit), and an authority \
         of your own:",
    )]);
    page.control("PP", []);
    literal(&mut page, EXAMPLE.lines());
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("ferryd"), roman("(8)")]);
    page
}

const EXAMPLE: &str = r#"[api]
url = "https://api.example/records"

[api.auth]
bearer_token_file = "${CREDENTIALS_DIRECTORY}/token"

[api.tls]
ca_file = "/etc/ferryd/our-ca.pem""#;

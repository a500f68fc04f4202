//! Finds and reads the configuration file. The file is opened without asking first whether it
//! exists, so that nothing can change between the question and the answer.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Flags;
use super::draft::{Place, Problem};
use super::shown;

/// No configuration is this long, in bytes; something else was named by mistake.
const MAX_BYTES: u64 = 1024 * 1024;

/// A configuration file and its text.
#[derive(Debug)]
pub(super) struct Source {
    pub path: PathBuf,
    pub text: String,
}

/// Where a file that nobody named is looked for, first place first.
pub(super) fn standard_places() -> [PathBuf; 2] {
    ["ferryd.toml", "/etc/ferryd/ferryd.toml"].map(PathBuf::from)
}

/// The file of `--config`, else of `FERRYD_CONFIG`, else the first of `places` that exists.
pub(super) fn find(
    flags: &Flags,
    environment: &[(OsString, OsString)],
    places: &[PathBuf],
) -> Result<Option<Source>, Problem> {
    if let Some(path) = &flags.config {
        return read(path)
            .map(Some)
            .map_err(|e| refuse(path, &e, "--config"));
    }
    let variable = environment.iter().find(|(name, _)| name == "FERRYD_CONFIG");
    if let Some((_, path)) = variable {
        if path.is_empty() || path.to_str().is_none() {
            // Reported with the other variables.
            return Ok(None);
        }
        let path = Path::new(path);
        return read(path)
            .map(Some)
            .map_err(|e| refuse(path, &e, "FERRYD_CONFIG"));
    }
    for path in places {
        match read(path) {
            Ok(source) => return Ok(Some(source)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refuse(path, &error, "--config")),
        }
    }
    Ok(None)
}

fn read(path: &Path) -> io::Result<Source> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))?;
    let path = path.to_owned();
    Ok(Source { path, text })
}

/// The problem of a file that cannot be read; `named_by` is where another one can be named.
fn refuse(path: &Path, error: &io::Error, named_by: &str) -> Problem {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => {
            format!("correct {named_by}, or write the file with \"ferryd init\"")
        }
        io::ErrorKind::PermissionDenied => {
            format!("let this user read it, or name another file with {named_by}")
        }
        io::ErrorKind::InvalidData => "save it as UTF-8 text".to_owned(),
        _ => format!("name a ferryd.toml with {named_by}"),
    };
    let path = path.to_string_lossy();
    let path = shown(&path);
    Problem {
        place: Place::File { line: 0 },
        text: format!("{path}: cannot be read: {error}: {remedy}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &Path) -> Flags {
        Flags {
            config: Some(path.to_owned()),
            database: None,
        }
    }

    fn variable(path: &Path) -> [(OsString, OsString); 1] {
        [("FERRYD_CONFIG".into(), path.into())]
    }

    fn text_of(found: Result<Option<Source>, Problem>) -> Option<String> {
        found.unwrap().map(|source| source.text)
    }

    #[test]
    fn the_flag_wins_over_the_variable_and_the_variable_over_the_standard_places() {
        let room = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c", "d"].map(|name| room.path().join(name));
        for path in &paths {
            std::fs::write(path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
        }
        let [a, b, c, d] = &paths;
        let none = Flags::default();
        let missing = room.path().join("missing");
        let standard = [missing.clone(), c.clone(), d.clone()];

        let found = find(&named(a), &variable(b), &standard);
        assert_eq!(text_of(found).as_deref(), Some("a"));
        let found = find(&none, &variable(b), &standard);
        assert_eq!(text_of(found).as_deref(), Some("b"));
        assert_eq!(text_of(find(&none, &[], &standard)).as_deref(), Some("c"));
        assert_eq!(text_of(find(&none, &[], &[missing])), None);
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_with_a_remedy() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("missing.toml");
        let by_flag = find(&named(&path), &[], &[]).unwrap_err().text;
        assert!(by_flag.contains("missing.toml: cannot be read: No such file"));
        assert!(by_flag.contains("correct --config"), "{by_flag}");
        let by_variable = find(&Flags::default(), &variable(&path), &[]);
        let by_variable = by_variable.unwrap_err().text;
        assert!(by_variable.contains("correct FERRYD_CONFIG"));
    }

    #[test]
    fn a_file_that_is_no_text_too_long_or_a_directory_is_refused() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("f");
        std::fs::write(&path, b"[batch]\n\xff").unwrap();
        let error = find(&named(&path), &[], &[]).unwrap_err().text;
        assert!(error.contains("save it as UTF-8"), "{error}");
        std::fs::write(&path, " ".repeat(1024 * 1024 + 1)).unwrap();
        assert!(find(&named(&path), &[], &[]).is_err());
        // Also in a standard place: there is something, and it cannot be used.
        assert!(find(&Flags::default(), &[], &[room.path().to_owned()]).is_err());
    }

    #[test]
    fn a_file_that_may_not_be_read_is_said_to_be_a_matter_of_permission() {
        let error = io::ErrorKind::PermissionDenied.into();
        let text = refuse(Path::new("a\nb"), &error, "--config").text;
        assert_eq!(
            text,
            "a\\nb: cannot be read: permission denied: let this user read it, \
             or name another file with --config"
        );
    }
}

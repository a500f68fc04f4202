//! Judges the values of `[api.auth]`, `[api.oauth2]`, `[api.webhook]` and `[api.tls]`: names of files, and what may be
//! left empty.

use super::super::CREDENTIALS;
use super::super::access::user_of;
use super::{Given, check_header, check_http_url};

/// A text that may be left empty, which means that it is not set.
pub fn optional_text(given: &Given) -> Result<Option<String>, String> {
    let text = given.text().ok_or("must be a string")?;
    if text.chars().any(char::is_control) {
        return Err("must not hold control characters".to_owned());
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// The path of a file with a secret or a certificate; empty: none.
pub fn optional_file(given: &Given) -> Result<Option<String>, String> {
    let path = optional_text(given).map_err(
        |_| "must be the path of a file, as a string; a secret itself does not stand here",
    )?;
    path.as_deref().map_or(Ok(()), check_file_path)?;
    Ok(path)
}

/// The paths of several files; in a variable with colons between them, as in PATH.
pub fn files(given: &Given) -> Result<Vec<String>, String> {
    let paths = match given {
        Given::Texts(paths) => paths.clone(),
        Given::Untyped(paths) => paths.split(':').map(str::to_owned).collect(),
        _ => return Err(r#"must be a list of paths: ["/path/of/a/file"]"#.to_owned()),
    };
    for path in &paths {
        match path.is_empty() {
            true => return Err("must not name a file with an empty path".to_owned()),
            false => check_file_path(path)?,
        }
    }
    Ok(paths)
}

fn check_file_path(path: &str) -> Result<(), String> {
    let plain = path.strip_prefix(CREDENTIALS).unwrap_or(path);
    if plain.contains("${") || plain.is_empty() {
        return Err(format!(
            "must be the path of a file; of variables only {CREDENTIALS}… is filled in"
        ));
    }
    if plain.chars().any(char::is_control) {
        return Err("must be the path of a file, without control characters".to_owned());
    }
    Ok(())
}

/// One more header field whose value is the content of a file.
pub fn check_secret_header(
    headers: &[(String, String)],
    name: &str,
    path: &str,
) -> Result<(), String> {
    check_header(headers, name, "")?;
    match path.is_empty() {
        true => Err("must be the path of a file with the header's value".to_owned()),
        false => check_file_path(path),
    }
}

pub fn token_url(given: &Given) -> Result<Option<String>, String> {
    let url = optional_text(given)?;
    url.as_deref().map_or(Ok(()), check_http_url)?;
    if url.as_deref().is_some_and(|url| user_of(url).is_some()) {
        return Err("must not hold a password: see client_id and client_secret_file".to_owned());
    }
    Ok(url)
}

/// A name before a colon and a password (RFC 7617 section 2).
pub fn basic_user(given: &Given) -> Result<Option<String>, String> {
    let user = optional_text(given)?;
    match user {
        Some(user) if user.contains(':') => Err("must not hold a colon".to_owned()),
        user => Ok(user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    #[test]
    fn a_file_is_a_path_and_may_stand_in_the_credentials_directory() {
        assert_eq!(optional_file(&text("")), Ok(None));
        for good in [
            "/etc/ferryd/token",
            "token",
            "${CREDENTIALS_DIRECTORY}/token",
        ] {
            assert_eq!(optional_file(&text(good)), Ok(Some(good.to_owned())));
        }
        for bad in [
            "${HOME}/token",
            "/x/${A}",
            "${CREDENTIALS_DIRECTORY}/",
            "a\nb",
        ] {
            assert!(optional_file(&text(bad)).is_err(), "{bad}");
        }
        assert!(optional_file(&Given::Number("5".to_owned())).is_err());
    }

    #[test]
    fn several_files_are_a_list_or_have_colons_between_them_in_a_variable() {
        let both = vec!["a".to_owned(), "${CREDENTIALS_DIRECTORY}/b".to_owned()];
        assert_eq!(files(&Given::Texts(both.clone())), Ok(both.clone()));
        let variable = Given::Untyped("a:${CREDENTIALS_DIRECTORY}/b".to_owned());
        assert_eq!(files(&variable), Ok(both));
        assert!(files(&text("a")).is_err());
        assert!(files(&Given::Untyped("a::b".to_owned())).is_err());
    }

    #[test]
    fn the_user_has_no_colon_and_the_token_url_no_password() {
        assert!(basic_user(&text("me")).is_ok());
        assert!(basic_user(&text("me:you")).is_err());
        assert!(token_url(&text("https://login.example/token")).is_ok());
        assert!(token_url(&text("https://me:geheim@login.example/")).is_err());
        assert!(token_url(&text("login.example")).is_err());
    }
}

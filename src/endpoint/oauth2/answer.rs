//! What a token endpoint says (RFC 6749 section 5). Pure.

use std::time::Duration;

use serde_json::Value;

use super::Token;
use crate::secret::Secret;

/// No token is kept longer, whatever its server says.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Bytes of a token that still has room in a header.
const LONGEST_TOKEN: usize = 8192;

/// The token of a 200.
///
/// # Errors
/// What is wrong with the answer, without showing it: it may hold a token.
pub fn grant(body: &[u8]) -> Result<Token, String> {
    let unfit = |what: &str| format!("its answer {what}");
    let json: Value =
        serde_json::from_slice(body).map_err(|_| unfit("is not JSON, or too long"))?;
    let secret = json["access_token"].as_str().unwrap_or_default();
    if secret.is_empty() {
        return Err(unfit("has no access_token"));
    }
    if secret.len() > LONGEST_TOKEN || !secret.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
        return Err(unfit("has an access_token that fits in no header"));
    }
    match json["token_type"].as_str() {
        Some(kind) if !kind.eq_ignore_ascii_case("bearer") => Err(unfit(
            "has a token_type other than Bearer, the only one that ferryd knows",
        )),
        _ => Ok(Token::new(
            Secret::new(secret),
            lifetime(&json["expires_in"]),
        )),
    }
}

/// Nothing where it is not said, or nonsense: such a token is used until it is refused.
fn lifetime(expires_in: &Value) -> Option<Duration> {
    let seconds = match expires_in {
        // Some servers write it as text.
        Value::String(text) => text.parse().ok()?,
        number => number.as_f64()?,
    };
    if seconds.is_nan() || seconds < 1.0 {
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds).map_or(LONGEST_LIFE, |life| life.min(LONGEST_LIFE)))
}

/// What another status than 200 says: the error code and its description, else the text.
pub fn refusal(status: u16, body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = ["error", "error_description"].map(|key| json[key].as_str().unwrap_or_default());
    let said = match said {
        ["", _] => String::from_utf8_lossy(body).trim().to_owned(),
        [error, ""] => error.to_owned(),
        [error, description] => format!("{error}, {description}"),
    };
    match said.is_empty() {
        true => format!("HTTP {status}"),
        false => format!("HTTP {status}: {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn life(value: Value) -> Option<u64> {
        lifetime(&value).map(|life| life.as_secs())
    }

    #[test]
    fn a_lifetime_is_bounded_and_nonsense_is_none() {
        assert_eq!(life(json!(3600)), Some(3600));
        assert_eq!(life(json!("3600")), Some(3600));
        for huge in [json!(1e300), json!(u64::MAX), json!("9999999999999")] {
            assert_eq!(life(huge), Some(LONGEST_LIFE.as_secs()));
        }
        for nonsense in [
            json!(0),
            json!(-1),
            json!("soon"),
            json!("NaN"),
            json!([]),
            Value::Null,
        ] {
            assert_eq!(life(nonsense.clone()), None, "{nonsense}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_shown() {
        for body in [
            "",
            "geheim",
            "[]",
            "{}",
            r#"{"access_token": 5}"#,
            r#"{"access_token": ""}"#,
            r#"{"access_token": "geheim\r\nX: y"}"#,
            r#"{"access_token": "geheim", "token_type": "mac"}"#,
        ] {
            let reason = grant(body.as_bytes()).err().unwrap();
            assert!(!reason.contains("geheim"), "{reason}");
        }
        assert!(grant(br#"{"access_token": "t", "token_type": "bearer"}"#).is_ok());
        assert!(grant(br#"{"access_token": "t"}"#).is_ok());
    }

    #[test]
    fn a_refusal_shows_what_the_server_says() {
        let body = br#"{"error": "invalid_client", "error_description": "who?"}"#;
        assert_eq!(refusal(401, body), "HTTP 401: invalid_client, who?");
        assert_eq!(refusal(502, b"<html>"), "HTTP 502: <html>");
        assert_eq!(refusal(500, b""), "HTTP 500");
    }
}

//! Signs requests as Standard Webhooks 1.0.0 says (<https://www.standardwebhooks.com>), with HMAC-SHA256.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{HeaderName, HeaderValue, InvalidHeaderValue};
use ring::hmac;

use crate::client::Lines;
use crate::config::{self, ConfigError};
use crate::secret::{Form, Secret, SecretFile};

/// How a secret's text begins.
const PREFIX: &str = "whsec_";

/// Bytes of a key; the standard allows no others.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

const FORM: Form = Form {
    limit: 1024,
    public: false,
    check: |text| key_of(text).map(drop),
};

/// The signer: each of its secrets signs.
pub struct Webhook {
    secrets: Vec<SecretFile>,
}

impl Webhook {
    /// Reads the secrets.
    ///
    /// # Errors
    /// When one of them is unfit.
    pub fn open(webhook: &config::Webhook) -> Result<Webhook, ConfigError> {
        let open = |path: &String| SecretFile::open("api.webhook.secret_files", path, FORM);
        let secrets = webhook.secret_files.iter().map(open);
        Ok(Webhook {
            secrets: secrets.collect::<Result<_, _>>()?,
        })
    }

    /// The files of the secrets.
    pub fn files(&self) -> impl Iterator<Item = &SecretFile> {
        self.secrets.iter()
    }

    /// Adds identity, time (Unix seconds) and signatures of `body`, if there are secrets. The identity is the record's
    /// key: the standard wants it to be the same in every attempt. It has full stops, which the standard allows as long
    /// as nobody else chooses the identity.
    ///
    /// # Errors
    /// When a value is none of a header.
    pub fn sign(
        &self,
        fields: &mut Lines,
        id: &str,
        time: impl FnOnce() -> i64,
        body: &[u8],
    ) -> Result<(), InvalidHeaderValue> {
        if self.secrets.is_empty() {
            return Ok(());
        }
        let time = time();
        let signatures: Vec<String> = self
            .secrets
            .iter()
            .filter_map(|file| signature(&file.current(), id, time, body))
            .collect();
        for (name, value) in [
            ("webhook-id", HeaderValue::from_str(id)?),
            ("webhook-timestamp", HeaderValue::from(time)),
            (
                "webhook-signature",
                HeaderValue::from_str(&signatures.join(" "))?,
            ),
        ] {
            fields.add(&HeaderName::from_static(name), &value);
        }
        Ok(())
    }
}

/// `None` cannot come: a secret was checked when it was read.
fn signature(secret: &Secret, id: &str, time: i64, body: &[u8]) -> Option<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key_of(secret.expose()).ok()?);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{time}.").as_bytes());
    context.update(body);
    Some(format!("v1,{}", BASE64_STANDARD.encode(context.sign())))
}

fn key_of(text: &str) -> Result<Vec<u8>, String> {
    let base64 = text.strip_prefix(PREFIX).ok_or_else(|| {
        format!(
            "does not begin with {PREFIX}: it must be a secret as Standard Webhooks writes them"
        )
    })?;
    let key = BASE64_STANDARD
        .decode(base64)
        .map_err(|_| format!("holds no base64 after {PREFIX}"))?;
    match KEY_BYTES.contains(&key.len()) {
        true => Ok(key),
        false => Err(format!(
            "has a key of {} bytes: 24 to 64 are allowed",
            key.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standards_own_example() {
        // From the test of the reference libraries.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        assert_eq!(
            signature(&secret, id, 1_614_265_330, body).unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn an_unfit_secret_is_refused_without_being_shown() {
        for text in [
            "geheim",
            "whsec_geheim!",
            "whsec_Z2VoZWlt",
            "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            let reason = key_of(text).unwrap_err();
            assert!(
                !reason.contains("geheim") && !reason.contains("Z2Vo"),
                "{reason}"
            );
        }
    }
}

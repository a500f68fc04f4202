//! The keys of proving who sends and to whom: `[api.auth]`, `[api.oauth2]`, `[api.webhook]` and `[api.tls]`. They name
//! files; none of them takes a secret.

use super::super::values::{
    basic_user, boolean, check_secret_header, files, one_of, optional_file, optional_text,
    token_url,
};
use super::super::{ClientAuth, TlsVersion};
use super::Initial::Default;
use super::Set::One;
use super::{Key, Set, Table};

pub(super) const ALLOW_HTTP: Key = Key {
    name: "api.allow_http",
    help: "Whether records (and logins) may travel unencrypted to another machine.",
    initial: Default("false"),
    set: One(|config, given| boolean(given).map(|allow| config.api.allow_http = allow)),
};

pub(super) const BEARER_TOKEN_FILE: Key = Key {
    name: "api.auth.bearer_token_file",
    help: "Secrets stand in files of their own, for the user of ferryd alone to read (chmod 600).\n\
           Their paths may begin with ${CREDENTIALS_DIRECTORY}/. A file that changes is read again.\n\
           This one: a file with a token, sent as \"Authorization: Bearer …\".",
    initial: Default(r#""""#),
    set: One(|config, given| {
        optional_file(given).map(|file| config.api.auth.bearer_token_file = file)
    }),
};

pub(super) const BASIC_USER: Key = Key {
    name: "api.auth.basic_user",
    help: "The user of \"Authorization: Basic …\".",
    initial: Default(r#""""#),
    set: One(|config, given| basic_user(given).map(|user| config.api.auth.basic_user = user)),
};

pub(super) const BASIC_PASSWORD_FILE: Key = Key {
    name: "api.auth.basic_password_file",
    help: "A file with that user's password.",
    initial: Default(r#""""#),
    set: One(|config, given| {
        optional_file(given).map(|file| config.api.auth.basic_password_file = file)
    }),
};

pub(super) const SECRET_HEADERS: Key = Key {
    name: "api.auth.headers",
    help: "Header fields whose values are secret: name = file, such as { X-Api-Key = \"/etc/ferryd/key\" }.\n\
           They may also be written as a section of their own, [api.auth.headers].",
    initial: Default("{}"),
    set: Set::Table(Table {
        entries: |config| &mut config.api.auth.headers,
        check: check_secret_header,
        may_be_empty: true,
    }),
};

pub(super) const TOKEN_URL: Key = Key {
    name: "api.oauth2.token_url",
    help: "OAuth2 client credentials (RFC 6749 section 4.4): where access tokens come from. They are\n\
           kept in memory, and renewed before they expire and when the API refuses one with 401.",
    initial: Default(r#""""#),
    set: One(|config, given| token_url(given).map(|url| config.api.oauth2.token_url = url)),
};

pub(super) const CLIENT_ID: Key = Key {
    name: "api.oauth2.client_id",
    help: "The client that asks for tokens.",
    initial: Default(r#""""#),
    set: One(|config, given| optional_text(given).map(|id| config.api.oauth2.client_id = id)),
};

pub(super) const CLIENT_SECRET_FILE: Key = Key {
    name: "api.oauth2.client_secret_file",
    help: "A file with that client's secret.",
    initial: Default(r#""""#),
    set: One(|config, given| {
        optional_file(given).map(|file| config.api.oauth2.client_secret_file = file)
    }),
};

pub(super) const SCOPE: Key = Key {
    name: "api.oauth2.scope",
    help: "The scope to ask for; empty: that is left to the server.",
    initial: Default(r#""""#),
    set: One(|config, given| optional_text(given).map(|scope| config.api.oauth2.scope = scope)),
};

pub(super) const CLIENT_AUTH: Key = Key {
    name: "api.oauth2.auth",
    help: "How the client shows its secret: \"basic\" (in a header) or \"body\" (in the form).",
    initial: Default(r#""basic""#),
    set: One(|config, given| {
        let words = [("basic", ClientAuth::Basic), ("body", ClientAuth::Body)];
        one_of(given, &words).map(|auth| config.api.oauth2.auth = auth)
    }),
};

pub(super) const SECRET_FILES: Key = Key {
    name: "api.webhook.secret_files",
    help: "Signs requests as Standard Webhooks says: files with a secret each (whsec_…). With several,\n\
           each signs, so that a secret can be replaced while both are in use.",
    initial: Default("[]"),
    set: One(|config, given| files(given).map(|files| config.api.webhook.secret_files = files)),
};

pub(super) const CA_FILE: Key = Key {
    name: "api.tls.ca_file",
    help: "A file with the certificates (PEM) of the authorities to trust, in place of the system's.",
    initial: Default(r#""""#),
    set: One(|config, given| optional_file(given).map(|file| config.api.tls.ca_file = file)),
};

pub(super) const CERT_FILE: Key = Key {
    name: "api.tls.cert_file",
    help: "A file with the certificate (PEM) that ferryd shows, and those between it and its authority.",
    initial: Default(r#""""#),
    set: One(|config, given| optional_file(given).map(|file| config.api.tls.cert_file = file)),
};

pub(super) const KEY_FILE: Key = Key {
    name: "api.tls.key_file",
    help: "A file with the private key (PEM) of that certificate.",
    initial: Default(r#""""#),
    set: One(|config, given| optional_file(given).map(|file| config.api.tls.key_file = file)),
};

pub(super) const MIN_VERSION: Key = Key {
    name: "api.tls.min_version",
    help: "The oldest version of TLS to speak: \"1.2\" or \"1.3\".",
    initial: Default(r#""1.2""#),
    set: One(|config, given| {
        let words = [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];
        one_of(given, &words).map(|version| config.api.tls.min_version = version)
    }),
};

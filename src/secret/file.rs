//! A secret's file: read at the start, and again when it changes. While ferryd runs, a file that became unfit costs one
//! warning, and the last good content stays in use.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Secret;
use crate::config::{CREDENTIALS, ConfigError};
use crate::text;

/// A file is looked at again at most this often.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of a path that a message shows at most.
const SHOWN_BYTES: usize = 200;

/// What a file has to hold. The check gets the text, and says what is wrong with it as the end of a sentence that begins
/// with the path.
#[derive(Clone, Copy)]
pub struct Form {
    /// Bytes that such a file has at most.
    pub limit: u64,
    /// Whether others may read it, as with a certificate.
    pub public: bool,
    /// Judges the content, without the newline at its end.
    pub check: fn(&str) -> Result<(), String>,
}

/// A file with a secret, and the last good content of it.
pub struct SecretFile {
    /// The setting that names it.
    key: String,
    path: PathBuf,
    form: Form,
    state: Mutex<State>,
}

struct State {
    current: Arc<Secret>,
    /// The one before: an answer that repeats it may still come.
    previous: Option<Arc<Secret>>,
    /// `None`: the last look failed.
    identity: Option<Identity>,
    looked_at: Instant,
    /// The fault that was logged last.
    complaint: Option<String>,
    exposed: bool,
}

/// What changes when a file changes.
#[derive(PartialEq, Eq)]
struct Identity([i64; 7]);

impl Identity {
    fn of(meta: &Metadata) -> Identity {
        Identity([
            meta.dev() as i64,
            meta.ino() as i64,
            meta.size() as i64,
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec(),
        ])
    }
}

impl SecretFile {
    /// Reads the file that the setting `key` names; its path may begin with
    /// `${CREDENTIALS_DIRECTORY}/`.
    ///
    /// # Errors
    /// One line that names the setting, the path and what is wrong, but nothing of the content.
    pub fn open(key: &str, path: &str, form: Form) -> Result<SecretFile, ConfigError> {
        let refuse = |reason: &str| ConfigError::of(format!("{key}: {reason}"));
        let path = resolve(path).map_err(|reason| refuse(&reason))?;
        let read = read(&path, form).map_err(|reason| refuse(&reason))?;
        let state = State {
            current: Arc::new(read.secret),
            previous: None,
            identity: Some(Identity::of(&read.meta)),
            looked_at: Instant::now(),
            complaint: None,
            exposed: is_exposed(&path, form, &read.meta),
        };
        Ok(SecretFile {
            key: key.to_owned(),
            path,
            form,
            state: Mutex::new(state),
        })
    }

    /// The last good content; a file that changed is read again.
    pub fn current(&self) -> Arc<Secret> {
        let mut state = self.lock();
        if state.looked_at.elapsed() >= LOOK_INTERVAL {
            self.look(&mut state);
        }
        state.current.clone()
    }

    /// The contents that may turn up in foreign text.
    pub fn known(&self) -> Vec<Arc<Secret>> {
        let state = self.lock();
        let previous = state.previous.iter();
        previous.chain([&state.current]).cloned().collect()
    }

    /// A warning, if others than ferryd's user can get at the secret.
    pub fn warning(&self) -> Option<String> {
        self.lock().exposed.then(|| {
            format!(
                "{}: {} can be read by others than its owner: make it private with chmod 600",
                self.key,
                shown(&self.path)
            )
        })
    }

    fn look(&self, state: &mut State) {
        state.looked_at = Instant::now();
        let identity = std::fs::metadata(&self.path).ok().map(|m| Identity::of(&m));
        if identity.is_some() && identity == state.identity {
            return;
        }
        match read(&self.path, self.form) {
            Ok(read) => self.accept(state, read),
            Err(reason) => {
                // What cannot be seen may change unseen: it is read at every look.
                state.identity = identity;
                if state.complaint.as_ref() != Some(&reason) {
                    log::warn!(
                        "A secret's file is unfit; its last good content stays in use. setting={} reason=\"{reason}\"",
                        self.key
                    );
                    state.complaint = Some(reason);
                }
            }
        }
    }

    fn accept(&self, state: &mut State, read: Content) {
        state.identity = Some(Identity::of(&read.meta));
        let was_exposed = std::mem::replace(
            &mut state.exposed,
            is_exposed(&self.path, self.form, &read.meta),
        );
        if state.exposed && !was_exposed {
            log::warn!(
                "A secret's file can be read by others than its owner. setting={}",
                self.key
            );
        }
        if *state.current != read.secret {
            let new = Arc::new(read.secret);
            state.previous = Some(std::mem::replace(&mut state.current, new));
            log::info!("A changed file was read. setting={}", self.key);
        } else if state.complaint.is_some() {
            log::info!("A secret's file is fit again. setting={}", self.key);
        }
        state.complaint = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Content {
    secret: Secret,
    meta: Metadata,
}

fn resolve(path: &str) -> Result<PathBuf, String> {
    let Some(name) = path.strip_prefix(CREDENTIALS) else {
        return Ok(PathBuf::from(path));
    };
    match credentials_directory() {
        Some(directory) => Ok(directory.join(name)),
        None => Err(
            "CREDENTIALS_DIRECTORY is not set: systemd sets it for a unit with LoadCredential=; \
             elsewhere name a path"
                .to_owned(),
        ),
    }
}

fn credentials_directory() -> Option<PathBuf> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    (!directory.is_empty()).then(|| directory.into())
}

/// The reason is the end of a message: path, what is wrong with it, remedy.
fn read(path: &Path, form: Form) -> Result<Content, String> {
    let cannot = |error: io::Error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "write it, or correct the path",
            io::ErrorKind::PermissionDenied => "let the user of ferryd read it",
            _ => "name a file with nothing else in it",
        };
        format!("{} cannot be read: {error}: {remedy}", shown(path))
    };
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(format!("{} is not a file", shown(path)));
    }
    let file = File::open(path).map_err(cannot)?;
    // Taken before the content: a change while it is read shows at the next look.
    let meta = file.metadata().map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(form.limit + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    let unfit = |reason: &str| format!("{} {reason}", shown(path));
    if bytes.len() as u64 > form.limit {
        return Err(unfit(&format!("is longer than {} bytes", form.limit)));
    }
    let text = String::from_utf8(bytes).map_err(|_| unfit("is not UTF-8 text"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() {
        return Err(unfit("is empty"));
    }
    (form.check)(text).map_err(|reason| unfit(&reason))?;
    let secret = Secret::new(text);
    Ok(Content { secret, meta })
}

/// Whether others than the owner may do anything with it. systemd guards its credentials with an access list, whose
/// extent shows as rights of the group; there only rights of everybody count.
fn is_exposed(path: &Path, form: Form, meta: &Metadata) -> bool {
    let by_systemd = credentials_directory().is_some_and(|directory| path.starts_with(directory));
    let mask = if by_systemd { 0o007 } else { 0o077 };
    !form.public && meta.mode() & mask != 0
}

fn shown(path: &Path) -> String {
    text::printable(&path.to_string_lossy(), SHOWN_BYTES).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const LINE: Form = Form {
        limit: 100,
        public: false,
        check: |text| match text.contains('!') {
            true => Err("holds a mark".to_owned()),
            false => Ok(()),
        },
    };

    struct Place(tempfile::TempDir);

    impl Place {
        fn new(content: &str) -> Place {
            let place = Place(tempfile::tempdir().unwrap());
            place.write(content);
            place
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("key")
        }

        fn write(&self, content: &str) {
            std::fs::write(self.path(), content).unwrap();
            self.allow(0o600);
        }

        fn allow(&self, mode: u32) {
            let mode = PermissionsExt::from_mode(mode);
            std::fs::set_permissions(self.path(), mode).unwrap();
        }

        fn open(&self) -> Result<SecretFile, ConfigError> {
            SecretFile::open("api.auth.x_file", self.path().to_str().unwrap(), LINE)
        }
    }

    fn look(file: &SecretFile) {
        file.look(&mut file.lock());
    }

    #[test]
    fn the_newline_at_the_end_is_no_part_of_the_secret() {
        for content in ["a b", "a b\n", "a b\r\n"] {
            assert_eq!(
                Place::new(content).open().unwrap().current().expose(),
                "a b"
            );
        }
    }

    #[test]
    fn an_unfit_file_is_named_with_its_setting_and_without_its_content() {
        let long = "geheim".repeat(100);
        for content in ["", "\n", " \n", "geheim!", &long] {
            let place = Place::new(content);
            let error = place.open().err().unwrap().to_string();
            assert!(error.starts_with("api.auth.x_file: "), "{error}");
            assert!(error.contains(place.path().to_str().unwrap()), "{error}");
            assert!(!error.contains("geheim"), "{error}");
        }
        let place = Place::new("x");
        std::fs::write(place.path(), [0xff]).unwrap();
        assert!(place.open().is_err());
        std::fs::remove_file(place.path()).unwrap();
        let error = place.open().err().unwrap().to_string();
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn a_directory_is_no_secret() {
        let place = Place::new("x");
        let path = place.0.path().to_str().unwrap();
        let error = SecretFile::open("k", path, LINE).err().unwrap().to_string();
        assert!(error.ends_with("is not a file"), "{error}");
    }

    #[test]
    fn the_last_good_content_outlives_a_file_that_is_gone_or_unfit() {
        let place = Place::new("one");
        let file = place.open().unwrap();
        std::fs::remove_file(place.path()).unwrap();
        look(&file);
        assert_eq!(file.current().expose(), "one");
        place.write("no!");
        look(&file);
        assert_eq!(file.current().expose(), "one");
        place.write("two");
        look(&file);
        assert_eq!(file.current().expose(), "two");
        let known = file.known();
        let known: Vec<_> = known.iter().map(|secret| secret.expose()).collect();
        assert_eq!(known, ["one", "two"]);
    }

    #[test]
    fn a_change_is_seen_without_being_told() {
        let place = Place::new("one");
        let file = place.open().unwrap();
        place.write("two");
        let end = Instant::now() + Duration::from_secs(10);
        while file.current().expose() != "two" {
            assert!(Instant::now() < end, "the change was never seen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn a_secret_that_others_can_read_is_a_warning_and_a_certificate_is_not() {
        let place = Place::new("x");
        assert_eq!(place.open().unwrap().warning(), None);
        for mode in [0o640, 0o604] {
            place.allow(mode);
            let warning = place.open().unwrap().warning().unwrap();
            assert!(warning.contains("chmod 600"), "{warning}");
        }
        let public = Form {
            public: true,
            ..LINE
        };
        let path = place.path();
        let file = SecretFile::open("k", path.to_str().unwrap(), public).unwrap();
        assert_eq!(file.warning(), None);
    }
}

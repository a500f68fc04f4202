//! Where the status listener is reached: taking the address, or making the socket's file and removing it again.
//!
//! Must never happen here: taking a socket away from a program that serves it, or removing a file that is not ours.

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::config::Listen;
use crate::db::place;
use crate::server::Listener;

/// The socket is for the user of ferryd and its group.
const SOCKET_MODE: u32 = 0o660;

/// Connections that may wait to be taken.
const BACKLOG: i32 = 64;

/// Why the listener cannot be had. The message names cause and remedy in one line.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The address cannot be taken.
    #[error(
        "status.listen: {address} cannot be listened on ({source}); {}",
        remedy(source)
    )]
    Address {
        /// As configured.
        address: SocketAddr,
        /// What failed.
        source: io::Error,
    },
    /// A program answers there.
    #[error("status.listen: another program listens on {}; stop it, or set another path", .0.display())]
    Taken(PathBuf),
    /// Something else has the name.
    #[error("status.listen: {} is no socket; remove it, or set another path", .0.display())]
    NoSocket(PathBuf),
    /// The file cannot be made.
    #[error("status.listen: the socket {} cannot be made ({source}); make its directory, and give this user the right to write there", .path.display())]
    Socket {
        /// As configured.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "stop the program that has it, or set another port",
        ErrorKind::PermissionDenied => "set a port from 1024 up",
        _ => "set another address",
    }
}

/// A listener that is open, and the file that is to be removed with it.
pub(super) struct Door {
    pub(super) listener: Listener,
    /// For people: an address as in a URL, or the socket as it is configured.
    pub(super) shown: String,
    pub(super) socket: Option<SocketFile>,
}

impl Door {
    /// Opens it.
    pub(super) fn open(listen: &Listen) -> Result<Door, DoorError> {
        match listen {
            Listen::Tcp(address) => open_tcp(*address),
            Listen::Unix(path) => open_unix(path),
        }
    }
}

/// Looks whether the listener can be had, as far as that shows without taking it, and says where it would be.
///
/// # Errors
/// When the directory of the socket is not there.
pub fn look(listen: &Listen) -> Result<String, DoorError> {
    let path = match listen {
        Listen::Tcp(address) => return Ok(format!("http://{address}/")),
        Listen::Unix(path) => path,
    };
    let directory = place::directory_of(path);
    // A directory alone has this entry.
    fs::metadata(directory.join(".")).map_err(|source| DoorError::Socket {
        path: path.clone(),
        source,
    })?;
    Ok(format!("unix:{}", path.display()))
}

fn open_tcp(address: SocketAddr) -> Result<Door, DoorError> {
    let bind = || {
        let listener = TcpListener::bind(address)?;
        let shown = format!("http://{}/", listener.local_addr()?);
        Ok(Door {
            listener: listener.into(),
            shown,
            socket: None,
        })
    };
    bind().map_err(|source| DoorError::Address { address, source })
}

fn open_unix(path: &Path) -> Result<Door, DoorError> {
    let failed = |source| DoorError::Socket {
        path: path.to_path_buf(),
        source,
    };
    make_way(path)?;
    let bind = || -> io::Result<(UnixListener, SocketFile)> {
        let socket = new_socket()?;
        net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        // Nobody can connect before it listens, so that the rights hold from the beginning.
        fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
        let file = SocketFile::of(path)?;
        net::listen(&socket, BACKLOG)?;
        Ok((UnixListener::from(socket), file))
    };
    let (listener, file) = bind().map_err(failed)?;
    Ok(Door {
        listener: listener.into(),
        shown: format!("unix:{}", path.display()),
        socket: Some(file),
    })
}

/// Removes the socket of a process that is gone.
fn make_way(path: &Path) -> Result<(), DoorError> {
    let failed = |source: io::Error| DoorError::Socket {
        path: path.to_path_buf(),
        source,
    };
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found.map_err(failed)?,
    };
    if !found.file_type().is_socket() {
        return Err(DoorError::NoSocket(path.to_path_buf()));
    }
    match knock(path) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(failed),
        Err(Errno::ACCESS) => Err(failed(Errno::ACCESS.into())),
        // Somebody opens, or is too busy to.
        _ => Err(DoorError::Taken(path.to_path_buf())),
    }
}

/// Connects, without waiting for a program that is too busy to take it.
fn knock(path: &Path) -> rustix::io::Result<()> {
    net::connect(new_socket()?, &SocketAddrUnix::new(path)?)
}

fn new_socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// The file of a socket of ours; removed on drop, unless somebody has put another one there.
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile {
            path: path.to_path_buf(),
            identity: identity(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // What stays is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

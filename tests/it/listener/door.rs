//! Where the listener is reached: addresses that are taken, and the socket's file.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use super::client::{address, exchange_unix, get, request, site};
use crate::harness::{Api, Daemon, Ran, Site};

/// A site with a listener on the socket `s.sock`.
fn unix_site(api: &Api) -> Site {
    let site = Site::with(api, "");
    let toml = std::fs::read_to_string(site.path("ferryd.toml")).unwrap();
    let socket = site.path("s.sock").display().to_string();
    site.configure(&format!("{toml}[status]\nlisten = \"unix:{socket}\"\n"));
    site
}

fn assert_refused(site: &Site, code: i32, text: &str) {
    let ran = site.run(&["run"]).assert_code(code).assert_says(text);
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
}

#[test]
fn a_port_that_is_taken_fails_the_start_before_anything_is_sent() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap();
    let api = Api::accepting();
    let site = Site::with(&api, &format!("[status]\nlisten = \"{port}\"\n"));
    site.import(1, 1..=3);
    assert_refused(
        &site,
        74,
        &format!("status.listen: {port} cannot be listened on"),
    );
    assert!(api.seen().is_empty());
}

#[test]
fn a_second_daemon_on_the_file_is_told_of_the_first_and_not_of_its_port() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let toml = std::fs::read_to_string(site.path("ferryd.toml")).unwrap();
    site.configure(&toml.replace("127.0.0.1:0", &address(&daemon)));
    let pid = format!("another ferryd works on this file (pid {})", daemon.pid());
    assert_refused(&site, 75, &pid);
}

#[test]
fn a_socket_is_for_the_group_and_goes_with_the_daemon() {
    let api = Api::accepting();
    let site = unix_site(&api);
    let daemon = site.daemon();
    let socket = site.path("s.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    for host in ["localhost", "anything.example"] {
        let reply = exchange_unix(&socket, &request("GET", "/healthz", host));
        assert_eq!(reply.status, 200, "{host}");
    }
    assert!(daemon.log().contains(&format!(
        "Status listener. address=unix:{}",
        socket.display()
    )));
    assert_eq!(daemon.terminate().0, 0);
    assert!(!socket.exists());
}

#[test]
fn the_socket_of_a_dead_daemon_is_replaced() {
    let api = Api::accepting();
    let site = unix_site(&api);
    site.daemon().kill();
    let socket = site.path("s.sock");
    assert!(socket.exists());
    let _daemon = site.daemon();
    let reply = exchange_unix(&socket, &request("GET", "/healthz", "x"));
    assert_eq!(reply.status, 200);
}

#[test]
fn a_socket_that_somebody_serves_is_left_to_them() {
    let api = Api::accepting();
    let site = unix_site(&api);
    let other = UnixListener::bind(site.path("s.sock")).unwrap();
    assert_refused(&site, 74, "another program listens on");
    assert!(other.accept().is_ok(), "it knocked there");
    assert!(site.path("s.sock").exists());
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let api = Api::accepting();
    let site = unix_site(&api);
    std::fs::write(site.path("s.sock"), "precious").unwrap();
    assert_refused(&site, 73, "is no socket; remove it, or set another path");
    assert_eq!(
        std::fs::read_to_string(site.path("s.sock")).unwrap(),
        "precious"
    );
}

#[test]
fn a_socket_in_a_directory_that_is_missing_fails_the_start() {
    let api = Api::accepting();
    let site = Site::with(&api, "[status]\nlisten = \"unix:/nowhere/s.sock\"\n");
    assert_refused(&site, 73, "the socket /nowhere/s.sock cannot be made");
}

#[test]
fn a_socket_in_a_directory_of_others_is_a_matter_of_permission() {
    let api = Api::accepting();
    let site = Site::with(&api, "[status]\nlisten = \"unix:/proc/s.sock\"\n");
    let Some(command) = site.ferryd_without_rights(&["run"]) else {
        return crate::rights::skip("setpriv cannot be used");
    };
    let closed = site.path("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = command;
    let listen = format!("unix:{}/s.sock", closed.display());
    command.env("FERRYD_STATUS_LISTEN", listen);
    if !rustix::process::geteuid().is_root() {
        return crate::rights::skip("only root can make a directory of others");
    }
    Ran::wait(command)
        .assert_code(77)
        .assert_says("give this user the right");
}

#[test]
fn the_listener_is_there_again_after_a_restart_on_the_same_port() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let first = address(&daemon);
    // A connection that the listener ends would hold the port for a while.
    let lasting = std::net::TcpStream::connect(&first).unwrap();
    assert_eq!(get(&first, "/healthz").status, 200);
    assert_eq!(daemon.terminate().0, 0);
    drop(lasting);
    let toml = std::fs::read_to_string(site.path("ferryd.toml")).unwrap();
    site.configure(&toml.replace("127.0.0.1:0", &first));
    let daemon = Daemon::start(site.ferryd(&["run"]), site.path("daemon.log"));
    assert_eq!(address(&daemon), first);
    assert_eq!(get(&first, "/healthz").status, 200);
}

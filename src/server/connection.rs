//! The life of one connection: request, answer, request, answer, until one side has enough.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{Answer, Whole, asks_to_close};
use super::request::Request;
use super::socket::Stream;
use super::wire::{Fault, Wire};
use super::{Shared, stop::Stop};
use crate::time::Timestamp;

/// Capacity kept for the next answer of the same connection.
const OUT_KEPT: usize = 64 * 1024;

/// Serves until the connection is over. Errors end it silently: the client has seen them too.
pub(super) fn serve(shared: &Shared, stream: &Stream) {
    let Ok(mut wire) = Wire::new(stream, shared.limits.transfer, shared.tls.clone()) else {
        return;
    };
    let mut request = Request::new(Arc::clone(&shared.stop));
    let mut out = Vec::new();
    loop {
        match request.read(&mut wire, &shared.limits) {
            Ok(()) => {}
            Err(Fault::Gone) => return,
            Err(Fault::Refused(status)) => return refuse(wire, status, ""),
            Err(Fault::NotOneHost) => {
                return refuse(wire, 400, "A request needs one Host field, and only one.\n");
            }
        }
        let (status, headers, body) = match (shared.handler)(&request) {
            Answer::Full {
                status,
                headers,
                body,
            } => (status, headers, body),
            Answer::Raw(bytes) => return send_last(wire, &bytes),
            Answer::Hangup => return,
            Answer::Drip { bytes, pause } => {
                return drip(wire, &bytes, pause, &shared.stop);
            }
        };
        let close = !request.keep_alive() || shared.stop.is_set() || asks_to_close(&headers);
        let whole = Whole {
            status,
            headers: &headers,
            body: &body,
            head_only: request.method() == "HEAD",
            close,
        };
        whole.render(&mut out);
        if close {
            return send_last(wire, &out);
        }
        if wire.write(&out).is_err() {
            return;
        }
        out.clear();
        out.shrink_to(OUT_KEPT);
    }
}

fn refuse(wire: Wire, status: u16, text: &str) {
    let date = ("Date".to_string(), Timestamp::now().to_http_date());
    let whole = Whole {
        status,
        headers: &[date],
        body: text.as_bytes(),
        head_only: false,
        close: true,
    };
    let mut out = Vec::new();
    whole.render(&mut out);
    send_last(wire, &out);
}

fn send_last(mut wire: Wire, bytes: &[u8]) {
    if wire.write(bytes).is_ok() {
        wire.linger();
    }
}

fn drip(mut wire: Wire, bytes: &[u8], pause: Duration, stop: &Stop) {
    for byte in bytes {
        if wire.write(&[*byte]).is_err() || !stop.sleep(pause) {
            return;
        }
    }
    wire.linger();
}

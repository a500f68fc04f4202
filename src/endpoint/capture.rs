//! A connection to nowhere, which keeps what would have been sent: so a request can be looked at exactly as the HTTP client
//! writes it. Nothing is looked up, and nothing leaves this process.

use std::sync::{Arc, Mutex, PoisonError};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Error};

use super::transport::BUFFER;

type Written = Arc<Mutex<Vec<u8>>>;

/// What `send` would have an agent with this configuration write; the agent gets no answer.
pub fn capture<T>(
    config: &Config,
    send: impl FnOnce(&Agent) -> Result<T, Error>,
) -> Result<Vec<u8>, Error> {
    let written = Written::default();
    let connector = Keep(Arc::clone(&written));
    let agent = Agent::with_parts(config.clone(), connector, Nowhere);
    let sent = send(&agent);
    let written = std::mem::take(&mut *written.lock().unwrap_or_else(PoisonError::into_inner));
    match sent {
        // It failed before it had written anything: the request itself cannot be sent.
        Err(error) if written.is_empty() => Err(error),
        _ => Ok(written),
    }
}

#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut none = self.empty();
        none.push(([127, 0, 0, 1], 9).into());
        Ok(none)
    }
}

#[derive(Debug)]
struct Keep(Written);

impl<In: Transport> Connector<In> for Keep {
    type Out = KeepTransport;

    fn connect(
        &self,
        _: &ConnectionDetails,
        _: Option<In>,
    ) -> Result<Option<KeepTransport>, Error> {
        Ok(Some(KeepTransport {
            written: Arc::clone(&self.0),
            buffers: LazyBuffers::new(BUFFER, BUFFER),
        }))
    }
}

#[derive(Debug)]
struct KeepTransport {
    written: Written,
    buffers: LazyBuffers,
}

impl Transport for KeepTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(&self.buffers.output()[..amount]);
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        Err(Error::ConnectionFailed)
    }

    fn is_open(&mut self) -> bool {
        false
    }

    /// A client that wants TLS is content with memory too.
    fn is_tls(&self) -> bool {
        true
    }
}

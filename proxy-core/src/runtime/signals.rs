//! The signals that a process answers to.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGTERM: stop once the workload is done with us.
    Drain,
    /// SIGINT: stop once what is in flight is done.
    Interrupt,
}

/// The signals that have come, one after the other.
#[derive(Debug)]
pub(super) struct Signals(Option<Streams>);

#[derive(Debug)]
struct Streams {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on the process's signals come here.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self(Some(Streams {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })))
    }

    /// The signals are someone else's: none ever comes.
    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) async fn next(&mut self) -> Asked {
        let Some(streams) = &mut self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = streams.hangup.recv() => Asked::Reload,
            _ = streams.terminate.recv() => Asked::Drain,
            _ = streams.interrupt.recv() => Asked::Interrupt,
        }
    }
}

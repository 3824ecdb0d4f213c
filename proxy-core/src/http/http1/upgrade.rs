//! The byte stream of a connection that switches protocols, handed over by whoever spoke HTTP on it.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::net::Stream;

/// Travels in the extensions of a request that asks for a switch, and of the 101 that agrees to it.
#[derive(Debug, Clone)]
pub(in crate::http) struct Handover(Arc<Mutex<Option<Taken>>>);

#[derive(Debug)]
enum Taken {
    /// Once the 101 has been written.
    Later(oneshot::Receiver<Stream>),
    Now(Stream),
}

impl Handover {
    /// A stream that is to come through the returned sender.
    pub(super) fn later() -> (oneshot::Sender<Stream>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self::of(Taken::Later(receiver)))
    }

    /// A stream that is here already.
    pub(super) fn now(stream: Stream) -> Self {
        Self::of(Taken::Now(stream))
    }

    /// The stream; none when the connection ended before it could be handed over. To be asked once.
    pub(in crate::http) async fn stream(self) -> Option<Stream> {
        let taken = self.0.lock().take();
        match taken? {
            Taken::Now(stream) => Some(stream),
            Taken::Later(receiver) => receiver.await.ok(),
        }
    }

    fn of(taken: Taken) -> Self {
        Self(Arc::new(Mutex::new(Some(taken))))
    }
}

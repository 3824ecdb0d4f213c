//! One listening socket of a worker: where its connections go, and its end.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::served::Served;
use crate::net::Acceptor;

/// Accepts connections until it is stopped.
pub(super) struct Bound {
    served: Arc<ArcSwap<Arc<Served>>>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Bound {
    /// Begins to accept.
    pub(super) fn start(acceptor: Acceptor, served: Arc<Served>) -> Self {
        let served = Arc::new(ArcSwap::from_pointee(served));
        let (stop, mut stopped) = watch::channel(false);
        let to = Arc::clone(&served);
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    (tcp, peer) = acceptor.accept() => to.load().accept(tcp, peer),
                    _ = stopped.wait_for(|stop| *stop) => break,
                }
            }
            // What the kernel has accepted for us already would be reset by closing the socket.
            for (tcp, peer) in acceptor.queued() {
                to.load().accept(tcp, peer);
            }
        });
        Self { served, stop, task }
    }

    /// Leads connections there from now on; returns where they went before.
    pub(super) fn lead(&self, served: &Arc<Served>) -> Arc<Served> {
        let before = self.served.swap(Arc::new(Arc::clone(served)));
        Arc::clone(&before)
    }

    /// Accepts nothing more, except for what the kernel has queued; returns when that is done.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

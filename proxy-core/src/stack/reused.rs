//! A service that is cheap to clone and to share, whatever is below it.
//!
//! Layers clone what is below them for each request, which for a whole stack is a dozen counts up and down.

use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tower::Service;

/// Calls one and the same service, and a clone of it only while somebody else is calling that one. Clones
/// share it; it must always be ready.
#[derive(Debug)]
pub struct Reused<S>(Arc<Kept<S>>);

#[derive(Debug)]
struct Kept<S> {
    origin: S,
    /// What is called while nobody else calls it.
    spare: Mutex<S>,
}

impl<S: Clone> Reused<S> {
    /// Shares `service`.
    pub fn new(service: S) -> Self {
        let spare = Mutex::new(service.clone());
        Self(Arc::new(Kept {
            origin: service,
            spare,
        }))
    }

    /// Calls the service.
    pub fn send<R>(&self, request: R) -> S::Future
    where
        S: Service<R>,
    {
        match self.0.spare.try_lock() {
            Some(mut spare) => spare.call(request),
            None => self.0.origin.clone().call(request),
        }
    }
}

impl<S> Clone for Reused<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, R> Service<R> for Reused<S>
where
    S: Service<R> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> S::Future {
        self.send(request)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    /// Counts how often it is cloned; a call may make another one while it is under way.
    #[derive(Debug)]
    struct Counting {
        clones: Arc<AtomicUsize>,
    }

    impl Clone for Counting {
        fn clone(&self) -> Self {
            self.clones.fetch_add(1, Relaxed);
            Self {
                clones: Arc::clone(&self.clones),
            }
        }
    }

    impl Service<Option<Reused<Counting>>> for Counting {
        type Response = ();
        type Error = ();
        type Future = Ready<Result<(), ()>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, again: Option<Reused<Counting>>) -> Self::Future {
            if let Some(service) = again {
                drop(service.send(None));
            }
            ready(Ok(()))
        }
    }

    #[test]
    fn calls_one_after_the_other_clone_nothing() {
        let clones = Arc::new(AtomicUsize::new(0));
        let service = Reused::new(Counting {
            clones: Arc::clone(&clones),
        });
        let made = clones.load(Relaxed);
        for _ in 0..3 {
            drop(service.clone().send(None));
        }
        assert_eq!(clones.load(Relaxed), made);
    }

    #[test]
    fn a_call_during_a_call_gets_a_clone() {
        let clones = Arc::new(AtomicUsize::new(0));
        let service = Reused::new(Counting {
            clones: Arc::clone(&clones),
        });
        let made = clones.load(Relaxed);
        drop(service.send(Some(service.clone())));
        assert_eq!(clones.load(Relaxed), made + 1);
    }
}

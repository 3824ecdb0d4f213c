//! The future of a service that only changes the head of a response.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use crate::body::Body;

/// What is done to a response.
pub trait Change {
    /// Changes `response`, once.
    fn change(&self, response: &mut Response<Body>);
}

pin_project! {
    /// A response, changed when it comes.
    pub struct After<F, C> {
        #[pin]
        inner: F,
        change: Option<C>,
    }
}

impl<F, C> After<F, C> {
    /// Without a change the response is passed on as it is.
    pub(super) fn new(inner: F, change: Option<C>) -> Self {
        Self { inner, change }
    }
}

impl<F, C, E> Future for After<F, C>
where
    F: Future<Output = Result<Response<Body>, E>>,
    C: Change,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if let Some(change) = this.change {
            change.change(&mut response);
        }
        Poll::Ready(Ok(response))
    }
}

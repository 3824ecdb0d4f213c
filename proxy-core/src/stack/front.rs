//! What a connection's requests meet first: the stack of the listener, or the routes of a gateway.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::Service;

use super::{Downstream, Reused};
use crate::body::Body;

/// An answer of routes.
pub type Routed = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// Routes, whatever they lead to.
pub trait Routes: Send + Sync {
    /// Sends a request to whom it is for.
    fn send(&self, request: Request<Body>) -> Routed;
}

/// The first of the stacks.
pub enum Front {
    /// Every request goes down this one.
    Plain(Reused<Downstream>),
    /// The request decides.
    Routes(Arc<dyn Routes>),
}

impl Front {
    /// Sends a request.
    pub fn send(&self, request: Request<Body>) -> FrontFuture {
        let answer = match self {
            Self::Plain(downstream) => Answer::Plain {
                answer: downstream.send(request),
            },
            Self::Routes(routes) => Answer::Routed {
                answer: routes.send(request),
            },
        };
        FrontFuture { answer }
    }
}

pin_project! {
    /// The response of [`Front`].
    pub struct FrontFuture {
        #[pin]
        answer: Answer,
    }
}

pin_project! {
    #[project = Step]
    enum Answer {
        Plain {
            #[pin]
            answer: <Downstream as Service<Request<Body>>>::Future,
        },
        Routed {
            answer: Routed,
        },
    }
}

impl Future for FrontFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().answer.project() {
            Step::Plain { answer } => answer.poll(cx),
            Step::Routed { answer } => answer.as_mut().poll(cx),
        }
    }
}

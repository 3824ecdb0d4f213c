//! The HTTP-01 challenges of ACME authorities (RFC 8555, 8.3): which requests are such, and what they are answered.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use tower::Service;

use crate::body::Body;
use crate::fault::{Fault, Reason};
use crate::tls::{ChallengeKind, Challenges};

/// Where an authority asks for a token.
const PATH: &str = "/.well-known/acme-challenge/";

/// A request for a token, which may be one of the workload's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge(String);

/// What an authority is told, in the extensions of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told(String);

impl Challenge {
    /// The challenge that a request may be.
    pub fn of(request: &Request<Body>) -> Option<Self> {
        let token = request.uri().path().strip_prefix(PATH)?;
        (*request.method() == Method::GET).then(|| Self(token.to_owned()))
    }

    /// What is told to who asks for this token; nothing where nobody here knows it.
    pub async fn told(&self, challenges: &[Challenges]) -> Option<Told> {
        for challenges in challenges {
            if let Some(told) = challenges.find(ChallengeKind::Http01, &self.0).await {
                return Some(Told(told));
            }
        }
        None
    }
}

/// Answers requests with the [`Told`] in their extensions.
#[derive(Debug, Clone, Copy)]
pub struct Answer;

impl Service<Request<Body>> for Answer {
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Ready<Result<Response<Body>, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(Told(told)) = request.extensions().get() else {
            let fault = Fault::unseen(Reason::Internal, "there is nothing to tell an authority");
            return ready(Err(fault));
        };
        let mut response = Response::new(Body::full(told.clone()));
        let headers = response.headers_mut();
        let bytes = HeaderValue::from_static("application/octet-stream");
        headers.insert(CONTENT_TYPE, bytes);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_known_token_is_answered_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let challenges = Challenges::of(folder.path());
        challenges.clear().unwrap();
        let _published = challenges.publish(ChallengeKind::Http01, "known", "known.digest");
        let all = [Challenges::of("/nowhere".as_ref()), challenges];
        for (method, path, expected) in [
            ("GET", "/.well-known/acme-challenge/known", true),
            ("GET", "/.well-known/acme-challenge/known?a=b", true),
            ("POST", "/.well-known/acme-challenge/known", false),
            ("GET", "/.well-known/acme-challenge/unknown", false),
            (
                "GET",
                "/.well-known/acme-challenge/../challenges/http-01:known",
                false,
            ),
            ("GET", "/.well-known/acme-challenge/", false),
            ("GET", "/known", false),
        ] {
            let mut request = Request::new(Body::empty());
            *request.method_mut() = method.parse().unwrap();
            *request.uri_mut() = path.parse().unwrap();
            let told = match Challenge::of(&request) {
                Some(challenge) => challenge.told(&all).await,
                None => None,
            };
            assert_eq!(told.is_some(), expected, "{method} {path}");
            let answered = told.is_some();
            told.map(|told| request.extensions_mut().insert(told));
            let response = Answer.call(request).await;
            assert_eq!(response.is_ok(), answered);
            if let Ok(response) = response {
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body, "known.digest");
            }
        }
    }
}

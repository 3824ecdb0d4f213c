//! Challenges of ACME authorities, which are answered before it is asked where a request leads.
//!
//! What is answered here goes down a stack of the listener's own, so that it is recorded as any other request. A
//! token that nobody here knows may be one of a workload's own: its request goes on as if nothing had been asked.

use std::path::PathBuf;
use std::sync::Arc;

use http::Request;

use super::front::{Front, Routed, Routes};
use super::{Downstream, Reused};
use crate::body::Body;
use crate::http::Challenge;
use crate::tls::Challenges;

/// A front behind which everything is that is no challenge.
pub struct Challenged {
    challenges: Arc<[Challenges]>,
    own: Reused<Downstream>,
    beyond: Arc<Front>,
}

impl Challenged {
    /// Answers with what the folders of certificates hold at the time. `own` is a stack that ends at
    /// [`ChallengeAnswer`](crate::http::ChallengeAnswer).
    pub fn new(folders: &[PathBuf], own: Downstream, beyond: Front) -> Self {
        let challenges = folders.iter().map(|folder| Challenges::of(folder));
        Self {
            challenges: challenges.collect(),
            own: Reused::new(own),
            beyond: Arc::new(beyond),
        }
    }
}

impl Routes for Challenged {
    fn send(&self, mut request: Request<Body>) -> Routed {
        let Some(challenge) = Challenge::of(&request) else {
            return Box::pin(self.beyond.send(request));
        };
        let challenges = Arc::clone(&self.challenges);
        let (own, beyond) = (self.own.clone(), Arc::clone(&self.beyond));
        Box::pin(async move {
            match challenge.told(&challenges).await {
                Some(told) => {
                    request.extensions_mut().insert(told);
                    own.send(request).await
                }
                None => beyond.send(request).await,
            }
        })
    }
}

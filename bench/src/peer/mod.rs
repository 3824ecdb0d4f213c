//! The proxies that are measured: how each is started so that all of them do the same work.
//!
//! Every proxy forwards cleartext HTTP to one origin with one worker thread, keeps its upstream
//! connections, writes no access log for a successful request, and either all of them add
//! `X-Forwarded-For` or none does. Retries on a status are asked of the ambassador only, because
//! they are its default; the peers are spared the cost.
//!
//! Other kinds of run start the same programs by `programs` with configurations of their own.

pub(crate) mod envoy;
pub(crate) mod install;
mod model;
mod prepare;
pub(crate) mod programs;

pub(crate) use model::{AMBASSADOR, BASELINE, DEFAULT, INGRESS, Peer, Ports, SIDECAR};
pub(crate) use prepare::Prepare;

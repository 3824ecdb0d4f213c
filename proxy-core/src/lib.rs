//! The library under every Remora proxy.
//!
//! In the order in which a request meets them:
//!
//! - [`runtime`] binds, runs worker threads, reloads and drains
//! - [`admin`] shows the live page and answers `/livez`, `/readyz`, `/metrics`, `/config`
//! - [`stack`] composes the layers: the only place that does
//! - [`plan`] is what a configuration means
//! - [`net`] listens, connects and copies bytes
//! - [`tls`] secures connections to upstreams
//! - [`http`] serves requests and sends them on
//! - [`resilience`] holds timeouts and retries, one tower layer each
//! - [`balance`] picks an endpoint and ejects those that fail
//! - [`discovery`] finds the endpoints of a name
//! - [`body`] is the one body type
//! - [`config`] mirrors the file
//! - [`telemetry`] counts and logs
//! - [`fault`] classifies every failure
//! - [`files`] tells when files change
//! - [`lifecycle`] says when a process is ready, and that it drains

#![warn(missing_docs)]

pub mod admin;
pub mod balance;
pub mod body;
pub mod config;
pub mod discovery;
pub mod fault;
pub mod files;
pub mod http;
pub mod lifecycle;
pub mod net;
pub mod plan;
pub mod resilience;
pub mod runtime;
pub mod stack;
pub mod telemetry;
pub mod tls;

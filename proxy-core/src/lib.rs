//! The library under every Remora proxy: everything that is true of any of them, usable without a binary.
//!
//! A proxy takes a request on a local address, finds the endpoints of the service that it is meant
//! for, picks one, sends the request there, and tries again where that is safe. This crate holds that
//! whole way, and each stretch of it as a part that can be used alone.
//!
//! # The way of a request
//!
//! 1. [`net`] accepts a connection, and [`http`] reads a request from it. A request is an
//!    `http::Request` with the one [`Body`](body::Body), which streams.
//! 2. [`stack`] is the row of layers that it passes, in one file for each direction. The first ones
//!    open its record, take off the fields of the hop, and turn failures into responses.
//! 3. [`resilience`] bounds its time and sends it again within a budget.
//! 4. [`balance`] picks an endpoint for each try, from a set that [`discovery`] feeds, and takes
//!    endpoints that fail out of the rotation.
//! 5. [`http::Client`] sends it on a pooled connection, inside [`tls`] where the service speaks it.
//! 6. On the way back every layer sees the head of the response, and then the end of its body.
//!
//! Whatever fails on that way is a [`Fault`](fault::Fault): its reason, whether an endpoint may have
//! seen the request, and the cause. It is the error of every service here.
//!
//! # Three ways to use it
//!
//! ## A whole proxy inside your program
//!
//! A [`Handle`](runtime::Handle) is a proxy that runs on threads of its own. It is started with a
//! text in the grammar of the configuration file, or a [`Document`](config::Document) that
//! [`Flags`](config::Flags) make, and works from any tokio runtime, or from none. Named entries
//! listen where the text says.
//!
//! ```
//! use proxy_core::runtime::{Error, Handle};
//!
//! # fn main() -> Result<(), Error> {
//! let mut proxy = Handle::from_yaml(
//!     "
//!     admin: off
//!     ambassador:
//!       users: {listen: '127.0.0.1:0', to: 'http://127.0.0.1:8080', timeout: {request: 5s}}
//!     ",
//! )?;
//! println!("call users at {}", proxy.addresses("users")[0]);
//! proxy.drain()?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Section`](config::Section) names the roles: `Section::Sidecar.parse(...)` reads the inbound one of the same
//! grammar, and [`Handle::from_document`](runtime::Handle::from_document) runs what was read.
//!
//! Async code awaits [`ready`](runtime::Handle::ready) and [`drained`](runtime::Handle::drained), as
//! [examples/embed.rs](../../../proxy-core/examples/embed.rs) does:
//! `cargo run -p proxy-core --example embed`.
//!
//! ## Layers around a service of your own
//!
//! Layers and services are those of `tower`, and `Send`, so that they run on a runtime of many
//! threads. A service fits when it takes a `Request<Body>` and fails with a `Fault`.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use http::{Request, Response};
//! use proxy_core::body::Body;
//! use proxy_core::fault::Fault;
//! use proxy_core::resilience::retry::{Budget, Params, RetryLayer};
//! use proxy_core::resilience::timeout::{Bound, TimeoutLayer};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Fault> {
//! // Retries of at most 20 % of the requests, plus 10 a second.
//! let budget = Arc::new(Budget::new(0.2, 10));
//! let service = ServiceBuilder::new()
//!     .layer(RetryLayer::new(Params::default(), budget))
//!     .layer(TimeoutLayer::new(Duration::from_secs(1), Bound::Try))
//!     .service(service_fn(|_: Request<Body>| async {
//!         Ok::<_, Fault>(Response::new(Body::full("hello")))
//!     }));
//! let response = service.oneshot(Request::new(Body::empty())).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! [examples/layer.rs](../../../proxy-core/examples/layer.rs) shows what is sent again and what is
//! not: `cargo run -p proxy-core --example layer`.
//!
//! ## Endpoints from a source of your own
//!
//! A source is a `watch::Receiver` of a [`Resolution`](discovery::Resolution), which keeps the last
//! good set. [`feed`](balance::feed()) brings an [`EndpointSet`](balance::EndpointSet) to what sources
//! know, and [`Balance`](balance::Balance) is the service that picks from it, with a service of your
//! choice for each endpoint.
//!
//! ```
//! use std::net::SocketAddr;
//! use std::sync::Arc;
//!
//! use http::uri::Authority;
//! use proxy_core::balance::{EndpointSet, Feed, feed};
//! use proxy_core::discovery::Resolution;
//! use tokio::sync::watch;
//!
//! # #[tokio::main]
//! # async fn main() {
//! let (registry, resolution) = watch::channel(Resolution::default());
//! let set = Arc::new(EndpointSet::new(None));
//! let feeds = vec![Feed::new(resolution, Authority::from_static("users"))];
//! tokio::spawn(feed(Arc::clone(&set), feeds));
//!
//! let found = SocketAddr::from(([10, 0, 0, 1], 8080));
//! registry.send_modify(|known| known.accept("the registry", vec![found.into()], None));
//! set.settled().await;
//! assert_eq!(*set.endpoints()[0].address(), found);
//! # }
//! ```
//!
//! [examples/custom_discovery.rs](../../../proxy-core/examples/custom_discovery.rs) sends requests to
//! endpoints that come and go: `cargo run -p proxy-core --example custom_discovery`.
//!
//! # How the modules relate
//!
//! A module imports only from those below it, and the components in the middle know nothing of the
//! configuration: each has a `Params`, which [`plan`] fills from a file and others fill by hand.
//!
//! - [`runtime`] binds, runs worker threads, reloads and drains
//! - [`admin`] shows the live page and answers `/livez`, `/readyz`, `/metrics`, `/config`
//! - [`stack`] composes the layers: the only place that does
//! - [`plan`] is what a configuration means
//! - [`acme`] obtains certificates and renews them
//! - the components, each usable alone:
//!   - [`http`] serves requests and sends them on
//!   - [`tls`] secures connections to upstreams
//!   - [`net`] listens, connects and copies bytes
//!   - [`route`] finds the route of a request among many hosts and paths
//!   - [`transform`] rewrites, redirects, answers and compresses, one tower layer each
//!   - [`resilience`] holds timeouts and retries, one tower layer each
//!   - [`balance`] picks an endpoint and ejects those that fail
//!   - [`discovery`] finds the endpoints of a name
//! - [`config`] mirrors the file
//! - [`telemetry`] counts and logs
//! - [`lifecycle`] says when a process is ready, and that it drains
//! - [`body`] is the one body type
//! - [`fault`] classifies every failure
//! - [`files`] tells when files change
//! - [`address`] is where an endpoint is reached
//! - [`pattern`] is a regular expression that matches whole texts

#![warn(missing_docs)]

pub mod acme;
pub mod address;
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
pub mod pattern;
pub mod plan;
pub mod resilience;
pub mod route;
pub mod runtime;
pub mod stack;
pub mod telemetry;
pub mod tls;
pub mod transform;

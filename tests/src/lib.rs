//! What a black-box test needs around the binary under test, one subject a file.

/// The ambassador among the proxies.
pub mod ambassador;
/// A headless browser with a page of its own.
pub mod browser;
/// Callers in TLS, with certificates and without.
pub mod callers;
/// An authority of the test's own, and the certificates that it issues.
pub mod certificates;
/// Clients of the proxy over HTTP/1.1 and HTTP/2.
pub mod client;
/// The text of a configuration file with one entry or several.
pub mod config;
/// The recipes of the cookbook, made to run here.
pub mod cookbook;
/// A DNS server that answers what the test says.
pub mod dns;
/// A reader of server-sent events.
pub mod events;
/// A gRPC service and its client, written out by hand.
pub mod grpc;
/// A demo that is kept running, and what it shows.
pub mod kept;
/// JSON lines of a running program, on which a test can wait.
pub mod lines;
/// Requests at a fixed rate, whatever becomes of them.
pub mod load;
/// Upstreams on Unix sockets.
pub mod local;
/// Memory of a process, as the kernel counts it.
pub mod memory;
/// The Prometheus text exposition, parsed strictly.
pub mod metrics;
/// A hickory-server whose answers, delays and lies the test sets.
pub mod nameserver;
/// What must be installed for a test to mean something.
pub mod needs;
/// A network namespace that the test makes and removes.
pub mod netns;
/// HTTP upstreams in this process.
pub mod origin;
/// An ACME authority: pebble.
pub mod pebble;
/// HTTP upstreams in a process of their own, which can be killed.
pub mod process;
/// One test under one deadline, and waiting for events.
pub mod promise;
/// The proxy under test, of any role: start, watch, signal, ask.
pub mod proxy;
/// TCP upstreams that follow a script, byte by byte.
pub mod scripted;
/// The Rust sources of the workspace.
pub mod sources;
/// Callers that speak TLS to the proxy.
pub mod tls;
/// One TCP connection, seen as bytes and the way it ended.
pub mod wire;
/// YAML as JSON values.
pub mod yaml;

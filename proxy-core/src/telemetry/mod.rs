//! What the proxy says of itself: counters a worker, the story of each exchange, the access log, trace context.
//!
//! Nothing here decides anything. Counters are kept a worker and summed when they are read, so that
//! no request writes to memory that another core writes to.

mod access_log;
mod counters;
mod exchange;
mod failures;
mod handshakes;
mod histogram;
mod introductions;
mod own_log;
mod timestamp;
mod trace_context;

pub use access_log::{AccessLog, AccessLogWriter, Which};
pub use counters::{Denied, EntryCounters, EntryTelemetry, Totals};
pub use exchange::{Carried, Exchange, Explained, Occupied, Story, Tried};
pub use failures::{Failure, Failures};
pub use handshakes::{HandshakeResult, Handshakes};
pub use histogram::{BOUNDS, Histogram};
pub use introductions::{Introduction, Introductions};
pub use own_log::{OwnLog, OwnLogWriter};
pub use timestamp::timestamp;
pub use trace_context::{TRACEPARENT, trace_id, traced};

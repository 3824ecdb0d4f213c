//! HTTP/1.1 on the wire, both sides: messages are read and written in the task of their exchange, without a task or a channel between.
//!
//! What a message is, where it ends and when its connection may be used again follows RFC 9112; what
//! could be read in two ways is refused. Memory of a connection that is idle is given back.
//! It does not decide what a message may contain: that is `http::hygiene`.

mod body;
mod buffer;
mod case;
mod chunked;
mod closing;
mod decode;
mod encode;
mod framing;
mod head;
mod names;
mod outbox;
mod pump;
mod server;
#[cfg(test)]
mod tests;
mod upgrade;
mod upstream;

pub(super) use encode::interim;
pub(super) use head::{FIELDS, ResponseHead};
pub(super) use server::{Ended, Settings, serve};
pub(super) use upgrade::Handover;
pub(super) use upstream::{Failed, Rest, Sending, Wire};

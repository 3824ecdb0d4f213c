//! What hyper's errors mean for a request: reason, and whether the upstream may have seen it.

use std::error::Error as StdError;
use std::io;

use crate::address::Address;
use crate::fault::{Fault, Reason};
use crate::http::http1::Failed;
use crate::tls;

/// The fault of a request that was at least partly handed to a connection.
pub(super) fn sent(address: &Address, error: hyper::Error) -> Fault {
    if let Some(fault) = of_the_body(&error) {
        return fault;
    }
    if refused(&error) {
        let detail = format!("{address} refused the stream before it looked at it");
        return Fault::unseen(Reason::ConnectionTerminated, detail).because(error);
    }
    let (reason, detail) = if error.is_parse_too_large() {
        (
            Reason::ProtocolError,
            format!("the response head of {address} is too large"),
        )
    } else if error.is_parse() {
        (
            Reason::ProtocolError,
            format!("{address} did not answer in HTTP"),
        )
    } else if is_h2_protocol(&error) {
        (
            Reason::ProtocolError,
            format!("{address} broke the rules of HTTP/2"),
        )
    } else {
        (
            Reason::ConnectionTerminated,
            format!("{address} closed the connection before it answered"),
        )
    };
    Fault::maybe_seen(reason, detail).because(error)
}

/// The fault of a request that never left.
pub(super) fn unsent(address: &Address, error: hyper::Error) -> Fault {
    let detail = format!("the connection to {address} closed before the request was sent");
    Fault::unseen(Reason::ConnectionTerminated, detail).because(error)
}

/// The fault of a request of which nothing could be written to an HTTP/1.1 connection.
pub(super) fn unsent_http1(address: &Address, cause: io::Error) -> Fault {
    let detail = format!("the connection to {address} closed before the request was sent");
    Fault::unseen(Reason::ConnectionTerminated, detail).because(cause)
}

/// The fault of an HTTP/1.1 exchange without a response.
pub(super) fn http1(address: &Address, failed: Failed) -> Fault {
    match failed {
        Failed::Lost {
            sent: false, cause, ..
        } => unsent_http1(address, cause),
        Failed::Body(fault) => fault,
        Failed::Lost { cause, .. } => {
            if let Some(alert) = tls::alert(&cause) {
                return by_alert(address, &alert);
            }
            let detail = format!("{address} closed the connection before it answered");
            Fault::maybe_seen(Reason::ConnectionTerminated, detail).because(cause)
        }
        // A response whose length is told in two ways may be read differently by whoever is next (RFC 9112, 6.3).
        Failed::NotHttp(what) => {
            let detail = format!("{address} did not answer in HTTP: {what}");
            Fault::maybe_seen(Reason::ProtocolError, detail)
        }
        Failed::TooLarge(what) => {
            let detail = format!("the response head of {address} {what}");
            Fault::maybe_seen(Reason::ProtocolError, detail)
        }
    }
}

/// The endpoint ended the connection with an alert, after a handshake that was over for us.
pub(super) fn by_alert(address: &Address, alert: &str) -> Fault {
    let detail = format!("{address} ended the connection with the TLS alert {alert}");
    Fault::maybe_seen(Reason::TlsAlertReceived, detail)
}

/// The request's own body failed: its sender went away, or it was given up.
fn of_the_body(error: &hyper::Error) -> Option<Fault> {
    let fault = find::<Fault>(error)?;
    Some(Fault::maybe_seen(fault.reason(), fault.detail().to_owned()))
}

/// The upstream says that it has not acted: REFUSED_STREAM, or a GOAWAY that excludes this stream (RFC 9113, 8.7).
fn refused(error: &hyper::Error) -> bool {
    find::<::h2::Error>(error).is_some_and(|error| {
        error.reason() == Some(::h2::Reason::REFUSED_STREAM)
            || (error.is_go_away()
                && error.is_remote()
                && error.reason() == Some(::h2::Reason::NO_ERROR))
    })
}

fn is_h2_protocol(error: &hyper::Error) -> bool {
    find::<::h2::Error>(error).is_some_and(|error| {
        error.is_library() || error.reason() == Some(::h2::Reason::PROTOCOL_ERROR)
    })
}

fn find<E: StdError + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

//! Every failure that the proxy itself produces, with its reason, its side and whether a retry is safe.
//!
//! A [`Fault`] is the error type of every service in this crate. Its [`Reason`] is the RFC 9209
//! error type that goes into `Proxy-Status`, the metric label and the access-log field alike, so
//! that all three always agree. It does not render responses: `http::respond` does.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

/// The error of a foreign library, kept as the cause of a fault.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Which hop failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The workload or client that called us.
    Downstream,
    /// The service that we call.
    Upstream,
    /// The proxy itself.
    Proxy,
}

/// Whether an upstream may have acted on the request before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Nothing of the request reached an upstream: any method may be sent again.
    No,
    /// Some of it may have: only what is idempotent may be sent again (RFC 9110, 9.2.2).
    Maybe,
}

/// The class of a failure as `retry.on` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// No connection could be made.
    Connect,
    /// The connection ended before a response head.
    Reset,
    /// The try took longer than its timeout.
    Timeout,
    /// Nothing that another try could mend.
    Other,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident => $token:literal, $status:ident, $side:ident, $class:ident;)*) => {
        /// Why a request failed: the error types of RFC 9209, section 2.3, that this proxy produces.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, in the order of its discriminant.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in `Proxy-Status`, metrics and the access log.
            pub fn token(self) -> &'static str {
                match self { $(Self::$name => $token,)* }
            }

            /// The status of the response that reports it.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The hop that failed.
            pub fn side(self) -> Side {
                match self { $(Self::$name => Side::$side,)* }
            }

            /// The class that `retry.on` matches.
            pub fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }
        }
    };
}

reasons! {
    /// The name server did not answer in time.
    DnsTimeout => "dns_timeout", GATEWAY_TIMEOUT, Upstream, Other;
    /// The name server answered with an error, or without an address.
    DnsError => "dns_error", BAD_GATEWAY, Upstream, Other;
    /// There is no endpoint to send to, or its network cannot be reached.
    DestinationUnavailable => "destination_unavailable", SERVICE_UNAVAILABLE, Upstream, Connect;
    /// The endpoint refused the connection.
    ConnectionRefused => "connection_refused", BAD_GATEWAY, Upstream, Connect;
    /// The connection ended before the response did.
    ConnectionTerminated => "connection_terminated", BAD_GATEWAY, Upstream, Reset;
    /// No connection could be made in time.
    ConnectionTimeout => "connection_timeout", GATEWAY_TIMEOUT, Upstream, Connect;
    /// The TLS handshake failed, or what came was no TLS.
    TlsProtocolError => "tls_protocol_error", BAD_GATEWAY, Upstream, Connect;
    /// The certificate of the endpoint is not accepted.
    TlsCertificateError => "tls_certificate_error", BAD_GATEWAY, Upstream, Connect;
    /// The endpoint refused us with a TLS alert.
    TlsAlertReceived => "tls_alert_received", BAD_GATEWAY, Upstream, Connect;
    /// The pool's connections and waiting places are all taken.
    ConnectionLimitReached => "connection_limit_reached", SERVICE_UNAVAILABLE, Proxy, Other;
    /// No response head came in time.
    ResponseTimeout => "http_response_timeout", GATEWAY_TIMEOUT, Upstream, Timeout;
    /// The response body ended too early.
    ResponseIncomplete => "http_response_incomplete", BAD_GATEWAY, Upstream, Other;
    /// The upstream did not speak HTTP.
    ProtocolError => "http_protocol_error", BAD_GATEWAY, Upstream, Other;
    /// The request is not valid HTTP, or was cut off by its sender.
    RequestError => "http_request_error", BAD_REQUEST, Downstream, Other;
    /// The upstream did not agree to the protocol upgrade it announced.
    UpgradeFailed => "http_upgrade_failed", BAD_GATEWAY, Upstream, Other;
    /// No route fits the request.
    NoRoute => "destination_not_found", NOT_FOUND, Downstream, Other;
    /// The request is for a host that this connection may not ask for.
    Misdirected => "http_request_denied", MISDIRECTED_REQUEST, Downstream, Other;
    /// The answer is one that the configuration asks for.
    Injected => "proxy_internal_response", SERVICE_UNAVAILABLE, Proxy, Other;
    /// The proxy is at fault.
    Internal => "proxy_internal_error", INTERNAL_SERVER_ERROR, Proxy, Other;
}

/// A failure that the proxy produced or found.
#[derive(Debug)]
pub struct Fault {
    reason: Reason,
    detail: Cow<'static, str>,
    seen: Seen,
    stale: bool,
    status: Option<StatusCode>,
    cause: Option<Cause>,
}

impl Fault {
    /// A fault before anything reached an upstream.
    pub fn unseen(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            seen: Seen::No,
            stale: false,
            status: None,
            cause: None,
        }
    }

    /// A fault after some of the request may have reached an upstream.
    pub fn maybe_seen(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            seen: Seen::Maybe,
            stale: false,
            status: None,
            cause: None,
        }
    }

    /// The same fault, with what caused it.
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same fault, found on a connection that had been idle: the upstream most likely closed it
    /// just before the request came, which says nothing against the endpoint.
    pub fn on_stale_connection(mut self) -> Self {
        self.stale = true;
        self
    }

    /// The same fault, to be reported with another status than its reason's.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// The status of the response that reports it.
    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or(self.reason.status())
    }

    /// Whether it was found on a connection that had been idle.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Why the request failed.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What happened, in words, without the cause.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether an upstream may have acted on the request.
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// What happened and everything that caused it, in one line.
    pub fn story(&self) -> String {
        let mut text = self.detail.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.ends_with(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.token(), self.detail)
    }
}

impl StdError for Fault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause
            .as_ref()
            .map(|cause| &**cause as &(dyn StdError + 'static))
    }
}

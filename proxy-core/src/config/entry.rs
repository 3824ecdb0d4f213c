//! One entry: where the workload connects to, where that leads, and how failures are met.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Balance, Count, Discover, Duration, HeaderName, Hedge, Inject, Limit, ListenAddress, Method,
    Mirror, OrOff, PathPolicy, Percent, ProxyVersion, Rate, RetryOn, Size, StatusRange, Tls, To,
};

/// One entry of a section. `listen` and `to` are required, every other key has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map with `listen` and `to`"
)]
pub struct Entry {
    /// Where the workload connects to.
    pub listen: ListenAddress,
    /// Where that leads: a URL, or a list of URLs of one scheme.
    pub to: To,
    /// How the endpoints are found. Default: `dns` if a host of `to` is a name, else `static`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Discover"))]
    pub discover: Option<Discover>,
    /// What the upstream is told as the authority (`Host`, `:authority`). Default: `upstream`.
    #[serde(default)]
    pub host: HostPolicy,
    /// How an upstream of `https` or `tls` is spoken to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Tls"))]
    pub tls: Option<Tls>,
    /// How long each step may take.
    #[serde(default)]
    pub timeout: Timeouts,
    /// When and how often a failed try is repeated, or `off`.
    #[serde(default)]
    pub retry: OrOff<Retry>,
    /// When a second try is sent beside a slow one, or `off`. Default: `off`.
    #[serde(default = "OrOff::<Hedge>::off")]
    pub hedge: OrOff<Hedge>,
    /// How much is let through.
    #[serde(default)]
    pub limit: Limit,
    /// Faults that are made on purpose, or `off`. Default: `off`.
    #[serde(default = "OrOff::<Inject>::off")]
    pub inject: OrOff<Inject>,
    /// Where copies of requests go, or `off`. Default: `off`.
    #[serde(default = "OrOff::<Mirror>::off")]
    pub mirror: OrOff<Mirror>,
    /// What holds for the requests below a path instead: a path of whole segments, such as
    /// `/reports`, and its policies. The longest path counts.
    #[serde(default)]
    pub paths: BTreeMap<String, PathPolicy>,
    /// When a failing endpoint is left out, or `off`.
    #[serde(default)]
    pub eject: OrOff<Eject>,
    /// How endpoints are asked how they are, or `off`. Default: `off`.
    #[serde(default = "OrOff::<Health>::off")]
    pub health: OrOff<Health>,
    /// How an endpoint is picked. Default: `p2c`.
    #[serde(default)]
    pub balance: Balance,
    /// The most endpoints of each priority that this process uses, drawn anew by each process, 1 to
    /// 100000, or `off`. Default: `off`.
    #[serde(default = "OrOff::<Count<1, 100_000>>::off")]
    pub subset: OrOff<Count<1, 100_000>>,
    /// With which header of the PROXY protocol connections to endpoints begin, `v1` or `v2`, or `off`: it
    /// says whose they are, and each carries requests of one client's connection alone. Not with HTTP/2.
    /// Default: `off`.
    #[serde(default = "OrOff::<ProxyVersion>::off")]
    pub send_proxy: OrOff<ProxyVersion>,
    /// How many connections are held and for how long.
    #[serde(default)]
    pub pool: Pool,
    /// The most that the header section of a request or a response may take, `1KiB` to `1MiB`.
    /// Default: `64KiB`.
    #[serde(default = "default_max_headers")]
    pub max_headers: Size,
}

pub(super) const fn default_max_headers() -> Size {
    Size::from_kib(64)
}

impl Entry {
    /// An entry with every default.
    pub fn new(listen: ListenAddress, to: To) -> Self {
        Self {
            listen,
            to,
            discover: None,
            host: HostPolicy::default(),
            tls: None,
            timeout: Timeouts::default(),
            retry: OrOff::default(),
            hedge: OrOff::Off,
            limit: Limit::default(),
            inject: OrOff::Off,
            mirror: OrOff::Off,
            paths: BTreeMap::new(),
            eject: OrOff::default(),
            health: OrOff::Off,
            balance: Balance::default(),
            subset: OrOff::Off,
            send_proxy: OrOff::Off,
            pool: Pool::default(),
            max_headers: default_max_headers(),
        }
    }

    /// How the endpoints are found: as written, else `dns` if a host is a name, else `static`.
    ///
    /// In a [`Document`](super::Document) the field `discover` says it too.
    pub fn discovery(&self) -> Discover {
        self.to.discovery(self.discover.as_ref())
    }
}

/// What the upstream is told as the authority (`Host`, `:authority`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HostPolicy {
    /// The host and port of `to`.
    #[default]
    Upstream,
    /// What the workload wrote.
    Keep,
}

/// How long each step may take. A duration of zero is an error: `off` removes a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map of timeouts"
)]
pub struct Timeouts {
    /// From the request's head, or the last byte of its body that was handed on, to the response's
    /// head, all tries together, or `off`. Default: `30s`.
    pub request: OrOff<Duration>,
    /// The same of one try: from its start, or the last byte of the request's body that was handed
    /// on, to the response's head, or `off`. Default: `off`.
    pub r#try: OrOff<Duration>,
    /// To make a connection to an endpoint, its TLS handshake included. Default: `1s`.
    pub connect: Duration,
    /// The field in which a request may say how long it may take, in milliseconds, and in which each
    /// try is told what is left of that, or `off`. `grpc-timeout` always counts.
    /// Default: `x-request-timeout-ms`.
    pub field: OrOff<HeaderName>,
    /// Without a byte in either direction on the workload's connection or its tunnel, while no
    /// request on it waits for its response's head, or `off`. Default: `5m`.
    pub idle: OrOff<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request: OrOff::On(Duration::from_secs(30)),
            r#try: OrOff::Off,
            connect: Duration::from_secs(1),
            field: OrOff::On(HeaderName(http::HeaderName::from_static(
                "x-request-timeout-ms",
            ))),
            idle: OrOff::On(Duration::from_secs(300)),
        }
    }
}

/// When and how often a failed try is repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map or `off`"
)]
pub struct Retry {
    /// The tries after the first one, 0 to 10. Default: 2.
    pub attempts: Count<0, 10>,
    /// The failures that permit another try. Default: `[connect, reset, timeout, 502-504]`.
    pub on: Vec<RetryOn>,
    /// Retries as a share of requests. It is a rate: each request earns that share of a retry, and
    /// at most 100 retries are saved. Sending again what could not be sent, because no connection
    /// could be made, costs nothing; nor does what was lost on a kept connection that the endpoint
    /// was just closing, once a request. Default: `20%`.
    pub budget: Percent,
    /// Retries that are permitted besides the budget. Default: `10/s`.
    pub floor: Rate,
    /// The most of a request's body that is kept to be sent again. Default: `64KiB`.
    pub body: Size,
    /// The longest pause before the first retry; it doubles with each further one. A pause is drawn
    /// evenly between zero and that ("full jitter"). Default: `25ms`.
    pub backoff: Duration,
    /// No pause is longer; no less than `backoff`. Default: `250ms`.
    pub max_backoff: Duration,
    /// The longest pause that an endpoint may ask for with `Retry-After` (RFC 9110, section 10.2.3)
    /// where there is no other endpoint; a response that asks for a longer one is passed on. Or
    /// `off`: such responses are passed on. Default: `2s`.
    pub after: OrOff<Duration>,
    /// The methods that may be sent again once a request may have been processed.
    /// Default: `[GET, HEAD, OPTIONS, TRACE, PUT, DELETE]`, the idempotent ones (RFC 9110,
    /// section 9.2.2).
    pub methods: Vec<Method>,
}

impl Default for Retry {
    fn default() -> Self {
        use http::Method as M;
        let methods = [M::GET, M::HEAD, M::OPTIONS, M::TRACE, M::PUT, M::DELETE];
        let statuses = StatusRange::new(502, 504).map(RetryOn::Status);
        Self {
            attempts: Count::clamped(2),
            on: [RetryOn::Connect, RetryOn::Reset, RetryOn::Timeout]
                .into_iter()
                .chain(statuses)
                .collect(),
            budget: Percent::new(20),
            floor: Rate::per_second(10),
            body: Size::from_kib(64),
            backoff: Duration::from_millis(25),
            max_backoff: Duration::from_millis(250),
            after: OrOff::On(Duration::from_secs(2)),
            methods: methods.map(Method).into(),
        }
    }
}

/// When a failing endpoint is left out, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map or `off`"
)]
pub struct Eject {
    /// The failures in a row after which an endpoint is left out, 1 to 1000000. Default: 5.
    pub failures: Count<1, 1_000_000>,
    /// The share of failures among the answers of the last five to ten seconds, of which there must
    /// be 30, from which an endpoint is left out if the other endpoints' share is at most half of it,
    /// or `off`. Default: `20%`.
    pub share: OrOff<Percent>,
    /// How many times as long as those of the middle one of the other endpoints its answers of the last
    /// five to ten seconds must typically take (geometric means), 2 to 1000, or `off`. There must be 30
    /// of them, the difference must be more than 20 ms, and four times the standard error. It
    /// says nothing where `balance` is a hash: endpoints get different requests then. Default: `off`.
    pub slow: OrOff<Count<2, 1000>>,
    /// How long it is left out the first time. Default: `10s`.
    pub r#for: Duration,
    /// The most of an entry's endpoints that are left out at once. Default: `50%`.
    pub at_most: Percent,
    /// How long a returning endpoint takes to get its full share back. Default: `10s`.
    pub recover: Duration,
}

impl Default for Eject {
    fn default() -> Self {
        Self {
            failures: Count::clamped(5),
            share: OrOff::On(Percent::new(20)),
            slow: OrOff::Off,
            r#for: Duration::from_secs(10),
            at_most: Percent::new(50),
            recover: Duration::from_secs(10),
        }
    }
}

/// How endpoints are asked how they are: active health checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map or `off`"
)]
pub struct Health {
    /// What is asked for by GET; a status from 200 to 399 is good. An entry of `tcp` or `tls` only
    /// makes a connection. Default: `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub path: Option<String>,
    /// The service that is asked for by `grpc.health.v1.Health/Check` instead, over HTTP/2; the empty
    /// name is that of the whole server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub grpc: Option<String>,
    /// From one check of an endpoint to the next. Default: `5s`.
    pub every: Duration,
    /// How long a check may take. Default: `1s`.
    pub timeout: Duration,
    /// The failed checks in a row that take an endpoint out, 1 to 100. Default: 2.
    pub failures: Count<1, 100>,
    /// The good checks in a row that bring it back, 1 to 100. Default: 1.
    pub successes: Count<1, 100>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            path: None,
            grpc: None,
            every: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            failures: Count::clamped(2),
            successes: Count::clamped(1),
        }
    }
}

/// How many connections to the endpoints are held, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map of limits"
)]
pub struct Pool {
    /// The most connections to one endpoint, split between the workers, 1 to 1000000.
    /// Default: 1024.
    pub connections: Count<1, 1_000_000>,
    /// The most requests that wait for a connection to one endpoint, split likewise (HTTP/1.1),
    /// 0 to 1000000. Default: 1024.
    pub pending: Count<0, 1_000_000>,
    /// The most requests at once on one HTTP/2 connection, 1 to 65536. Default: 100.
    pub streams: Count<1, 65_536>,
    /// How long an unused connection is kept. Default: `60s`.
    pub idle: Duration,
    /// How long a connection is used for new requests, or `off`. Default: `10m`.
    pub age: OrOff<Duration>,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            connections: Count::clamped(1024),
            pending: Count::clamped(1024),
            streams: Count::clamped(100),
            idle: Duration::from_secs(60),
            age: OrOff::On(Duration::from_secs(600)),
        }
    }
}

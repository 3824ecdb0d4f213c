//! The types of a plan: one field a setting, in the unit of the component that uses it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::uri::Authority;

use crate::acme;
use crate::balance::{CheckParams, EjectParams, Policy};
use crate::discovery::ResolverParams;
use crate::http::{Allowed, ClientParams, ForwardParams, ProbeQuestion, ServerParams};
use crate::net::proxy_protocol;
use crate::resilience::{hedge, inject, limit, mirror, retry};
use crate::route::Host;
use crate::telemetry::Which;
use crate::tls::{AcceptorParams, Params as TlsParams};

/// Everything that one process runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Where the admin interface listens: alternatives of one name; empty for off.
    pub admin: Vec<SocketAddr>,
    /// Worker threads.
    pub workers: usize,
    /// Which exchanges are logged.
    pub access_log: Which,
    /// Whether large bodies in plain text go through pipes of the kernel.
    pub splice: bool,
    /// How long everything is still served after readiness went false.
    pub drain_delay: Duration,
    /// Whether it is then served until those who call have been quiet for a while: who calls is the
    /// workload, which is to end first.
    pub drain_quiet: bool,
    /// How long the drain may take after that.
    pub drain_timeout: Duration,
    /// How names are looked up.
    pub resolver: ResolverParams,
    /// The entries, in the order of their names, each before those of its mirrors.
    pub entries: Vec<EntryPlan>,
}

/// One entry: a listener and where it leads.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryPlan {
    /// Its name in metrics and logs.
    pub name: Arc<str>,
    /// Where it listens; nowhere if it is hidden. Several addresses of one name (`localhost`): the first must be bound, further ones where there are any.
    pub listen: Vec<SocketAddr>,
    /// Where it leads.
    pub targets: Vec<Target>,
    /// How they are spoken to inside TLS; none without it.
    pub tls: Option<TlsParams>,
    /// Who connects with a header of the PROXY protocol, and nobody else; none where anybody does, without one.
    pub proxied: Option<Arc<proxy_protocol::Params>>,
    /// How callers are spoken to inside TLS; none without it.
    pub accept: Option<AcceptorParams>,
    /// How the certificate that callers are shown is obtained; none where it is brought.
    pub acme: Option<acme::Params>,
    /// The entries of bytes that connections go to as they come, by the name that they ask for in TLS (SNI).
    pub passthrough: Vec<(Host, Arc<str>)>,
    /// Whether it gets the copies of another entry's requests.
    pub is_mirror: bool,
    /// When endpoints are ejected; none for never.
    pub eject: Option<EjectParams>,
    /// The most endpoints of a tier that are used; none for all.
    pub subset: Option<usize>,
    /// How endpoints are asked how they are; none for never.
    pub health: Option<HealthPlan>,
    /// What is done with a connection.
    pub service: ServicePlan,
}

impl EntryPlan {
    /// Whether it is no entry of the file's: it gets the copies of another one's requests, or what the routes of
    /// a gateway lead to it.
    pub fn is_hidden(&self) -> bool {
        self.listen.is_empty()
    }

    /// With which header of the PROXY protocol connections to its endpoints begin.
    pub fn send_proxy(&self) -> Option<proxy_protocol::Version> {
        match &self.service {
            ServicePlan::Http(http) => http.send_proxy,
            ServicePlan::Tcp(tcp) => tcp.send_proxy,
        }
    }
}

/// How endpoints are asked how they are.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthPlan {
    /// How often, and what counts.
    pub params: CheckParams,
    /// What they are asked.
    pub question: ProbeQuestion,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Whether the process is ready only while an endpoint passes.
    pub gates: bool,
}

/// One URL of `to`.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Where its addresses come from.
    pub source: Source,
    /// The port of every address.
    pub port: u16,
    /// What it is called in `Host` and `:authority`.
    pub authority: Authority,
    /// The weight of each of its addresses.
    pub weight: u32,
}

/// Where a target's addresses come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The configuration itself.
    Fixed(IpAddr),
    /// A Unix socket, which has no port.
    Unix(Arc<Path>),
    /// The addresses of a name in DNS.
    Dns(String),
    /// The services of a name in DNS.
    Srv(String),
    /// The lines of a file.
    File(PathBuf),
}

/// What an entry does with a connection.
#[derive(Debug, Clone, PartialEq)]
pub enum ServicePlan {
    /// Requests are read from it.
    Http(Box<HttpPlan>),
    /// Its bytes are copied.
    Tcp(TcpPlan),
}

/// How requests are served.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpPlan {
    /// The downstream connection.
    pub server: ServerParams,
    /// Who may ask for an explanation of a request.
    pub explain: Allowed,
    /// What the upstream is told of who called; none to pass on what came.
    pub forward: Option<ForwardParams>,
    /// Whether the workload is told the certificate of a caller, and nobody else's word of it.
    pub client_cert: bool,
    /// The folders of certificates whose authorities ask for tokens here (HTTP-01).
    pub challenges: Vec<PathBuf>,
    /// How long an upgraded connection may be without a byte.
    pub tunnel_idle: Option<Duration>,
    /// How many requests at once are let through; none for all.
    pub limit: Option<limit::Params>,
    /// The field in which a request may say how long it may take.
    pub deadline_field: Option<HeaderName>,
    /// What holds for requests.
    pub policy: RequestPlan,
    /// What holds for those below a path instead.
    pub paths: Vec<(String, RequestPlan)>,
    /// How an endpoint is chosen.
    pub balance: Policy,
    /// The upstream connections of one worker.
    pub client: ClientParams,
    /// Which entries its requests go to, if it is a gateway.
    #[cfg(feature = "gateway")]
    pub routes: Option<Arc<super::RoutesPlan>>,
    /// With which header of the PROXY protocol they begin; each then carries requests of one connection alone.
    pub send_proxy: Option<proxy_protocol::Version>,
}

impl HttpPlan {
    /// The entry's own policy, with an empty path, and then those of its paths.
    pub fn policies(&self) -> impl Iterator<Item = (&str, &RequestPlan)> {
        let paths = self.paths.iter();
        let paths = paths.map(|(path, policy)| (path.as_str(), policy));
        std::iter::once(("", &self.policy)).chain(paths)
    }
}

/// What is done for a request besides sending it.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestPlan {
    /// From the request to the head of its response, all tries included.
    pub request_timeout: Option<Duration>,
    /// The same of one try.
    pub try_timeout: Option<Duration>,
    /// When a request is sent again; none for never.
    pub retry: Option<RetryPlan>,
    /// When a second try is sent beside a slow one; none for never.
    pub hedge: Option<HedgePlan>,
    /// Faults that are made on purpose.
    pub inject: Option<inject::Params>,
    /// Where copies of requests go; none for nowhere.
    pub mirror: Option<MirrorPlan>,
}

/// Where copies of requests go.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorPlan {
    /// The name of the entry that gets them, which listens nowhere.
    pub entry: Arc<str>,
    /// The layer's settings.
    pub params: mirror::Params,
}

/// When a second try is sent beside a slow one, and how much of that is allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct HedgePlan {
    /// The layer's settings.
    pub params: hedge::Params,
    /// Second tries as a share of requests.
    pub budget: f64,
}

/// When a request is sent again, and how much of that is allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPlan {
    /// The layer's settings.
    pub params: retry::Params,
    /// Retries as a share of requests.
    pub budget: f64,
    /// Retries a second that are allowed besides.
    pub floor: u32,
}

/// How bytes are copied.
#[derive(Debug, Clone, PartialEq)]
pub struct TcpPlan {
    /// How an endpoint is chosen.
    pub balance: Policy,
    /// How long a connection to an endpoint may take to be made.
    pub connect: Duration,
    /// Further endpoints that are tried when one cannot be reached.
    pub attempts: u32,
    /// How long a connection may be without a byte.
    pub idle: Option<Duration>,
    /// With which header of the PROXY protocol connections to endpoints begin.
    pub send_proxy: Option<proxy_protocol::Version>,
}

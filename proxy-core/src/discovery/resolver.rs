//! One look-up of a name: addresses with their time to live, or the reason there are none.
//!
//! Names, search domains, `ndots`, the hosts file, retries and TCP after truncation are hickory's;
//! its cache is off, because the watch that asks keeps the answer itself.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use hickory_resolver::{Resolver as Hickory, TokioResolver};

use crate::fault::Reason;

/// How to ask.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolverParams {
    /// Name servers; none means those of the system's `resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// How long one server has for one answer.
    pub timeout: Duration,
    /// How often a question is asked before it counts as unanswered.
    pub attempts: usize,
}

/// An answer: at least one address.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    /// The addresses, in no particular order.
    pub addresses: Vec<IpAddr>,
    /// How long the answer is good for, as the server said it.
    pub ttl: Duration,
    /// Why one of the address families is not from this look-up: its known addresses stand in.
    pub partial: Option<LookupError>,
}

/// The services of a name: at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Services {
    /// In no particular order.
    pub services: Vec<Service>,
    /// How long the answer is good for, as the server said it.
    pub ttl: Duration,
}

/// One SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The host, to be looked up.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Lower ones go first.
    pub priority: u16,
    /// Its share among those of its priority.
    pub weight: u16,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct LookupError {
    /// What a request is told that finds no endpoint: [`Reason::DnsTimeout`], [`Reason::DnsError`], or
    /// [`Reason::DestinationUnavailable`] from a source that is no name server.
    pub reason: Reason,
    /// What happened, with the name that was asked for.
    pub text: String,
}

/// Whoever can look up a name. Production code uses [`Resolver`].
pub trait Resolve: Send + Sync + 'static {
    /// Looks up the addresses of `name`, of which `known` were the last good ones.
    fn resolve(
        &self,
        name: &str,
        known: &[IpAddr],
    ) -> impl Future<Output = Result<Lookup, LookupError>> + Send;

    /// Looks up the services of `name`.
    fn services(&self, name: &str) -> impl Future<Output = Result<Services, LookupError>> + Send;
}

/// Asks real name servers.
#[derive(Debug, Clone)]
pub struct Resolver(TokioResolver);

impl Resolver {
    /// Reads the system's settings where `params` names no server.
    pub fn new(params: &ResolverParams) -> Result<Self, NetError> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = if params.servers.is_empty() {
            Hickory::builder(provider)?
        } else {
            let servers = params
                .servers
                .iter()
                .map(|address| name_server(*address))
                .collect();
            Hickory::builder_with_config(ResolverConfig::from_name_servers(servers), provider)
        };
        let options = builder.options_mut();
        options.timeout = params.timeout;
        // hickory counts the repetitions.
        options.attempts = params.attempts.saturating_sub(1);
        options.cache_size = 0;
        // The watch that asks bounds it: a time that is cut here would hide one that is none at all.
        options.positive_max_ttl = Some(Duration::from_secs(u32::MAX.into()));
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Self(builder.build()?))
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

impl Resolve for Resolver {
    async fn resolve(&self, name: &str, known: &[IpAddr]) -> Result<Lookup, LookupError> {
        let answer = self
            .0
            .lookup_ip(name)
            .await
            .map_err(|error| explain(name, &error))?;
        let mut addresses: Vec<IpAddr> = answer.iter().collect();
        if addresses.is_empty() {
            let text = format!("the answer for {name} holds no address");
            return Err(LookupError {
                reason: Reason::DnsError,
                text,
            });
        }
        let records = answer.as_lookup().answers();
        let ttl = least_ttl(records);
        let asked = answer.query().name().clone();
        let mut partial = None;
        for family in [RecordType::A, RecordType::AAAA] {
            let is_of = |ip: &&IpAddr| ip.is_ipv4() == (family == RecordType::A);
            // A family that has gone may have failed while the other was answered: that is told apart by asking for it alone.
            if known.iter().any(|ip| is_of(&ip)) && !addresses.iter().any(|ip| is_of(&ip)) {
                match self.0.lookup(asked.clone(), family).await {
                    Ok(found) => {
                        addresses.extend(found.answers().iter().filter_map(|r| r.data.ip_addr()))
                    }
                    Err(error) if error.is_no_records_found() || error.is_nx_domain() => {}
                    Err(error) => {
                        partial = Some(explain(name, &error));
                        addresses.extend(known.iter().filter(is_of));
                    }
                }
            }
        }
        Ok(Lookup {
            addresses,
            ttl: Duration::from_secs(ttl.into()),
            partial,
        })
    }

    async fn services(&self, name: &str) -> Result<Services, LookupError> {
        let answer = self
            .0
            .lookup(name, RecordType::SRV)
            .await
            .map_err(|error| explain(name, &error))?;
        let records = answer.answers();
        let services: Vec<Service> = records
            .iter()
            .filter_map(|record| match &record.data {
                // A root target says that there is decidedly no such service.
                RData::SRV(srv) if !srv.target.is_root() => Some(Service {
                    host: srv.target.to_ascii(),
                    port: srv.port,
                    priority: srv.priority,
                    weight: srv.weight,
                }),
                _ => None,
            })
            .collect();
        if services.is_empty() {
            let text = format!("the answer for {name} holds no service");
            return Err(LookupError {
                reason: Reason::DnsError,
                text,
            });
        }
        let ttl = least_ttl(records);
        Ok(Services {
            services,
            ttl: Duration::from_secs(ttl.into()),
        })
    }
}

fn explain(name: &str, error: &NetError) -> LookupError {
    let (reason, text) = if error.is_nx_domain() {
        (Reason::DnsError, format!("there is no such name as {name}"))
    } else if error.is_no_records_found() {
        (
            Reason::DnsError,
            format!("the answer for {name} holds no address"),
        )
    } else if matches!(error, NetError::Timeout) {
        (
            Reason::DnsTimeout,
            format!("no name server answered for {name}"),
        )
    } else {
        (
            Reason::DnsError,
            format!("{name} could not be resolved: {error}"),
        )
    };
    LookupError { reason, text }
}

/// The shortest time to live of the records, in seconds. One with its highest bit set is zero (RFC 2181, 8).
fn least_ttl(records: &[Record]) -> u32 {
    let ttls = records.iter().map(|record| record.ttl);
    let ttls = ttls.map(|ttl| if ttl > i32::MAX as u32 { 0 } else { ttl });
    ttls.min().unwrap_or(0)
}

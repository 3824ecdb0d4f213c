//! What becomes of the requests that fit a route.

use std::fmt;

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        self, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use super::{
    Answer, Balance, Cors, Count, Discover, Eject, Entry, HeaderChanges, Health, Hedge, HostPolicy,
    Inject, Limit, ListenAddress, Mirror, OrOff, Pool, ProxyVersion, Redirect, Retry, Rewrite,
    Timeouts, Tls, To, When,
};

/// A route, in the file also written as its `to` alone. Boxed: a map of thousands moves its values as it grows.
#[derive(Debug, Clone, PartialEq)]
pub struct Lead(pub Box<Route>);

impl From<Route> for Lead {
    fn from(route: Route) -> Self {
        Self(Box::new(route))
    }
}

/// What becomes of the requests that fit: exactly one of `to`, `redirect` and `respond`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a URL, or a map with `to`, `redirect` or `respond`"
)]
pub struct Route {
    /// What they must have besides what the key says.
    #[serde(default, skip_serializing_if = "When::is_empty")]
    pub when: When,
    /// They are sent there: a URL, or a list of URLs of one scheme, each with a `weight`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "To"))]
    pub to: Option<To>,
    /// The client is sent elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Redirect"))]
    pub redirect: Option<Redirect>,
    /// They are answered here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Answer"))]
    pub respond: Option<Answer>,
    /// How the path and the host are changed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Rewrite"))]
    pub rewrite: Option<Rewrite>,
    /// How header fields are changed.
    #[serde(default, skip_serializing_if = "HeaderChanges::is_empty")]
    pub headers: HeaderChanges,
    /// Which pages of other origins may call. Default: what the upstream itself says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Cors"))]
    pub cors: Option<Cors>,
    /// How the endpoints are found. Default: `dns` if a host of `to` is a name, else `static`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Discover"))]
    pub discover: Option<Discover>,
    /// What the upstream is told as the authority: what the client asked for, or the host and port of `to`.
    /// Default: `keep`.
    #[serde(default = "keep")]
    pub host: HostPolicy,
    /// How an upstream of `https` is spoken to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Tls"))]
    pub tls: Option<Tls>,
    /// How long each step may take. `idle` is that of an upgraded connection.
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
    /// When a failing endpoint is left out, or `off`.
    #[serde(default)]
    pub eject: OrOff<Eject>,
    /// How endpoints are asked how they are, or `off`. Default: `off`.
    #[serde(default = "OrOff::<Health>::off")]
    pub health: OrOff<Health>,
    /// How an endpoint is picked. Default: `p2c`.
    #[serde(default)]
    pub balance: Balance,
    /// The most endpoints of each priority that this process uses, 1 to 100000, or `off`. Default: `off`.
    #[serde(default = "OrOff::<Count<1, 100_000>>::off")]
    pub subset: OrOff<Count<1, 100_000>>,
    /// How many connections are held and for how long.
    #[serde(default)]
    pub pool: Pool,
    /// With which header of the PROXY protocol connections to the endpoints begin: `v1`, `v2`, or `off`. Default: `off`.
    #[serde(default = "OrOff::<ProxyVersion>::off")]
    pub send_proxy: OrOff<ProxyVersion>,
}

const fn keep() -> HostPolicy {
    HostPolicy::Keep
}

impl From<To> for Route {
    fn from(to: To) -> Self {
        Self {
            to: Some(to),
            ..Self::nowhere()
        }
    }
}

impl Route {
    /// Every default, and nothing that becomes of requests.
    pub(super) fn nowhere() -> Self {
        Self {
            when: When::default(),
            to: None,
            redirect: None,
            respond: None,
            rewrite: None,
            headers: HeaderChanges::default(),
            cors: None,
            discover: None,
            host: keep(),
            tls: None,
            timeout: Timeouts::default(),
            retry: OrOff::default(),
            hedge: OrOff::Off,
            limit: Limit::default(),
            inject: OrOff::Off,
            mirror: OrOff::Off,
            eject: OrOff::default(),
            health: OrOff::Off,
            balance: Balance::default(),
            subset: OrOff::Off,
            pool: Pool::default(),
            send_proxy: OrOff::Off,
        }
    }

    /// The outbound entry that sends the requests on, if that is what becomes of them. It listens nowhere.
    pub fn entry(&self) -> Option<Entry> {
        Some(Entry {
            discover: self.discover.clone(),
            host: self.host,
            tls: self.tls.clone(),
            timeout: self.timeout.clone(),
            retry: self.retry.clone(),
            hedge: self.hedge.clone(),
            limit: self.limit.clone(),
            inject: self.inject.clone(),
            mirror: self.mirror.clone(),
            eject: self.eject.clone(),
            health: self.health.clone(),
            balance: self.balance.clone(),
            subset: self.subset,
            pool: self.pool.clone(),
            send_proxy: self.send_proxy,
            ..Entry::new(ListenAddress::localhost(0), self.to.clone()?)
        })
    }
}

impl Serialize for Lead {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Lead {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LeadVisitor)
    }
}

#[cfg(test)]
impl JsonSchema for Lead {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Lead".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What becomes of the requests: where they are sent, or the route as a whole.",
            "anyOf": [generator.subschema_for::<To>(), generator.subschema_for::<Route>()],
        })
    }
}

struct LeadVisitor;

impl<'de> Visitor<'de> for LeadVisitor {
    type Value = Lead;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, a list of URLs, or a map with `to`, `redirect` or `respond`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Lead, E> {
        let to = text.parse::<super::Url>().map_err(E::custom)?;
        Ok(Route::from(To::from(to)).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Lead, A::Error> {
        To::deserialize(SeqAccessDeserializer::new(seq)).map(|to| Route::from(to).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Lead, A::Error> {
        Box::deserialize(MapAccessDeserializer::new(map)).map(Lead)
    }
}

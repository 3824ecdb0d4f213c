//! How callers of an inbound entry are spoken to: our certificates, and theirs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Acme;

/// TLS towards callers, 1.2 and 1.3. Files are followed: what is written anew holds for new connections, and what
/// cannot be used changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map of TLS settings"
)]
pub struct InboundTls {
    /// The file with our certificate and its chain, in PEM; goes with `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub cert: Option<String>,
    /// The file with the key of `cert`, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub key: Option<String>,
    /// A folder with certificates and keys: `NAME.crt` or `NAME.pem` with `NAME.key` beside it, or
    /// `NAME.pem` that holds both. Which is shown depends on the name that the caller asks for (SNI).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub folder: Option<String>,
    /// A certificate that is obtained from an authority, and renewed in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Acme"))]
    pub acme: Option<Acme>,
    /// The file with the certificates of the authorities whose clients are let in, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub client_ca: Option<String>,
    /// Whether callers must have a certificate of `client-ca`, without which it means nothing: `required`, or
    /// `optional`. Default: `required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "ClientCertificate"))]
    pub client: Option<ClientCertificate>,
    /// Files with revocation lists of `client-ca`. Where there are any, a certificate that none of them
    /// tells of is refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub crl: Vec<String>,
    /// Other rules for client certificates by the name that the caller asks for (SNI): a name, or `*.name` for
    /// all below it, as in routes. A request for a host whose rules are not those of its connection is answered
    /// with 421.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, HostClients>,
    /// The file with the keys of session tickets that replicas share, so that a caller goes on at any of them: 1 to 16
    /// lines of 64 hexadecimal digits, of which the first seals and all open. Default: none, and each process has keys
    /// of its own, which change every 12 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub tickets: Option<String>,
}

/// The rules for client certificates of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map, or `{}` to ask no caller for a certificate"
)]
pub struct HostClients {
    /// As `client-ca` beside `hosts`. Without it no caller is asked for a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub client_ca: Option<String>,
    /// As `client` beside `hosts`. Default: `required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "ClientCertificate"))]
    pub client: Option<ClientCertificate>,
    /// As `crl` beside `hosts`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub crl: Vec<String>,
}

/// Whether a caller must have a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificate {
    /// It must.
    #[default]
    Required,
    /// It need not; one that it has must be valid.
    Optional,
}

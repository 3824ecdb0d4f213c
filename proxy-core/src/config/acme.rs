//! How an inbound entry gets its certificate from an authority that speaks ACME (RFC 8555).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The directory of Let's Encrypt, for certificates that everybody trusts.
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// The most names of a certificate, as Let's Encrypt has it (its rate limits, "New Certificates").
const MOST_NAMES: usize = 100;

/// A certificate that the proxy obtains and renews itself. `names`, `folder` and `terms` are required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map with `names`, `folder` and `terms`"
)]
pub struct Acme {
    /// The host names of the one certificate, 1 to 100 of them, such as `shop.example.com`. No wildcards.
    pub names: Vec<String>,
    /// The folder that keeps the account's key, the certificate with its key, and answers to challenges. It must
    /// be there, be writable, and belong to nobody else; replicas may share it.
    pub folder: String,
    /// `agreed`: the operator agrees to the terms of service of the authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Terms"))]
    pub terms: Option<Terms>,
    /// Whom the authority may write to, such as `mailto:ops@example.com`. Default: nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contact: Vec<String>,
    /// The URL of the authority's directory, of `https`. Default: that of Let's Encrypt.
    #[serde(default = "directory")]
    pub directory: String,
    /// How the authority sees that the names lead here: `tls-alpn-01`, on port 443, or `http-01`, on port 80,
    /// which every entry of HTTP without `tls` answers. Default: `tls-alpn-01`.
    #[serde(default)]
    pub challenge: AcmeChallenge,
    /// The file with the certificates of the authorities that the directory's own server is trusted by, in
    /// PEM. Default: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub ca: Option<String>,
}

/// The terms of service of an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Terms {
    /// The operator agrees to them.
    Agreed,
}

/// How an authority sees that a name leads to who asks for its certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum AcmeChallenge {
    /// A handshake on port 443 (RFC 8737).
    #[default]
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// A request on port 80 (RFC 8555, 8.3).
    #[serde(rename = "http-01")]
    Http01,
}

fn directory() -> String {
    DIRECTORY.to_owned()
}

/// A mistake: the keys below `acme` that it stands at, what is wrong, and what to do about it.
pub(super) type Mistake = (Vec<String>, String, String);

impl Acme {
    /// The rules that its types do not hold. `answers_http` says whether an entry of the process would get a
    /// request on port 80.
    pub(super) fn mistakes(&self, answers_http: bool) -> Vec<Mistake> {
        let mut all = Vec::new();
        let mut wrong = |at: &[&str], message: String, help: &str| {
            let at = at.iter().map(ToString::to_string).collect();
            all.push((at, message, help.to_owned()));
        };
        if !(1..=MOST_NAMES).contains(&self.names.len()) {
            let message = format!("a certificate bears 1 to {MOST_NAMES} names");
            wrong(&["names"], message, "write them as `[shop.example.com]`");
        }
        for (number, name) in self.names.iter().enumerate() {
            let said = match self.names.iter().take(number).any(|one| one == name) {
                true => Some((format!("`{name}` is there twice"), "write each name once")),
                false => wrong_name(name),
            };
            if let Some((message, help)) = said {
                wrong(&["names", &number.to_string()], message, help);
            }
        }
        for (number, contact) in self.contact.iter().enumerate() {
            if !is_mailto(contact) {
                let message = format!("`{contact}` is not an address that can be written to");
                let help = "write one like `mailto:ops@example.com`";
                wrong(&["contact", &number.to_string()], message, help);
            }
        }
        if !is_https(&self.directory) {
            let message = format!("`{}` is not a URL of `https`", self.directory);
            let help = "write the URL of the directory, which the authority tells: `https://...`";
            wrong(&["directory"], message, help);
        }
        if self.folder.is_empty() {
            let help = "name one that is kept over restarts, such as `/var/lib/remora/acme`";
            wrong(&["folder"], "the folder has no name".to_owned(), help);
        }
        if self.terms.is_none() {
            let message = "the authority's terms of service are not agreed to".to_owned();
            let help = "read them (the directory tells where they are), and write `terms: agreed`";
            wrong(&[], message, help);
        }
        if self.challenge == AcmeChallenge::Http01 && !answers_http {
            let message = "`http-01` comes without TLS, and no entry of HTTP is without `tls`";
            let help = "add an entry that gets the requests of port 80, or write `tls-alpn-01`";
            wrong(&["challenge"], message.to_owned(), help);
        }
        all
    }
}

/// What keeps `name` out of a certificate, and what to do about it.
fn wrong_name(name: &str) -> Option<(String, &'static str)> {
    if name.starts_with("*.") {
        let message = format!("`{name}` is a wildcard, which takes a challenge in DNS");
        let help = "name each host, or bring a certificate of your own with `cert` and `key`";
        return Some((message, help));
    }
    if name.parse::<IpAddr>().is_ok() {
        let message = format!("`{name}` is an address, and certificates are obtained for names");
        return Some((message, "write a host name, such as `shop.example.com`"));
    }
    let is_name = rustls::pki_types::DnsName::try_from(name).is_ok();
    if !is_name || name.ends_with('.') || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let message = format!("`{name}` is not a host name in lower case");
        let help =
            "write one like `shop.example.com`; what is not ASCII, as it stands in DNS (`xn--...`)";
        return Some((message, help));
    }
    None
}

/// Whether it is an e-mail address as RFC 8555, 7.3, takes it: one, and nothing besides.
fn is_mailto(contact: &str) -> bool {
    let address = contact.strip_prefix("mailto:").unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b",?<>".contains(&byte);
    let parts = address.split_once('@');
    address.bytes().all(is_plain)
        && parts
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
}

fn is_https(url: &str) -> bool {
    let url = url.parse::<http::Uri>().ok();
    url.is_some_and(|url| url.scheme_str() == Some("https") && url.host().is_some())
}

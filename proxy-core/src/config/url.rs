//! Where an upstream is and how to speak to it: `http://users.default:8080`, or `unix:/run/app.sock`.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use super::{
    listen::parse_port,
    written::{Invalid, Written, written},
};

/// The most bytes of a Unix socket's path (unix(7): `sun_path` has 108, the last of which is zero).
const LONGEST_PATH: usize = 107;

/// A scheme, a host and a port, or the path of a Unix socket. It has no path of requests, no query and no user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    /// How to speak.
    pub scheme: Scheme,
    /// Whom to connect to.
    pub host: Host,
    /// The port, 1 to 65535; 80 for `http` and `h2c`, and 443 for `https`, where none is written.
    /// 0 of a Unix socket.
    pub port: u16,
}

/// The protocol that is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1 without TLS (RFC 9112).
    Http,
    /// HTTP/2 with prior knowledge and without TLS (RFC 9113, section 3.3).
    H2c,
    /// HTTP inside TLS; which version of it is agreed on in the handshake (RFC 7301).
    Https,
    /// Bytes, unread.
    Tcp,
    /// Bytes, unread, inside TLS.
    Tls,
}

impl Scheme {
    /// The scheme as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::H2c => "h2c",
            Self::Https => "https",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// Whether requests are read, and so can be retried one by one.
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::H2c | Self::Https)
    }

    /// Whether it is spoken inside TLS.
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }

    /// The port where none is written; `None` where one must be.
    pub const fn default_port(self) -> Option<u16> {
        match self {
            Self::Http | Self::H2c => Some(80),
            Self::Https => Some(443),
            Self::Tcp | Self::Tls => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A host name, an address or a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name in lower case, as given to the resolver.
    Name(String),
    /// An address.
    Ip(IpAddr),
    /// The absolute path of a Unix socket.
    Unix(String),
}

impl Host {
    /// Whether the host must be resolved.
    pub const fn is_name(&self) -> bool {
        matches!(self, Self::Name(_))
    }
}

/// As in a URL: an IPv6 address stands in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

impl Url {
    /// `host:port`, as in a `Host` field or a socket address, or `unix:/path`.
    pub fn authority(&self) -> String {
        match &self.host {
            unix @ Host::Unix(_) => unix.to_string(),
            host => format!("{host}:{}", self.port),
        }
    }

    /// What `scheme` is spoken to over the socket of this path.
    fn unix(scheme: Scheme, written: &str) -> Result<Self, Invalid> {
        // In `unix:///run/app.sock` the host of a URL is written, which is empty.
        let rest = written.trim_start_matches('/');
        let path = &written[written.len() - rest.len() - usize::from(rest != written)..];
        let wrong = |why: &str, help: String| {
            let message = format!("`{path}` is not the path of a Unix socket: {why}");
            Err(Invalid::new(message, help))
        };
        if let Some((before, _)) = path.split_once(':') {
            let help = format!("a request brings its own path: write `unix:{before}`");
            return wrong("a colon stands in it", help);
        }
        let why = if !path.starts_with('/') {
            "it does not begin with `/`"
        } else if path.ends_with('/') {
            "it is that of a folder"
        } else if path.len() > LONGEST_PATH {
            "it has more than 107 bytes"
        } else if path.chars().any(char::is_control) {
            "a control character stands in it"
        } else if scheme.is_tls() {
            let plain = if scheme.is_http() { "http" } else { "tcp" };
            let message = format!("`{scheme}` is not spoken over a Unix socket");
            let help = format!("nothing leaves the machine: write `{plain}://unix:{path}`");
            return Err(Invalid::new(message, help));
        } else {
            return Ok(Self {
                scheme,
                host: Host::Unix(path.to_owned()),
                port: 0,
            });
        };
        wrong(why, "write one like `unix:/run/app.sock`".to_owned())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.scheme, &self.host) {
            (Scheme::Http, unix @ Host::Unix(_)) => unix.fmt(f),
            (scheme, _) => write!(f, "{scheme}://{}", self.authority()),
        }
    }
}

impl FromStr for Url {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::unix(Scheme::Http, path);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            if ["/", "unix/", "unix+", "unix@"]
                .iter()
                .any(|start| text.starts_with(start))
            {
                return Err(Invalid::new(format!("`{text}` is not a URL"), UNIX));
            }
            let help = format!("write it with its scheme, like `http://{}`", stand_in(text));
            return Err(Invalid::new(format!("`{text}` is not a URL"), help));
        };
        let scheme = parse_scheme(scheme)?;
        if let Some(path) = rest
            .strip_prefix("unix:")
            .filter(|path| path.starts_with('/'))
        {
            return Self::unix(scheme, path);
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if let Some((_, host)) = authority.rsplit_once('@') {
            let help = format!("credentials do not belong here: write `{scheme}://{host}`");
            return Err(Invalid::new("a user stands in the URL", help));
        }
        if !tail.is_empty() && tail != "/" {
            let help = format!("the request brings its own: write `{scheme}://{authority}`");
            return Err(Invalid::new(
                format!("`{tail}` after the host: `to` takes no path or query"),
                help,
            ));
        }
        let (host, port) = split_authority(authority)?;
        let port = match (port, scheme.default_port()) {
            (Some(port), _) => parse_port(port, 1)?,
            (None, Some(port)) => port,
            (None, None) => {
                let help = format!("write one, like `{scheme}://{authority}:5432`");
                return Err(Invalid::new(format!("a `{scheme}` URL needs a port"), help));
            }
        };
        Ok(Self {
            scheme,
            host: parse_host(host)?,
            port,
        })
    }
}

/// How a Unix socket is written, for who has another grammar in mind.
const UNIX: &str = "a Unix socket is written `unix:/run/app.sock`, or `h2c://unix:/run/app.sock` and `tcp://unix:/run/app.sock`";

/// What to show behind `http://` for a text without a scheme.
fn stand_in(text: &str) -> &str {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text
    } else {
        "users.default:8080"
    }
}

fn parse_scheme(text: &str) -> Result<Scheme, Invalid> {
    match text.to_ascii_lowercase().as_str() {
        "http" => Ok(Scheme::Http),
        "h2c" => Ok(Scheme::H2c),
        "https" => Ok(Scheme::Https),
        "tcp" => Ok(Scheme::Tcp),
        "tls" => Ok(Scheme::Tls),
        other => {
            let help = match other.contains("unix") {
                true => UNIX,
                false => "this version speaks `http`, `h2c`, `https`, `tcp` and `tls` to upstreams",
            };
            Err(Invalid::new(format!("unsupported scheme `{text}`"), help))
        }
    }
}

/// Splits off the port; brackets around an IPv6 address stay with the host.
fn split_authority(text: &str) -> Result<(&str, Option<&str>), Invalid> {
    let name_end = if text.starts_with('[') {
        text.find(']').map_or(text.len(), |at| at + 1)
    } else {
        0
    };
    let (head, tail) = text.split_at(name_end);
    match tail.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => {
            let help = "an IPv6 address stands in brackets, like `http://[::1]:8080`";
            Err(Invalid::new(format!("`{text}` has too many colons"), help))
        }
        Some((host, port)) => Ok((&text[..head.len() + host.len()], Some(port))),
        None => Ok((text, None)),
    }
}

fn parse_host(text: &str) -> Result<Host, Invalid> {
    let wrong = |why: &str| {
        let help = "write a host name, an IPv4 address, or an IPv6 address in brackets";
        Err(Invalid::new(format!("`{text}` is not a host: {why}"), help))
    };
    if text.is_empty() {
        return Err(Invalid::new(
            "the URL names no host",
            "write one, like `http://users.default:8080`",
        ));
    }
    if let Some(inner) = text.strip_prefix('[') {
        return match inner
            .strip_suffix(']')
            .and_then(|ip| ip.parse::<Ipv6Addr>().ok())
        {
            Some(ip) => Ok(Host::Ip(ip.into())),
            None => wrong("the brackets hold no IPv6 address"),
        };
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Host::Ip(ip));
    }
    let labels = text.strip_suffix('.').unwrap_or(text);
    if labels.len() > 253 {
        return wrong("it has more than 253 characters");
    }
    let of_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    for label in labels.split('.') {
        if label.is_empty() || label.len() > 63 || label.starts_with('-') || label.ends_with('-') {
            return wrong("a label is empty, too long, or has a dash at its end");
        }
        if !label.bytes().all(of_name) {
            return wrong("a name has letters, digits, dashes and dots");
        }
    }
    if labels
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
    {
        return wrong("it ends in a number and is no IPv4 address");
    }
    Ok(Host::Name(text.to_ascii_lowercase()))
}

impl Written for Url {
    const WHAT: &'static str = "a URL";
    const SCHEMA: &'static str = "Url";
    const DESCRIPTION: &'static str = "A scheme (`http`, `h2c`, `https`, `tcp` or `tls`), a host and a port, without \
        path, query or user. The port is 80 by default for `http` and `h2c`, and 443 for `https`; `tcp` and `tls` need one. \
        Or the path of a Unix socket: `unix:/run/app.sock` for HTTP/1.1, `h2c://unix:/run/app.sock`, `tcp://unix:/run/app.sock`.";
    const PATTERN: &'static str = r"(?:https?|h2c)://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/?|(?:tcp|tls)://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}/?|(?:(?:http|h2c|tcp)://)?unix:(?://)?/[^:]*[^:/]";
    const EXAMPLES: &'static [&'static str] = &[
        "http://users.default:8080",
        "h2c://[::1]:50051",
        "https://users.default",
        "tcp://postgres.default:5432",
        "unix:/run/app.sock",
    ];
}

written!(Url);

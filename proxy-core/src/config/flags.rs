//! A configuration from the flags of the command line, alone or on top of a file.

use std::str::FromStr;

use super::{
    Document, Entry, EntryName, Error, Errors, Inbound, InboundAddress, InboundTls, Invalid,
    ListenAddress, Section, To, Url, errors::Place, validate::validate,
};
#[cfg(feature = "gateway")]
use super::{Gateway, Route, RouteKey};

/// The flags that make or change a configuration, as they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// The role that they are for.
    pub section: Section,
    /// `--listen`, in order; the n-th belongs to the n-th `--to`.
    pub listen: Vec<String>,
    /// `--to`, in order.
    pub to: Vec<String>,
    /// `--cert`: the file with the certificate that callers of these entries are shown. Inbound roles alone have it.
    pub cert: Option<String>,
    /// `--key`: the file with its key.
    pub key: Option<String>,
    /// `--admin`: an address or `off`.
    pub admin: Option<String>,
    /// `--workers`: a number or `auto`.
    pub workers: Option<String>,
    /// `--access-log`: `all`, `errors` or `off`.
    pub access_log: Option<String>,
    /// `--dns-server`: an address, with a port where it is not 53. They replace those of a file.
    pub dns_servers: Vec<String>,
}

impl Flags {
    /// A configuration from these flags alone.
    ///
    /// # Errors
    /// A flag is wrong, or there is no pair of `--listen` and `--to`.
    pub fn document(&self) -> Result<Document, Errors> {
        if self.listen.is_empty() && self.to.is_empty() {
            let help = match self.section {
                Section::Ambassador => {
                    "name a file with `-c FILE`, or write `--listen localhost:9000 --to http://users:8080`"
                }
                Section::Sidecar => {
                    "name a file with `-c FILE`, or write `--listen :8443 --to http://localhost:8080`"
                }
                Section::Ingress => {
                    "name a file with `-c FILE`, or write `--listen :8080 --to http://shop:8080`"
                }
            };
            let place = Place::Flag {
                flag: "--listen".to_owned(),
            };
            return Err(Error::new("there is nothing to serve", help, place).into());
        }
        self.apply(Document::of(self.section))
    }

    /// A document with what these flags say on top: entries named `default`, `default-2` and so
    /// on are added, settings are replaced.
    ///
    /// # Errors
    /// A flag is wrong, or an entry of its name is in the document already.
    pub fn apply(&self, document: Document) -> Result<Document, Errors> {
        let mut change = Change {
            document,
            errors: Vec::new(),
        };
        change.settings(self);
        change.certificate(self);
        change.entries(self);
        let Change {
            mut document,
            mut errors,
        } = change;
        document.complete();
        errors.extend(validate(&document));
        Errors::check(errors)?;
        Ok(document)
    }
}

struct Change {
    document: Document,
    errors: Vec<Error>,
}

impl Change {
    fn settings(&mut self, flags: &Flags) {
        if let Some(admin) = self.optional("--admin", flags.admin.as_deref(), &["admin"]) {
            self.document.config.admin = admin;
        }
        if let Some(workers) = self.optional("--workers", flags.workers.as_deref(), &["workers"]) {
            self.document.config.workers = workers;
        }
        if let Some(log) =
            self.optional("--access-log", flags.access_log.as_deref(), &["access-log"])
        {
            self.document.config.access_log = log;
        }
        let servers = flags.dns_servers.iter();
        let servers: Vec<_> = servers
            .filter_map(|server| self.value("--dns-server", server, &["dns", "servers"]))
            .collect();
        if !servers.is_empty() {
            self.document.config.dns.servers = servers;
        }
    }

    /// The rules of `--cert` and `--key`.
    fn certificate(&mut self, flags: &Flags) {
        match (&flags.cert, &flags.key) {
            (Some(cert), Some(_)) if flags.listen.is_empty() => self.wrong(
                shown("--cert", cert),
                "`--cert` without a `--listen` whose callers are shown it",
                "write `tls: {cert: FILE, key: FILE}` at the entry in the file",
            ),
            (Some(cert), None) => self.wrong(
                shown("--cert", cert),
                "`--cert` without its `--key`",
                "add `--key FILE`",
            ),
            (None, Some(key)) => self.wrong(
                shown("--key", key),
                "`--key` without its `--cert`",
                "add `--cert FILE`",
            ),
            _ => {}
        }
    }

    /// How callers of an entry are spoken to inside TLS; none without `--cert` and `--key`.
    fn tls(&mut self, name: &str, flags: &Flags) -> Option<InboundTls> {
        let (cert, key) = flags.cert.as_ref().zip(flags.key.as_ref())?;
        let section = self.document.section.as_str();
        for (own, flag, file) in [("cert", "--cert", cert), ("key", "--key", key)] {
            let at = path(&[section, name, "tls", own]);
            self.document.flags.push((at, shown(flag, file)));
        }
        Some(InboundTls {
            cert: Some(cert.clone()),
            key: Some(key.clone()),
            ..InboundTls::default()
        })
    }

    fn entries(&mut self, flags: &Flags) {
        let mut to = flags.to.iter();
        for (number, listen) in (1..).zip(&flags.listen) {
            let Some(to) = to.next() else {
                self.wrong(
                    shown("--listen", listen),
                    "`--listen` without its `--to`",
                    "add `--to URL`",
                );
                continue;
            };
            let name = if number == 1 {
                "default".to_owned()
            } else {
                format!("default-{number}")
            };
            self.entry(&name, (listen, to), flags);
        }
        for to in to {
            self.wrong(
                shown("--to", to),
                "`--to` without its `--listen`",
                "add `--listen ADDRESS`",
            );
        }
    }

    fn entry(&mut self, name: &str, (listen, to): (&str, &str), flags: &Flags) {
        let Ok(key) = name.parse::<EntryName>() else {
            return;
        };
        let section = self.document.section.as_str();
        let listeners = self.document.listeners();
        let taken = listeners.iter().any(|(name, _)| **name == key);
        if taken {
            let message = format!("the file has an entry `{name}` already");
            return self.wrong(
                shown("--listen", listen),
                message,
                "rename the entry in the file",
            );
        }
        let at = [section, name, "listen"];
        match self.document.section {
            Section::Ambassador => {
                let address: Option<ListenAddress> = self.value("--listen", listen, &at);
                if let Some((address, url)) = address.zip(self.url(name, listen, to)) {
                    let entry = Entry::new(address, To::from(url));
                    self.document.config.ambassador.insert(key, entry);
                }
            }
            Section::Sidecar => {
                let address: Option<InboundAddress> = self.value("--listen", listen, &at);
                if let Some((address, url)) = address.zip(self.url(name, listen, to)) {
                    let mut entry = Inbound::new(address, url);
                    entry.tls = self.tls(name, flags);
                    self.document.config.sidecar.insert(key, entry);
                }
            }
            #[cfg(not(feature = "gateway"))]
            Section::Ingress => {}
            #[cfg(feature = "gateway")]
            Section::Ingress => {
                let address: Option<InboundAddress> = self.value("--listen", listen, &at);
                let every = "*".parse::<RouteKey>().ok();
                let url = self.url(name, listen, to);
                if let (Some(address), Some(url), Some(every)) = (address, url, every) {
                    let mut entry = Gateway::new(address);
                    entry.tls = self.tls(name, flags);
                    let route = Route::from(To::from(url));
                    entry.routes.insert(every, route.into());
                    self.document.config.ingress.insert(key, entry);
                }
            }
        }
    }

    /// The `--to` of an entry; the whole entry comes from its `--listen`.
    fn url(&mut self, name: &str, listen: &str, to: &str) -> Option<Url> {
        let section = self.document.section.as_str();
        let url = self.value("--to", to, &[section, name, "to"]);
        let whole = (path(&[section, name]), shown("--listen", listen));
        self.document.flags.push(whole);
        url
    }

    fn optional<T: FromStr<Err = Invalid>>(
        &mut self,
        flag: &str,
        text: Option<&str>,
        at: &[&str],
    ) -> Option<T> {
        self.value(flag, text?, at)
    }

    /// Reads the value of a flag, and notes that the value at the path comes from it.
    fn value<T: FromStr<Err = Invalid>>(
        &mut self,
        flag: &str,
        text: &str,
        at: &[&str],
    ) -> Option<T> {
        match text.parse() {
            Ok(value) => {
                self.document.flags.push((path(at), shown(flag, text)));
                Some(value)
            }
            Err(Invalid { message, help }) => {
                self.wrong(shown(flag, text), message, help);
                None
            }
        }
    }

    fn wrong(&mut self, flag: String, message: impl Into<String>, help: impl Into<String>) {
        self.errors
            .push(Error::new(message, help, Place::Flag { flag }));
    }
}

/// A flag as it was written.
fn shown(flag: &str, text: &str) -> String {
    format!("{flag} {text}")
}

fn path(keys: &[&str]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

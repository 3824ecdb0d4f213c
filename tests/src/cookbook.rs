//! The recipes of each role's cookbook, and each of them made to run on the machine of the test.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::certificates::{Authority, Validity, place};
use crate::config::Config;
use crate::dns::{Answer, Dns};
use crate::origin::Origin;
use crate::proxy::{AMBASSADOR, Proxy};
use crate::sources::workspace;
use crate::yaml;

/// The folders that recipes have their files and their sockets in; a folder of the test's own takes their place.
const FILES: [&str; 3] = ["/etc/remora", "/run/app", "/var/lib/remora"];

/// The hosts that have a certificate each where recipes have a folder of them.
pub const HOSTS: [&str; 2] = ["admin.example", "shop.example"];

/// The pages that recipes show; each holds its own name.
const PAGES: [&str; 3] = ["404.html", "maintenance.html", "sorry.html"];

/// A section with one file.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its heading.
    pub title: String,
    /// Its YAML.
    pub text: String,
    /// What stands around the YAML.
    pub prose: String,
}

/// The sections of the ambassador's cookbook that have a YAML block.
pub fn recipes() -> Vec<Recipe> {
    recipes_of(AMBASSADOR)
}

/// The same of a role's cookbook.
///
/// # Panics
///
/// When a section has more than one.
pub fn recipes_of(role: &str) -> Vec<Recipe> {
    let page = workspace().join(format!("docs/cookbook/{role}.md"));
    let page = std::fs::read_to_string(page).expect("the cookbook");
    let recipe = |section: &str| {
        let (title, rest) = section.split_once('\n')?;
        let (before, rest) = rest.split_once("\n```yaml\n")?;
        let (text, after) = rest.split_once("```\n")?;
        assert!(!after.contains("```"), "{title} has a second block");
        Some(Recipe {
            title: title.to_owned(),
            text: text.to_owned(),
            prose: format!("{before}{after}"),
        })
    };
    page.split("\n## ").filter_map(recipe).collect()
}

/// The text with the test's own folder for files.
pub fn housed(text: &str, folder: &Path) -> String {
    let folder = folder.display().to_string();
    let housed = |text: String, files: &str| text.replace(files, &folder);
    FILES.into_iter().fold(text.to_owned(), housed)
}

/// A folder with the files that recipes name, of an authority that nobody uses.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let nobody = Authority::new("nobody");
    secure(folder.path(), &nobody);
    hosts(folder.path(), &nobody);
    place(folder.path(), "endpoints", "127.0.0.1:1\n");
    std::fs::create_dir(folder.path().join("acme")).expect("a folder");
    let pages = folder.path().join("pages");
    std::fs::create_dir(&pages).expect("a folder");
    for page in PAGES {
        place(&pages, page, &format!("<p>{page}</p>\n"));
    }
    folder
}

/// Writes the files of `tls`, as cert-manager and others name them.
pub fn secure(folder: &Path, authority: &Authority) {
    secure_as(folder, authority, &["workload.test"]);
}

/// The same with a certificate for these names.
pub fn secure_as(folder: &Path, authority: &Authority, names: &[&str]) {
    let tls = folder.join("tls");
    std::fs::create_dir_all(&tls).expect("a folder");
    let own = authority.issue(names, Validity::Now);
    place(&tls, "ca.crt", &authority.pem());
    place(&tls, "tls.crt", &own.cert);
    place(&tls, "tls.key", &own.key);
}

/// Writes a folder of certificates, one for each of [`HOSTS`].
pub fn hosts(folder: &Path, authority: &Authority) {
    let hosts = folder.join("hosts");
    std::fs::create_dir_all(&hosts).expect("a folder");
    for host in HOSTS {
        let own = authority.issue(&[host], Validity::Now);
        place(&hosts, &format!("{host}.crt"), &own.cert);
        place(&hosts, &format!("{host}.key"), &own.key);
    }
}

/// A recipe with a folder and a name server of its own, in the making.
///
/// It is the recipe's file but for what would tie it to a machine: it listens on ephemeral ports, names
/// are asked of the test's server, and the ports in `to` are those of the test's origins.
#[derive(Debug)]
pub struct Stage {
    /// Where the files are that the recipe names.
    pub folder: TempDir,
    /// Who answers for its names.
    pub dns: Dns,
    role: &'static str,
    file: Value,
}

impl Stage {
    /// The recipe of this title in the ambassador's cookbook.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn of(title: &str) -> Self {
        Self::of_role(AMBASSADOR, title).await
    }

    /// The same in a role's.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn of_role(role: &'static str, title: &str) -> Self {
        let recipe = recipes_of(role)
            .into_iter()
            .find(|recipe| recipe.title == title);
        let text = recipe.expect("a recipe of that title").text;
        let folder = folder();
        let mut documents = yaml::documents(&housed(&text, folder.path()));
        Self {
            folder,
            dns: Dns::start().await,
            role,
            file: documents.remove(0),
        }
    }

    /// Leads this host of an upstream, wherever the recipe leads to it, to the endpoints, which share a port.
    ///
    /// # Panics
    ///
    /// When the recipe does not lead to it.
    pub fn lead(&mut self, host: &str, endpoints: &[SocketAddr]) {
        let addresses = endpoints.iter().map(SocketAddr::ip).collect();
        self.dns.set(host, Answer::Addresses(addresses, 60));
        let found = move_port(&mut self.file[self.role], host, endpoints[0].port());
        assert!(found > 0, "the recipe leads to {host}");
    }

    /// As [`Stage::lead`], to replicas.
    pub fn lead_to(&mut self, host: &str, origins: &[Origin]) {
        let addresses: Vec<_> = origins.iter().map(Origin::address).collect();
        self.lead(host, &addresses);
    }

    /// Puts an origin in the place of the workload that listens on this port, wherever the recipe leads to it.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn stand_before(&mut self, port: u16, origin: SocketAddr) {
        let found = move_workload(&mut self.file, &format!("//localhost:{port}"), origin);
        assert!(found > 0, "the recipe leads to localhost:{port}");
    }

    /// Writes something else in the file, wherever it stands as the whole of a text.
    ///
    /// # Panics
    ///
    /// When it stands nowhere.
    pub fn replace(&mut self, text: &str, other: &str) {
        let (text, other) = (
            Value::from(text).to_string(),
            Value::from(other).to_string(),
        );
        let file = self.file.to_string();
        assert!(file.contains(&text), "the recipe says {text}");
        self.file = serde_json::from_str(&file.replace(&text, &other)).expect("JSON");
    }

    /// Gives a key of the role's section a value that the recipe leaves out.
    pub fn set(&mut self, at: &[&str], value: &str) {
        let section = &mut self.file[self.role];
        let place = at.iter().fold(section, |place, key| &mut place[*key]);
        *place = Value::from(value);
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&self) -> Proxy {
        let started = self.launch(&[]).await;
        started.ready().await;
        started
    }

    /// Starts it with further flags and waits until its entries listen.
    ///
    /// # Panics
    ///
    /// When the recipe has no entry.
    pub async fn launch(&self, flags: &[&str]) -> Proxy {
        let mut config = Config::for_role(self.role).with(&self.dns.setting());
        for line in lines(&self.file, &[self.role, "admin", "dns"]) {
            config = config.with(&line);
        }
        let entries = self.file[self.role].as_object().expect("entries");
        for (name, entry) in entries {
            config = config.and(name, &lines(entry, &["listen"]).join("\n"));
        }
        Proxy::launch_with(&config, flags).await
    }
}

/// The keys of a map with their values, each on a line, but for these keys.
fn lines(map: &Value, without: &[&str]) -> Vec<String> {
    let map = map.as_object().expect("a map").iter();
    map.filter(|(key, _)| !without.contains(&key.as_str()))
        .map(|(key, value)| format!("{key}: {value}"))
        .collect()
}

/// Replaces a workload in every URL that leads to it, and says in how many.
fn move_workload(value: &mut Value, workload: &str, origin: SocketAddr) -> usize {
    match value {
        Value::String(url) if url.ends_with(workload) => {
            *url = url.replace(workload, &format!("//{origin}"));
            1
        }
        Value::Array(all) => all
            .iter_mut()
            .map(|value| move_workload(value, workload, origin))
            .sum(),
        Value::Object(all) => all
            .values_mut()
            .map(|value| move_workload(value, workload, origin))
            .sum(),
        _ => 0,
    }
}

/// Replaces the port of the URLs that have this host, and says how many there were.
fn move_port(value: &mut Value, host: &str, port: u16) -> usize {
    match value {
        Value::String(url) => {
            let Some((scheme, rest)) = url.split_once("://") else {
                return 0;
            };
            let (name, _) = rest.split_once(':').unwrap_or((rest, ""));
            let found = name == host;
            if found {
                *url = format!("{scheme}://{host}:{port}");
            }
            usize::from(found)
        }
        Value::Array(all) => all
            .iter_mut()
            .map(|value| move_port(value, host, port))
            .sum(),
        Value::Object(all) => {
            let all = all.values_mut();
            all.map(|value| move_port(value, host, port)).sum()
        }
        _ => 0,
    }
}

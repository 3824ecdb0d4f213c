//! The recipes of the cookbook, and each of them made to run on the machine of the test.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::ambassador::Ambassador;
use crate::certificates::{Authority, Validity, place};
use crate::config::Config;
use crate::dns::{Answer, Dns};
use crate::origin::Origin;
use crate::sources::workspace;
use crate::yaml;

/// The folder that recipes have their files in; a folder of the test's own takes its place.
const FILES: &str = "/etc/remora";

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

/// The sections of the cookbook that have a YAML block.
///
/// # Panics
///
/// When a section has more than one.
pub fn recipes() -> Vec<Recipe> {
    let page = workspace().join("docs/cookbook/ambassador.md");
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
    text.replace(FILES, &folder.display().to_string())
}

/// A folder with the files that recipes name, of an authority that nobody uses.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    secure(folder.path(), &Authority::new("nobody"));
    place(folder.path(), "endpoints", "127.0.0.1:1\n");
    folder
}

/// Writes the files of `tls`, as cert-manager and others name them.
pub fn secure(folder: &Path, authority: &Authority) {
    let tls = folder.join("tls");
    std::fs::create_dir_all(&tls).expect("a folder");
    let own = authority.issue(&["workload.test"], Validity::Now);
    place(&tls, "ca.crt", &authority.pem());
    place(&tls, "tls.crt", &own.cert);
    place(&tls, "tls.key", &own.key);
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
    file: Value,
}

impl Stage {
    /// The recipe of this title.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn of(title: &str) -> Self {
        let recipe = recipes().into_iter().find(|recipe| recipe.title == title);
        let text = recipe.expect("a recipe of that title").text;
        let folder = folder();
        let mut documents = yaml::documents(&housed(&text, folder.path()));
        Self {
            folder,
            dns: Dns::start().await,
            file: documents.remove(0),
        }
    }

    /// Leads this host of `to`, or of a mirror's, to the endpoints, which share a port.
    ///
    /// # Panics
    ///
    /// When the recipe does not lead to it.
    pub fn lead(&mut self, host: &str, endpoints: &[SocketAddr]) {
        let addresses = endpoints.iter().map(SocketAddr::ip).collect();
        self.dns.set(host, Answer::Addresses(addresses, 60));
        let mut found = 0;
        for entry in entries(&mut self.file) {
            found += move_port(&mut entry["to"], host, endpoints[0].port());
            if let Some(mirror) = entry.get_mut("mirror") {
                found += move_port(&mut mirror["to"], host, endpoints[0].port());
            }
        }
        assert_eq!(found, 1, "the recipe leads to {host}");
    }

    /// As [`Stage::lead`], to replicas.
    pub fn lead_to(&mut self, host: &str, origins: &[Origin]) {
        let addresses: Vec<_> = origins.iter().map(Origin::address).collect();
        self.lead(host, &addresses);
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&self) -> Ambassador {
        let mut config = Config::default().with(&self.dns.setting());
        for line in lines(&self.file, &["ambassador", "admin", "dns"]) {
            config = config.with(&line);
        }
        let entries = self.file["ambassador"].as_object().expect("entries");
        for (name, entry) in entries {
            config = config.and(name, &lines(entry, &["listen"]).join("\n"));
        }
        Ambassador::start(&config).await
    }
}

/// The keys of a map with their values, each on a line, but for these keys.
fn lines(map: &Value, without: &[&str]) -> Vec<String> {
    let map = map.as_object().expect("a map").iter();
    map.filter(|(key, _)| !without.contains(&key.as_str()))
        .map(|(key, value)| format!("{key}: {value}"))
        .collect()
}

fn entries(file: &mut Value) -> impl Iterator<Item = &mut Value> {
    file["ambassador"]
        .as_object_mut()
        .expect("entries")
        .values_mut()
}

/// Replaces the port of the URLs that have this host, and says how many there were.
fn move_port(to: &mut Value, host: &str, port: u16) -> usize {
    match to {
        Value::String(url) => {
            let (scheme, rest) = url.split_once("://").expect("a URL");
            let (name, _) = rest.split_once(':').unwrap_or((rest, ""));
            let found = name == host;
            if found {
                *url = format!("{scheme}://{host}:{port}");
            }
            usize::from(found)
        }
        Value::Array(list) => list.iter_mut().map(|to| move_port(to, host, port)).sum(),
        Value::Object(weighted) => move_port(&mut weighted["to"], host, port),
        other => panic!("{other} is no upstream"),
    }
}

//! Makes a run possible: the proxies, the origin, free ports and enough open files.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::scenario::Settings;
use super::{probe, tool};
use crate::options::Options;
use crate::peer::{AMBASSADOR, Peer, Prepare, programs};

/// Prepares every proxy that is asked for. One that cannot be had is left out, with a note that says why.
pub(super) fn prepare(
    options: &Options,
    settings: &Settings,
    dir: &Path,
    notes: &mut Vec<String>,
) -> Result<Vec<Peer>> {
    let mut prepare = Prepare {
        ports: settings.ports,
        dir,
        forwarded: true,
    };
    let mut found = Vec::new();
    if options.proxies.iter().any(|name| name == AMBASSADOR) {
        let binary = programs::given(options.binary.as_deref(), AMBASSADOR, "--binary")?;
        let ambassador = prepare.ambassador(binary);
        prepare.forwarded = forwards(&ambassador, settings, dir)?;
        found.push(ambassador);
    }
    let does = if prepare.forwarded {
        "add"
    } else {
        "do not add"
    };
    notes.push(format!("All proxies {does} X-Forwarded-For."));
    let others = options.proxies.iter().filter(|name| *name != AMBASSADOR);
    found.extend(programs::gather(others, notes, |name| prepare.peer(name)));
    for text in &options.peers {
        found.push(prepare.custom(text)?);
    }
    if found.is_empty() {
        bail!("there is no proxy to measure: {}", notes.join(" "));
    }
    Ok(found)
}

/// Asks the ambassador itself whether it adds `X-Forwarded-For`, so that the peers can do the same.
fn forwards(ambassador: &Peer, settings: &Settings, dir: &Path) -> Result<bool> {
    let _origin = start_origin(settings.ports.origin)?;
    let _proxy = settings.launch(ambassador, &dir.join("ambassador.log"))?;
    probe::forwards(settings.ports.http)
}

/// Starts the origin on this port.
pub(crate) fn start_origin(port: u16) -> Result<tool::Tool> {
    Ok(tool::Tool::start(&["origin", "--port", &port.to_string()])?.0)
}

/// Finds ports below the range from which the kernel takes those of outgoing connections.
///
/// Returns the first of `count` in a row.
pub(crate) fn free_ports(count: u16) -> Result<u16> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let base = (18_080..28_080)
        .step_by(100)
        .find(|base| (*base..base + count).all(|port| is_free(&port)));
    base.context("no free ports between 18080 and 28080")
}

/// Lets this process and its children open as many files as the system allows.
pub(crate) fn raise_file_limit() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the limit of open files")
}

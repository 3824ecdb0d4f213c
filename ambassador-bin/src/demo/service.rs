//! What stands behind the name: its replicas, and the name server that tells where they are.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use proxy_cli::demo::Side;
use tokio::runtime::Handle;

use super::names::{NAME, NameServer};
use super::replica::{Replica, Reserved};
use super::script::Act;
use super::table::{FAILING, State};

/// Replicas from the start, on 127.0.0.1 and the addresses after it.
pub(super) const REPLICAS: u8 = 4;

/// The one that fails some of its requests.
const FAULTY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The one that is killed.
const VICTIM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// How many ports are tried before giving up: another program may hold one of them on one of the addresses.
const PORTS: usize = 50;

/// The replicas and their name, on a thread of their own.
#[derive(Debug)]
pub(super) struct Service {
    /// In the order in which they started.
    pub(super) replicas: Vec<Replica>,
    /// What is asked for them.
    pub(super) names: NameServer,
    /// The port that all of them listen on.
    pub(super) port: u16,
    newcomer: Option<Reserved>,
    side: Side,
}

impl Service {
    /// Starts the replicas, and a name that leads to them.
    pub(super) fn start() -> anyhow::Result<Self> {
        let side = Side::start("replicas")?;
        let runtime = side.runtime();
        let names = NameServer::start(runtime).context("no name server could be started")?;
        let mut reserved = reserve().context(
            "no port is free on 127.0.0.1 to 127.0.0.5; the demo needs all of 127.0.0.0/8 on the loopback interface",
        )?;
        let newcomer = reserved.pop();
        let (mut replicas, mut port) = (Vec::new(), 0);
        for reserved in reserved {
            port = reserved.port()?;
            let state = match reserved.ip() {
                FAULTY => State::Failing,
                _ => State::Serving,
            };
            replicas.push(start(reserved, state, runtime, &names)?);
        }
        Ok(Self {
            replicas,
            names,
            port,
            newcomer,
            side,
        })
    }

    /// What is wrong with it from the start.
    pub(super) fn prologue(&self) -> String {
        format!(
            "replica {FAULTY} answers {:.0} % of its requests with 503",
            FAILING * 100.0
        )
    }

    /// Lets it happen. Returns what is to be announced.
    pub(super) fn perform(&mut self, act: Act) -> anyhow::Result<String> {
        match act {
            Act::Kill => {
                let victim = self.replicas.iter_mut().find(|one| one.ip == VICTIM);
                victim.into_iter().for_each(Replica::kill);
                Ok(format!("replica {VICTIM} killed; {NAME} still leads to it"))
            }
            Act::Forget => {
                self.names.remove(VICTIM);
                Ok(format!("{NAME} leads to {VICTIM} no more"))
            }
            Act::Add => {
                let newcomer = self.newcomer.take().context("there is one newcomer")?;
                let replica = start(newcomer, State::New, self.side.runtime(), &self.names)?;
                let text = format!("replica {} added to {NAME}", replica.ip);
                self.replicas.push(replica);
                Ok(text)
            }
        }
    }

    /// The socket address of a replica.
    pub(super) fn address(&self, replica: &Replica) -> SocketAddr {
        SocketAddr::from((replica.ip, self.port))
    }
}

fn start(
    reserved: Reserved,
    state: State,
    runtime: &Handle,
    names: &NameServer,
) -> io::Result<Replica> {
    let replica = Replica::start(reserved, state, runtime)?;
    names.add(replica.ip);
    Ok(replica)
}

/// One port on all addresses, the newcomer's last.
fn reserve() -> io::Result<Vec<Reserved>> {
    let mut failure = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..PORTS {
        match reserve_any() {
            Ok(reserved) => return Ok(reserved),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn reserve_any() -> io::Result<Vec<Reserved>> {
    let first = Reserved::bind(Ipv4Addr::LOCALHOST, 0)?;
    let port = first.port()?;
    let mut all = vec![first];
    for last in 2..=REPLICAS + 1 {
        all.push(Reserved::bind(Ipv4Addr::new(127, 0, 0, last), port)?);
    }
    Ok(all)
}

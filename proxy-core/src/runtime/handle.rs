//! A process inside another program: it runs on a thread of its own and ends when its handle says so.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::process::{Error, Loaded, Process, Source};
use super::signals::Signals;
use crate::admin::{Asked, View};

/// A running process. Dropping it leaves the process running.
#[derive(Debug)]
pub struct Handle {
    view: Arc<View>,
    addresses: Vec<(Arc<str>, SocketAddr)>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

/// Starts what [`run`](super::run) runs and returns once every listener is bound.
///
/// It answers to no signal: those are the surrounding program's.
///
/// # Errors
/// Whatever keeps the process from starting.
pub fn start(role: &'static str, loaded: Loaded, source: Source) -> Result<Handle, Error> {
    let (sender, started) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("control".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let (mut process, asked) = Process::start(role, loaded, source)?;
                process.open().await?;
                let _ = sender.send((process.view(), process.addresses()));
                process.control(asked, Signals::none()).await
            })
        })?;
    match started.recv() {
        Ok((view, addresses)) => Ok(Handle {
            view,
            addresses,
            thread: Some(thread),
        }),
        Err(_) => Err(join(thread).err().unwrap_or_else(vanished)),
    }
}

impl Handle {
    /// What the admin interface sees of it.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Where an entry listened when the process started.
    pub fn addresses(&self, entry: &str) -> Vec<SocketAddr> {
        let of_entry = self.addresses.iter().filter(|(name, _)| **name == *entry);
        of_entry.map(|(_, address)| *address).collect()
    }

    /// Drains it as SIGTERM would, and returns when it has ended. A second call does nothing.
    ///
    /// # Errors
    /// [`Error::Cut`] when requests did not finish in time.
    pub fn drain(&mut self) -> Result<(), Error> {
        let _ = self.view.asked.send(Asked::Drain);
        self.thread.take().map_or(Ok(()), join)
    }
}

fn join(thread: JoinHandle<Result<(), Error>>) -> Result<(), Error> {
    thread.join().unwrap_or_else(|_| Err(vanished()))
}

fn vanished() -> Error {
    Error::Start(io::Error::other("the control thread ended unexpectedly"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::World;

    const WORLD: World<'_> = World {
        cpus: 1,
        env: &|_| None,
        usable: &|_| Ok(()),
    };

    fn started(listen: &str) -> Result<Handle, Error> {
        let text = format!(
            "admin: off\nworkers: 1\nambassador: {{shop: {{listen: '{listen}', to: 'http://127.0.0.1:9'}}}}"
        );
        let document = crate::config::parse(&text, "test", &|_| None).unwrap();
        let loaded = Loaded {
            plan: crate::plan::compile(&document, &WORLD).unwrap(),
            effective: text,
        };
        let again = loaded.clone();
        let source = Source {
            file: None,
            load: Box::new(move || Ok(again.clone())),
        };
        start("ambassador", loaded, source)
    }

    #[test]
    fn it_listens_once_started_and_no_more_once_drained() {
        let mut handle = started("127.0.0.1:0").unwrap();
        let address = handle.addresses("shop")[0];
        std::net::TcpStream::connect(address).unwrap();
        assert!(handle.addresses("cart").is_empty());
        handle.drain().unwrap();
        std::net::TcpStream::connect(address).unwrap_err();
        handle.drain().unwrap();
    }

    #[test]
    fn an_address_in_use_is_an_error_of_the_start() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        assert!(matches!(started(&address), Err(Error::Bind(_))));
    }
}

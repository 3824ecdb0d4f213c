//! A process inside another program: it runs on a thread of its own and ends when its handle says so.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::loaded::{Loaded, Source};
use super::process::{Error, Process};
use super::signals::Signals;
use crate::admin::{Asked, View};
use crate::config::{self, Document};

/// A running process. Dropping it leaves the process running.
///
/// It has threads of its own, so that it can be started and drained from any thread and from any
/// tokio runtime, or from none. What it logs goes to the `tracing` subscriber of the program; its
/// access log goes to standard output, unless `access-log: off` says otherwise.
#[derive(Debug)]
pub struct Handle {
    view: Arc<View>,
    addresses: Vec<(Arc<str>, SocketAddr)>,
    thread: Option<JoinHandle<Result<(), Error>>>,
    ended: oneshot::Receiver<()>,
}

/// Starts what [`run`](super::run) runs and returns once every listener is bound.
///
/// It answers to no signal: those are the surrounding program's. The calling thread is blocked for
/// as long as binding takes, which is milliseconds.
///
/// # Errors
/// Whatever keeps the process from starting.
pub fn start(role: &'static str, loaded: Loaded, source: Source) -> Result<Handle, Error> {
    let (sender, started) = std::sync::mpsc::channel();
    let (ending, ended) = oneshot::channel::<()>();
    let thread = std::thread::Builder::new()
        .name("control".into())
        .spawn(move || {
            // Dropped after everything else of this thread.
            let _ending = ending;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let (mut process, asked) = Process::start(role, loaded, source)?;
                process.open().await?;
                let _ = sender.send((process.view(), process.addresses()));
                process
                    .control(asked, Signals::none(), std::future::pending())
                    .await
            })
        })?;
    match started.recv() {
        Ok((view, addresses)) => Ok(Handle {
            view,
            addresses,
            thread: Some(thread),
            ended,
        }),
        Err(_) => Err(join(thread).err().unwrap_or_else(vanished)),
    }
}

impl Handle {
    /// Starts what a text in the grammar of the configuration file says of the ambassador, and returns
    /// once every listener is bound. `${NAME}` reads the environment of this process.
    ///
    /// # Errors
    /// [`Error::Config`] with every mistake in the text, or whatever keeps the process from starting.
    pub fn from_yaml(text: &str) -> Result<Self, Error> {
        let env = |name: &str| std::env::var(name).ok();
        Self::from_document(&config::parse(text, "the configuration", &env)?)
    }

    /// The same of a document, such as one that [`Flags`](config::Flags) make without any text, or of
    /// another role's [`Section`](config::Section).
    ///
    /// # Errors
    /// [`Error::Config`] with everything that cannot be run on this machine, or whatever keeps the
    /// process from starting.
    pub fn from_document(document: &Document) -> Result<Self, Error> {
        let loaded = Loaded::compile(document)?;
        start(
            document.section().as_str(),
            loaded.clone(),
            Source::fixed(loaded),
        )
    }

    /// What the admin interface sees of it.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Where an entry listened when the process started.
    pub fn addresses(&self, entry: &str) -> Vec<SocketAddr> {
        let of_entry = self.addresses.iter().filter(|(name, _)| **name == *entry);
        of_entry.map(|(_, address)| *address).collect()
    }

    /// Waits until it is ready: until every entry has had an answer for its names, or a failed
    /// look-up, or 10 s have passed. False when it drains, or has ended, instead.
    pub async fn ready(&self) -> bool {
        tokio::select! {
            ready = self.view.lifecycle.ready() => ready,
            () = self.view.asked.closed() => false,
        }
    }

    /// Drains it as SIGTERM would, and returns when it has ended. A second call does nothing.
    ///
    /// Blocks the calling thread, for `drain.delay` and `drain.timeout` at the most. Async code
    /// awaits [`Handle::drained`].
    ///
    /// # Errors
    /// [`Error::Cut`] when requests did not finish in time.
    pub fn drain(&mut self) -> Result<(), Error> {
        let _ = self.view.asked.send(Asked::Drain);
        self.thread.take().map_or(Ok(()), join)
    }

    /// The same as [`Handle::drain`], without blocking a thread. A call that was given up can be
    /// made again.
    ///
    /// # Errors
    /// [`Error::Cut`] when requests did not finish in time.
    pub async fn drained(&mut self) -> Result<(), Error> {
        let _ = self.view.asked.send(Asked::Drain);
        if self.thread.is_some() {
            // An error says that the sender is gone, and with it all that the thread had to do.
            let _ = (&mut self.ended).await;
        }
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

    fn started(listen: &str) -> Result<Handle, Error> {
        Handle::from_yaml(&format!(
            "admin: off\nworkers: 1\nambassador: {{shop: {{listen: '{listen}', to: 'http://127.0.0.1:9'}}}}"
        ))
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

    /// Starts and drains within the runtime that runs this, which goes on meanwhile.
    async fn lives_within_a_runtime() {
        let mut handle = started("127.0.0.1:0").unwrap();
        assert!(handle.ready().await);
        let address = handle.addresses("shop")[0];
        let connection = tokio::net::TcpStream::connect(address).await.unwrap();
        drop(connection);
        handle.drained().await.unwrap();
        assert!(!handle.ready().await);
        handle.drained().await.unwrap();
        tokio::net::TcpStream::connect(address).await.unwrap_err();
    }

    #[tokio::test]
    async fn it_lives_beside_a_runtime_of_one_thread() {
        lives_within_a_runtime().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_lives_beside_a_runtime_of_many_threads() {
        lives_within_a_runtime().await;
    }

    #[test]
    fn mistakes_in_the_text_are_an_error_of_the_start() {
        let error = started("nowhere").unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error:?}");
        assert!(error.to_string().contains("nowhere"), "{error}");
    }

    #[test]
    fn a_document_of_flags_alone_is_enough() {
        let flags = config::Flags {
            listen: vec!["127.0.0.1:0".to_owned()],
            to: vec!["http://127.0.0.1:9".to_owned()],
            admin: Some("off".to_owned()),
            workers: Some("1".to_owned()),
            ..config::Flags::default()
        };
        let mut handle = Handle::from_document(&flags.document().unwrap()).unwrap();
        assert_eq!(handle.addresses("default").len(), 1);
        handle.drain().unwrap();
    }

    #[test]
    fn the_inbound_role_runs_from_its_own_section() {
        let text = "admin: off\nworkers: 1\ndrain: {delay: 0s}\n\
            sidecar: {web: {listen: ':0', to: 'http://127.0.0.1:9'}}";
        let section = config::Section::Sidecar;
        let document = section.parse(text, "the test", &|_| None).unwrap();
        let mut handle = Handle::from_document(&document).unwrap();
        assert_eq!(handle.view().role, "sidecar");
        assert!(!handle.addresses("web").is_empty());
        handle.drain().unwrap();
    }

    #[test]
    fn an_address_in_use_is_an_error_of_the_start() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        assert!(matches!(started(&address), Err(Error::Bind(_))));
    }
}

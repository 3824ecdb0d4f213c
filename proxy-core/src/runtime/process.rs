//! One process from start to exit: the control thread.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::mpsc;

use super::drain::{Patience, drain, tell_all};
use super::entry::Entry;
use super::inherited::Inherited;
use super::layout::{BindError, Key, Layout, bind, keys};
use super::loaded::{Loaded, Source};
use super::notify::{Notify, READY, STOPPING};
use super::signals::{Asked as Signalled, Signals};
use super::worker::{Command, Worker};
use crate::admin::{self, Asked, View};
use crate::config;
use crate::discovery::Resolver;
use crate::files::Changes;
use crate::lifecycle::Lifecycle;
use crate::net;
use crate::plan::{EntryPlan, Plan};
use crate::telemetry::AccessLog;
use crate::tls::{Invalid, Unusable};

/// How long the first look-ups may keep the process from being ready.
const FIRST_LOOKUPS: Duration = Duration::from_secs(10);

/// How long the reader of the access log may take for what is still queued at the end.
const FLUSH: Duration = Duration::from_secs(2);

/// Why a process ended badly.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong; [`start`](super::start) and [`run`] get it compiled and never say so.
    #[error(transparent)]
    Config(#[from] config::Errors),
    /// A listener could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A certificate or a key can no longer be used.
    #[error(transparent)]
    Tls(#[from] Unusable),
    /// The same of those that callers are shown.
    #[error("{0}")]
    Served(#[from] Invalid),
    /// The admin interface could not be bound.
    #[error(
        "the admin interface cannot listen on {0}; choose another address with `admin` or turn it `off`"
    )]
    Admin(SocketAddr, #[source] io::Error),
    /// The system's resolver settings could not be read.
    #[error(
        "the system's resolver settings could not be read; name servers can be given with `dns.servers`"
    )]
    Resolver(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A socket that was passed to the process (`LISTEN_FDS`) is none that it can listen on.
    #[error(
        "a socket that was passed to the process cannot be used; pass listening TCP sockets alone"
    )]
    Inherited(#[source] io::Error),
    /// A thread, a signal handler or a file watch could not be had.
    #[error("the process could not start")]
    Start(#[from] io::Error),
    /// The drain did not wait for all requests.
    #[error("{requests} requests were cut off, because {why}")]
    Cut {
        /// How many.
        requests: usize,
        /// Why it ended before them.
        why: &'static str,
    },
}

/// Why nothing is read again.
const NO_FILE: &str = "the settings came without a file, and hold until the process ends";

/// Runs until it is told to stop. Logs the addresses that it listens on, then `ready` once every entry is resolved.
///
/// It makes the calling thread its control thread and answers to the process's signals, so that it is
/// for programs that are nothing but a proxy. Others, and whatever runs on a tokio runtime already,
/// use [`start`](super::start).
///
/// # Errors
/// Whatever keeps the process from starting, and [`Error::Cut`].
pub fn run(role: &'static str, loaded: Loaded, source: Source) -> Result<(), Error> {
    run_until(role, loaded, source, pending())
}

/// The same, and once `ended` is over it drains as SIGINT would: nobody is waited for any longer.
///
/// # Errors
/// As those of [`run`].
pub fn run_until(
    role: &'static str,
    loaded: Loaded,
    source: Source,
    ended: impl Future<Output = ()>,
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // First of all: a signal that comes while we start must not end us the hard way.
        let signals = Signals::listen()?;
        // Before there are other threads: it takes what it has read out of the environment.
        let inherited = Inherited::from_env().map_err(Error::Inherited)?;
        let (mut process, asked) = Process::start(role, loaded, source)?;
        process.inherited = inherited;
        process.notify = Notify::from_env();
        process.open().await?;
        process.control(asked, signals, ended).await
    })
}

/// A process and everything that it owns.
pub(super) struct Process {
    view: Arc<View>,
    source: Source,
    plan: Plan,
    resolver: Resolver,
    log: AccessLog,
    entries: Vec<Arc<Entry>>,
    bound: HashMap<Key, SocketAddr>,
    workers: Vec<Worker>,
    /// Sockets that the process was started with; it binds the others itself.
    inherited: Inherited,
    notify: Notify,
}

impl Process {
    /// Starts its threads and the admin interface; nothing is served yet.
    pub(super) fn start(
        role: &'static str,
        loaded: Loaded,
        source: Source,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Asked>), Error> {
        let Loaded { plan, effective } = loaded;
        let resolver = resolver(&plan)?;
        let (log, writer) = AccessLog::new(plan.access_log);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || writer.run(io::stdout()))?;
        let (sender, asked) = mpsc::unbounded_channel();
        let view = Arc::new(View {
            role,
            lifecycle: Lifecycle::new(),
            entries: ArcSwap::default(),
            config: ArcSwap::from_pointee(effective),
            reload_succeeded: AtomicBool::new(true),
            reload_errors: ArcSwapOption::empty(),
            reloads: AtomicU64::new(0),
            reloads_rejected: AtomicU64::new(0),
            access_log: log.clone(),
            places: admin::Places::default(),
            asked: sender,
        });
        // Before anybody can ask: a process that has not begun yet is not ready.
        let entries = plan.entries.iter().filter(|entry| waits_for(entry));
        entries.for_each(|entry| view.lifecycle.wait_for(&entry.name));
        serve_admin(&plan.admin, &view)?;
        let workers = (0..plan.workers)
            .map(Worker::start)
            .collect::<io::Result<_>>()?;
        let (entries, bound) = (Vec::new(), HashMap::new());
        Ok((
            Self {
                view,
                source,
                plan,
                resolver,
                log,
                entries,
                bound,
                workers,
                inherited: Inherited::default(),
                notify: Notify::default(),
            },
            asked,
        ))
    }

    /// Binds and serves.
    pub(super) async fn open(&mut self) -> Result<(), Error> {
        self.install(self.plan.clone(), self.resolver.clone())
            .await?;
        self.inherited.warn_of_others(self.bound.values().copied());
        self.announce_readiness();
        Ok(())
    }

    /// What the admin interface sees.
    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view)
    }

    /// Where each entry listens.
    pub(super) fn addresses(&self) -> Vec<(Arc<str>, SocketAddr)> {
        let of_entry = |entry: &Arc<Entry>| {
            let bound = keys(&entry.plan).filter_map(|key| self.bound.get(&key).copied());
            let name = &entry.plan.name;
            bound
                .map(|address| (Arc::clone(name), address))
                .collect::<Vec<_>>()
        };
        self.entries.iter().flat_map(of_entry).collect()
    }

    /// Does what it is told until that is to drain; then drains.
    pub(super) async fn control(
        &mut self,
        mut asked: mpsc::UnboundedReceiver<Asked>,
        mut signals: Signals,
        ended: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let mut ended = pin!(ended);
        let file = self.source.file.as_deref();
        let changes = file.map(|file| Changes::of(&[file])).transpose();
        let mut changes = changes.map_err(io::Error::other)?;
        let patient = loop {
            let change = tokio::select! {
                signal = signals.next() => match signal {
                    Signalled::Reload => Some(None),
                    Signalled::Drain => break true,
                    Signalled::Interrupt => break false,
                },
                Some(asked) = asked.recv() => match asked {
                    Asked::Reload(answer) => Some(Some(answer)),
                    Asked::Drain => break true,
                },
                () = &mut ended => break false,
                () = changed(&mut changes) => None,
            };
            let explicit = change.is_some();
            let result = self.reload(explicit).await;
            if let Some(Some(answer)) = change {
                let _ = answer.send(result);
            }
        };
        // Whoever asks for something from now on is told that it is too late.
        drop(asked);
        self.end(signals, patient).await
    }

    /// Drains; a second signal ends at once, and what is cut off then is logged all the same.
    async fn end(&mut self, mut signals: Signals, patient: bool) -> Result<(), Error> {
        tracing::info!("draining");
        self.notify.tell(STOPPING);
        let plan = &self.plan;
        let patience = Patience {
            delay: if patient {
                plan.drain_delay
            } else {
                Duration::ZERO
            },
            quiet: patient && plan.drain_quiet,
            timeout: plan.drain_timeout,
        };
        let draining = drain(&self.workers, &self.view.lifecycle, patience);
        let (requests, why) = tokio::select! {
            cut = draining => (cut, "drain.timeout was over"),
            () = async { while signals.next().await == Signalled::Reload {} } => {
                let busy = tell_all(&self.workers, || Command::Count).await.busy;
                (busy, "a second signal asked for that")
            }
        };
        // First the workers: requests that are cut off write their lines when they go.
        self.workers.drain(..).for_each(Worker::stop);
        self.log.flushed(FLUSH).await;
        if requests == 0 {
            tracing::info!("drained");
            Ok(())
        } else {
            tracing::warn!(requests, "cut off");
            Err(Error::Cut { requests, why })
        }
    }

    /// Reads the configuration again. One that is bad changes nothing.
    async fn reload(&mut self, explicit: bool) -> Result<(), String> {
        if self.source.file.is_none() {
            tracing::warn!("asked to reload: {NO_FILE}");
            return Err(format!("{NO_FILE}\n"));
        }
        let loaded = self.source.read().await;
        if !explicit
            && loaded
                .as_ref()
                .is_ok_and(|loaded| loaded.effective == **self.view.config.load())
        {
            if !self.view.reload_succeeded.swap(true, Relaxed) {
                tracing::info!("the configuration is again what runs");
            }
            self.view.reload_errors.store(None);
            return Ok(());
        }
        let result = match loaded {
            Ok(loaded) => self.apply(loaded).await,
            Err(errors) => Err(errors),
        };
        self.view.reload_succeeded.store(result.is_ok(), Relaxed);
        let errors = result.as_ref().err().cloned();
        self.view.reload_errors.store(errors.map(Arc::new));
        match &result {
            Ok(()) => {
                self.view.reloads.fetch_add(1, Relaxed);
                tracing::info!("configuration reloaded");
            }
            Err(errors) => {
                self.view.reloads_rejected.fetch_add(1, Relaxed);
                tracing::error!(%errors, "configuration rejected");
            }
        }
        result
    }

    async fn apply(&mut self, loaded: Loaded) -> Result<(), String> {
        let Loaded {
            mut plan,
            effective,
        } = loaded;
        if plan.workers != self.plan.workers || plan.admin != self.plan.admin {
            tracing::warn!("`workers` and `admin` take effect at the next start");
            plan.workers = self.plan.workers;
            plan.admin.clone_from(&self.plan.admin);
        }
        let resolver = if plan.resolver == self.plan.resolver {
            self.resolver.clone()
        } else {
            resolver(&plan).map_err(|error| error.to_string())?
        };
        self.install(plan, resolver).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        })?;
        self.view.config.store(Arc::new(effective));
        Ok(())
    }

    /// Serves `plan` from now on, or nothing of it.
    async fn install(&mut self, plan: Plan, resolver: Resolver) -> Result<(), Error> {
        let same = plan.resolver == self.plan.resolver;
        let known = self.entries.iter();
        let known: HashMap<&str, &Arc<Entry>> = known.map(|e| (&*e.plan.name, e)).collect();
        let entries: Vec<Arc<Entry>> = plan
            .entries
            .iter()
            .map(|entry| {
                let before = known.get(&*entry.name).copied();
                self.keep_or_start(entry, before, &resolver, same)
            })
            .collect::<Result<_, _>>()?;
        let (sockets, bound) = bind(&entries, &self.bound, &self.inherited, self.workers.len())?;
        self.log = self.log.with(plan.access_log);
        let layout = Arc::new(Layout {
            entries: entries.clone(),
            log: self.log.clone(),
            splice: plan.splice,
        });
        let commands = self.workers.iter().zip(sockets);
        let installs = commands
            .map(|(worker, sockets)| worker.tell(Command::Install(Arc::clone(&layout), sockets)));
        futures_util::future::join_all(installs).await;
        self.view
            .entries
            .store(Arc::new(entries.iter().map(|entry| entry.view()).collect()));
        self.entries = entries;
        self.bound = bound;
        self.resolver = resolver;
        self.plan = plan;
        Ok(())
    }

    fn keep_or_start(
        &self,
        plan: &EntryPlan,
        before: Option<&Arc<Entry>>,
        resolver: &Resolver,
        same: bool,
    ) -> Result<Arc<Entry>, Error> {
        if let Some(before) = before
            && before.plan == *plan
            && same
        {
            return Ok(Arc::clone(before));
        }
        let before = before.map(|before| &**before);
        let started = Entry::start(plan.clone(), before, resolver, same, self.plan.workers)?;
        Ok(Arc::new(started))
    }

    fn announce_readiness(&self) {
        let (lifecycle, notify) = (self.view.lifecycle.clone(), self.notify.clone());
        let mut entries = self.entries.clone();
        // A mirror that cannot be found is no reason not to serve.
        entries.retain(|entry| waits_for(&entry.plan));
        tokio::spawn(async move {
            let settled = entries.iter().map(|entry| async {
                if tokio::time::timeout(FIRST_LOOKUPS, entry.endpoints.settled())
                    .await
                    .is_err()
                {
                    tracing::warn!(
                        entry = &*entry.plan.name,
                        "no answer from any name server yet"
                    );
                }
                lifecycle.done(&entry.plan.name);
            });
            futures_util::future::join_all(settled).await;
            tracing::info!("ready");
            notify.tell(READY);
        });
    }
}

/// Whether the process is not ready before the entry is: not for a mirror, and a gateway's listener leads nowhere itself.
fn waits_for(entry: &EntryPlan) -> bool {
    !entry.is_mirror && !entry.targets.is_empty()
}

fn resolver(plan: &Plan) -> Result<Resolver, Error> {
    Resolver::new(&plan.resolver).map_err(|error| Error::Resolver(error.into()))
}

fn serve_admin(addresses: &[SocketAddr], view: &Arc<View>) -> Result<(), Error> {
    let mut port = None;
    for (index, address) in addresses.iter().enumerate() {
        let wanted = SocketAddr::new(address.ip(), port.unwrap_or(address.port()));
        let listeners = match net::bind(wanted, addresses.len() == 1, 1) {
            Ok(listeners) => listeners,
            Err(_) if index > 0 => continue,
            Err(error) => return Err(Error::Admin(wanted, error)),
        };
        for listener in listeners {
            let address = listener.local_addr()?;
            port = Some(address.port());
            tracing::info!(%address, "admin listening");
            tokio::spawn(admin::serve(listener, Arc::clone(view)));
        }
    }
    Ok(())
}

/// Returns when the file has changed and then been quiet for a moment; never without a file.
async fn changed(changes: &mut Option<Changes>) {
    match changes {
        Some(changes) => changes.next().await,
        None => std::future::pending().await,
    }
}

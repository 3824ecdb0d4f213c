//! One worker thread: a single-threaded runtime with its own listeners, connections and pools.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::bound::Bound;
use super::entry::Entry;
use super::layout::{Key, Layout, Sockets, keys};
use super::served::{Place, Served};
use crate::body::Pipe;
use crate::lifecycle::Phase;
use crate::net::{Acceptor, Connections};
use crate::telemetry::AccessLog;

/// How often pools are tidied.
const SWEEP: Duration = Duration::from_secs(1);

/// Polls of tasks before the kernel and the clock are asked what else there is, while tasks are ready. A request over
/// HTTP/1 takes four, and those that came together are to be written together (`http/give_way.rs`).
const POLLS: u32 = 128;

/// What the control thread tells a worker. Each is answered when it is done.
#[derive(Debug)]
pub(super) enum Command {
    /// Serve this from now on.
    Install(Arc<Layout>, Sockets),
    /// Accept nothing more; what the kernel has queued is still accepted.
    StopAccepting,
    /// Move all connections on.
    Advance(Phase),
    /// How much is going on?
    Count,
}

/// A worker's answer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Status {
    /// Open downstream connections.
    pub(super) open: usize,
    /// Those with a request that is not over.
    pub(super) busy: usize,
    /// Changes with all traffic.
    pub(super) pulse: u64,
}

/// The control thread's end of a worker.
#[derive(Debug)]
pub(super) struct Worker {
    commands: mpsc::UnboundedSender<(Command, oneshot::Sender<Status>)>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts worker number `index`.
    pub(super) fn start(index: usize) -> io::Result<Self> {
        let (commands, received) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .event_interval(POLLS)
                    .build();
                match runtime {
                    Ok(runtime) => runtime.block_on(work(index, received)),
                    Err(error) => tracing::error!(%error, "a worker could not start"),
                }
            })?;
        Ok(Self {
            commands,
            thread: Some(thread),
        })
    }

    /// Tells it something and waits until it is done.
    pub(super) async fn tell(&self, command: Command) -> Status {
        let (answer, done) = oneshot::channel();
        let _ = self.commands.send((command, answer));
        done.await.unwrap_or_default()
    }

    /// Ends the worker with whatever it still serves.
    pub(super) fn stop(mut self) {
        drop(std::mem::replace(
            &mut self.commands,
            mpsc::unbounded_channel().0,
        ));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct State {
    index: usize,
    phase: Phase,
    log: Option<AccessLog>,
    served: HashMap<Arc<str>, Arc<Served>>,
    bound: HashMap<Key, Bound>,
    /// Connections of entries that are gone, until they have ended.
    leaving: Vec<Arc<Connections>>,
}

async fn work(
    index: usize,
    mut commands: mpsc::UnboundedReceiver<(Command, oneshot::Sender<Status>)>,
) {
    let mut state = State {
        index,
        phase: Phase::Running,
        log: None,
        served: HashMap::new(),
        bound: HashMap::new(),
        leaving: Vec::new(),
    };
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            received = commands.recv() => {
                let Some((command, answer)) = received else { return state.cut() };
                state.obey(command).await;
                let _ = answer.send(state.status());
            }
            _ = sweep.tick() => state.sweep(),
        }
    }
}

impl State {
    async fn obey(&mut self, command: Command) {
        match command {
            Command::Install(layout, sockets) => self.install(&layout, sockets).await,
            Command::StopAccepting => self.unbind(|_| true).await,
            Command::Advance(phase) => {
                self.phase = phase;
                self.served
                    .values()
                    .for_each(|served| served.connections.advance(phase));
            }
            Command::Count => {}
        }
    }

    fn status(&self) -> Status {
        let serving = self.served.values().map(|served| &served.connections);
        serving
            .chain(&self.leaving)
            .fold(Status::default(), |sum, connections| {
                let (open, busy) = connections.count();
                let pulse = sum.pulse.wrapping_add(connections.pulse());
                Status {
                    open: sum.open + open,
                    busy: sum.busy + busy,
                    pulse,
                }
            })
    }

    /// The end: what is still served is not served to its end.
    fn cut(&self) {
        let serving = self.served.values().map(|served| &served.connections);
        serving
            .chain(&self.leaving)
            .for_each(|connections| connections.cut());
    }

    fn sweep(&mut self) {
        self.leaving.retain(|connections| connections.count().0 > 0);
        for served in self.served.values() {
            served.sweep();
        }
        Pipe::sweep();
    }

    async fn install(&mut self, layout: &Layout, mut sockets: Sockets) {
        let log_changed = self
            .log
            .as_ref()
            .is_none_or(|log| !log.is_same(&layout.log));
        self.log = Some(layout.log.clone());
        Pipe::allow(layout.splice);
        // Mirrors first, and then what routes lead to: the stacks of the others lead to them.
        let mut entries: Vec<&Arc<Entry>> = layout.entries.iter().collect();
        entries.sort_by_key(|entry| (!entry.plan.is_mirror, !entry.plan.is_hidden()));
        for entry in entries {
            let name = &entry.plan.name;
            let on = Place {
                index: self.index,
                log: &layout.log,
                served: &self.served,
            };
            match self.served.get(name) {
                Some(served) if !log_changed && Arc::ptr_eq(&served.entry.load(), entry) => {}
                Some(served) if served.update(entry, &on) => {}
                _ => {
                    let served = Served::new(entry, &on, self.phase);
                    if let Some(other_kind) = self.served.insert(Arc::clone(name), Arc::new(served))
                    {
                        self.leave(&other_kind);
                    }
                }
            }
            self.listen(entry, &mut sockets);
        }
        let wanted: HashSet<Key> = layout.entries.iter().flat_map(|e| keys(&e.plan)).collect();
        self.unbind(|key| !wanted.contains(key)).await;
        let names = layout.entries.iter().map(|entry| &entry.plan.name);
        let staying: HashSet<&Arc<str>> = names.collect();
        let known = self.served.keys();
        let gone: Vec<Arc<str>> = known.filter(|n| !staying.contains(n)).cloned().collect();
        for served in gone
            .iter()
            .filter_map(|name| self.served.remove(name))
            .collect::<Vec<_>>()
        {
            self.leave(&served);
        }
    }

    /// Lets the connections of an entry end by themselves; a drain still waits for them.
    fn leave(&mut self, served: &Served) {
        served.connections.advance(Phase::Closing);
        self.leaving.push(Arc::clone(&served.connections));
    }

    fn listen(&mut self, entry: &Entry, sockets: &mut Sockets) {
        let Some(served) = self.served.get(&entry.plan.name) else {
            return;
        };
        for key in keys(&entry.plan) {
            if let Some(bound) = self.bound.get(&key) {
                let before = bound.lead(served);
                if !Arc::ptr_eq(&before, served) {
                    // The address leads elsewhere now: kept connections must not go on leading where it did.
                    before.connections.close_open();
                }
            } else if let Some(socket) = sockets.remove(&key) {
                match Acceptor::new(socket) {
                    Ok(acceptor) => {
                        self.bound
                            .insert(key, Bound::start(acceptor, Arc::clone(served)));
                    }
                    Err(error) => {
                        tracing::error!(%error, entry = &*entry.plan.name, "cannot accept connections")
                    }
                }
            }
        }
    }

    async fn unbind(&mut self, which: impl Fn(&Key) -> bool) {
        let gone: Vec<Key> = self
            .bound
            .keys()
            .filter(|key| which(key))
            .cloned()
            .collect();
        for bound in gone
            .iter()
            .filter_map(|key| self.bound.remove(key))
            .collect::<Vec<_>>()
        {
            bound.stop().await;
        }
    }
}

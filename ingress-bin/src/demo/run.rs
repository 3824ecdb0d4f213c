//! The demo from its first line to its exit status.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::{Arg, ArgAction, ArgMatches};
use proxy_cli::Failure;
use proxy_cli::demo::{Screen, Script, Tally};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::caller::{Caller, KINDS};
use super::ingress::{Files, HOSTS, Ingress, configuration};
use super::script::{ACTS, Act, KEPT};
use super::services::{FAILING, Services};
use super::table::{Picture, Row};

/// How often the demo looks whether something is to be done or told.
const LOOK: Duration = Duration::from_millis(20);

/// The flags.
pub(crate) fn describe(command: clap::Command) -> clap::Command {
    let keep = Arg::new("keep").long("keep").action(ArgAction::SetTrue);
    command
        .about("Watch it work: two hosts in TLS, routes by path and header, retries, and a file that changes")
        .arg(keep.help("Keep it running until Ctrl-C, to be called with the curls that it shows"))
}

/// Runs it. The error says what the callers saw, if they saw a failure.
pub(crate) fn run(words: &ArgMatches) -> Result<(), Failure> {
    let keep = words.get_flag("keep");
    let mut screen = Screen::stdout();
    let files = Files::make()?;
    let services = Services::start()?;
    let text = configuration(files.folder(), &services, services.blog.address());
    files.write(&text)?;
    screen.say(&introduction(&text))?;
    let ingress = Ingress::start(&files)?;
    let address = ingress.address();
    screen.say(&invitation(files.folder(), address, keep))?;
    let callers = KINDS.iter().map(|kind| {
        let caller = Caller::new(kind, address, &files.authority)?;
        Ok(Arc::new(caller))
    });
    let mut demo = Demo {
        callers: callers.collect::<anyhow::Result<_>>()?,
        files,
        services,
        ingress,
        tally: Arc::default(),
        over: watch::Sender::new(false),
        reloads: 0,
        is_cut_short: false,
    };
    demo.play(&mut screen, keep)?;
    screen.conclude(&demo.picture())?;
    demo.judge(&mut screen)
}

/// What is shown before anything happens.
pub(super) fn introduction(configuration: &str) -> String {
    let indented: String = configuration
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    format!(
        "An ingress stands in front of a shop with two instances, the shop's next\n\
         version, its API, and a blog. It has a certificate for {} and one for\n\
         {}. All of it runs in this process. The file:\n\n\
         {indented}\n",
        HOSTS[0], HOSTS[1],
    )
}

/// How it can be called from elsewhere.
pub(super) fn invitation(folder: &Path, address: SocketAddr, keep: bool) -> String {
    let (ip, port) = (address.ip(), address.port());
    let how_long = match keep {
        true => "until Ctrl-C ends it",
        false => "while it runs, or for longer with `ingress demo --keep`",
    };
    let mut text = format!("Call it {how_long}:\n\n");
    for kind in KINDS {
        let (host, path) = (kind.host, kind.path);
        let version = kind.version;
        let version = version.map(|version| format!(" -H 'x-version: {version}'"));
        text += &format!(
            "    curl https://{host}:{port}{path}{} \\\n        \
               --resolve {host}:{port}:{ip} \\\n        \
               --cacert {}/ca.pem\n",
            version.unwrap_or_default(),
            folder.display(),
        );
    }
    text.push('\n');
    text
}

struct Demo {
    callers: Vec<Arc<Caller>>,
    ingress: Ingress,
    files: Files,
    services: Services,
    tally: Arc<Tally>,
    /// Whether callers have heard that they are to call no more.
    over: watch::Sender<bool>,
    /// How many reloads were announced.
    reloads: u64,
    /// Whether somebody ended it before its time.
    is_cut_short: bool,
}

impl Demo {
    /// Follows the script and shows what it does, until the ingress has ended.
    fn play<W: Write>(&mut self, screen: &mut Screen<W>, keep: bool) -> Result<(), Failure> {
        let signalled = self.services.runtime().spawn(signalled());
        let calls: Vec<JoinHandle<()>> = self.callers.iter().map(|one| self.call(one)).collect();
        let start = Instant::now();
        let mut script = Script::new(if keep { KEPT } else { ACTS });
        let share = FAILING * 100.0;
        let prologue = format!("shop-2 answers {share:.0} % of its requests with 503");
        screen.announce(Duration::ZERO, &prologue)?;
        loop {
            let now = start.elapsed();
            let asked = signalled.is_finished().then_some(Act::End);
            if let Some(act) = asked.or_else(|| script.due(now)) {
                self.is_cut_short = asked.is_some() && !keep;
                screen.announce(now, &self.perform(act)?)?;
                if act == Act::End {
                    break;
                }
            }
            let reloads = self.ingress.counts().reloads;
            if reloads > self.reloads {
                self.reloads = reloads;
                screen.announce(now, "the ingress has taken over the file")?;
            }
            if screen.is_due(now) {
                screen.show(now, &self.picture())?;
            }
            std::thread::sleep(LOOK);
        }
        for call in calls {
            // What is in flight is finished first: it would be no news that a caller's own end fails it.
            self.services
                .runtime()
                .block_on(call)
                .map_err(anyhow::Error::from)?;
        }
        Ok(self.ingress.drain()?)
    }

    fn call(&self, caller: &Arc<Caller>) -> JoinHandle<()> {
        let run = Arc::clone(caller).run(Arc::clone(&self.tally), self.over.subscribe());
        self.services.runtime().spawn(run)
    }

    /// Lets it happen. Returns what is to be announced.
    fn perform(&mut self, act: Act) -> anyhow::Result<String> {
        let services = &self.services;
        match act {
            Act::Release => {
                let blog = services.new_blog.address();
                let text = configuration(self.files.folder(), services, blog);
                self.files.write(&text)?;
                Ok(format!("the file leads {} to new-blog", HOSTS[1]))
            }
            Act::Retire => {
                services.blog.kill();
                Ok("blog is killed: nothing leads there any more".to_owned())
            }
            Act::End => {
                self.over.send_replace(true);
                Ok("the callers call no more, and the ingress drains".to_owned())
            }
        }
    }

    fn picture(&self) -> Picture {
        let row = |caller: &Arc<Caller>| Row {
            kind: caller.kind,
            answers: caller.answers(),
        };
        Picture {
            rows: self.callers.iter().map(row).collect(),
            seen: self.tally.sum(),
            counts: self.ingress.counts(),
        }
    }

    /// Says how it ended; anything is an error that a caller should not have seen, or that should have happened.
    fn judge<W: Write>(&self, screen: &mut Screen<W>) -> Result<(), Failure> {
        let failures = self.tally.sum().failures;
        screen.say(&format!("failures the callers saw: {failures}\n"))?;
        self.tally.judge("the callers")?;
        self.ingress.check()?;
        if !self.is_cut_short {
            self.check_the_play()?;
        }
        Ok(())
    }

    /// Whether everybody has answered who should.
    fn check_the_play(&self) -> anyhow::Result<()> {
        for caller in &self.callers {
            let answers = caller.answers();
            for name in caller.kind.answered_by {
                let has_answered = answers.contains_key(*name);
                ensure!(has_answered, "{name} has not answered {}", caller.kind.name);
            }
        }
        let counts = self.ingress.counts();
        ensure!(counts.retries > 0, "nothing was retried");
        ensure!(counts.reloads > 0, "the new file was not taken over");
        Ok(())
    }
}

/// Over when somebody wants the demo to end.
async fn signalled() {
    let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(interrupt), signal(terminate)) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

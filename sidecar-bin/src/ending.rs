//! `--exit-with`: the sidecar of a Job ends when the workload does, which nobody else tells it.
//!
//! It looks at what the kernel shows of the pod. `tcp` is the ports that the workload listens on: all
//! containers of a pod see those, and no connection is made. `process:NAME` is a process of that name, which
//! only a pod with `shareProcessNamespace: true` shows. Either must have been there once, and then be gone for
//! `--exit-after`: a workload that has not started yet, or is just restarting, has not ended.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use clap::{Arg, ArgMatches};
use proxy_cli::Failure;
use proxy_core::config;
use proxy_core::plan::{Source, Target};
use proxy_core::runtime::Loaded;
use tokio::time::{Instant, sleep};

use crate::proc::{self, At, Wanted};

/// The longest pause between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// What has ended when the workload has.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sign {
    /// The ports of every `to`.
    Ports,
    /// This port.
    Port(u16),
    /// Every process of this name.
    Process(String),
}

/// The flags.
pub(crate) fn describe(command: clap::Command) -> clap::Command {
    let with = Arg::new("exit-with").long("exit-with").value_name("WHAT");
    let after = Arg::new("exit-after").long("exit-after").value_name("TIME");
    command
        .arg(with.value_parser(sign).help(
            "End with the workload: once nobody listens on the port of --to (tcp), on another one (tcp:PORT), \
             or no process has a name (process:NAME, with shareProcessNamespace)",
        ))
        .arg(
            after
                .requires("exit-with")
                .value_parser(|text: &str| text.parse::<config::Duration>())
                .help("How long that must be so [default: 5s]"),
        )
}

fn sign(text: &str) -> Result<Sign, String> {
    match text.split_once(':') {
        None if text == "tcp" => Ok(Sign::Ports),
        Some(("tcp", port)) => match port.parse() {
            Ok(port) if port > 0 => Ok(Sign::Port(port)),
            _ => Err(format!("`{port}` is not a port")),
        },
        Some(("process", name)) if !name.is_empty() => Ok(Sign::Process(name.to_owned())),
        _ => Err("write `tcp`, `tcp:PORT` or `process:NAME`".to_owned()),
    }
}

/// Over when the workload has ended; never without `--exit-with`.
pub(crate) fn ended(
    words: &ArgMatches,
    loaded: &Loaded,
) -> Result<Pin<Box<dyn Future<Output = ()>>>, Failure> {
    let Some(sign) = words.get_one::<Sign>("exit-with").cloned() else {
        return Ok(Box::pin(std::future::pending()));
    };
    let after = words.get_one::<config::Duration>("exit-after");
    let after = after.map_or(Duration::from_secs(5), |after| after.std());
    let listeners: Vec<Wanted> = match sign {
        Sign::Ports => ports(loaded)?,
        Sign::Port(port) => vec![Wanted { at: At::Any, port }],
        Sign::Process(_) => Vec::new(),
    };
    Ok(Box::pin(async move {
        let is_there = || match &sign {
            Sign::Process(name) => proc::runs(name),
            Sign::Ports | Sign::Port(_) => proc::listens(&listeners),
        };
        gone(is_there, after).await;
        tracing::info!("the workload has ended");
    }))
}

/// Where the entries lead, over TCP; a mirror's target is no workload.
fn ports(loaded: &Loaded) -> Result<Vec<Wanted>, Failure> {
    let entries = loaded.plan.entries.iter().filter(|entry| !entry.is_mirror);
    let targets = entries.flat_map(|entry| &entry.targets);
    let wanted = |target: &Target| {
        let at = match target.source {
            Source::Fixed(ip) => At::Address(ip),
            Source::Unix(_) => return None,
            _ => At::Loopback,
        };
        let port = target.port;
        Some(Wanted { at, port })
    };
    let all: Vec<Wanted> = targets.filter_map(wanted).collect();
    if all.is_empty() {
        let text = "error: `--exit-with tcp` looks at ports, and every `to` is a Unix socket; \
            write `--exit-with process:NAME` or `--exit-with tcp:PORT`";
        return Err(Failure::Usage(text.to_owned()));
    }
    Ok(all)
}

/// Returns once what was there is gone for as long as `after`. What cannot be told counts as there.
async fn gone(is_there: impl Fn() -> std::io::Result<bool>, after: Duration) {
    let mut seen = false;
    let mut since = None;
    let pause = (after / 4).clamp(Duration::from_millis(10), LOOK);
    loop {
        match is_there() {
            Ok(false) if seen => {
                let since: &Instant = since.get_or_insert_with(Instant::now);
                if since.elapsed() >= after {
                    return;
                }
            }
            Ok(false) => {}
            Ok(true) => {
                if !seen {
                    tracing::info!("the workload runs");
                }
                (seen, since) = (true, None);
            }
            Err(error) => {
                tracing::debug!(%error, "cannot see whether the workload runs");
                since = None;
            }
        }
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn signs_are_read_and_mistakes_told() {
        assert_eq!(sign("tcp"), Ok(Sign::Ports));
        assert_eq!(sign("tcp:8080"), Ok(Sign::Port(8080)));
        assert_eq!(sign("process:a:b"), Ok(Sign::Process("a:b".to_owned())));
        for wrong in [
            "",
            "process",
            "process:",
            "tcp:",
            "tcp:0",
            "tcp:65536",
            "udp:1",
        ] {
            assert!(sign(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_there_must_be_gone_for_a_while() {
        let error = || Err(std::io::Error::other("unreadable"));
        // Not yet, there, a pause that is too short, one that is unsure, and the end.
        let looks = [
            vec![Ok(false); 9],
            vec![Ok(true)],
            vec![Ok(false); 3],
            vec![Ok(true)],
            vec![Ok(false); 3],
            vec![Err(())],
        ];
        let looks = RefCell::new(looks.concat().into_iter());
        let began = Instant::now();
        let next = || {
            looks
                .borrow_mut()
                .next()
                .map_or(Ok(false), |look| look.or_else(|()| error()))
        };
        gone(next, Duration::from_secs(1)).await;
        assert_eq!(looks.borrow().len(), 0);
        // 18 looks, and four more until a second is over.
        assert_eq!(began.elapsed(), Duration::from_millis(22 * 250));
    }
}

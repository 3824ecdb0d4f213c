//! Runs the endpoints and the load as threads of one process, because a fault must begin at a moment that both know.

use std::io::{BufRead, Read, stdin};
use std::sync::Arc;

use anyhow::{Result, bail};
use serde_json::json;

use super::fault::Fault;
use super::origin::{self, Origin};
use super::pace::Pace;
use super::stage::{self, Stage};

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Port of the proxy on 127.0.0.1.
    #[arg(long)]
    pub(super) port: u16,
    /// Ports of the three endpoints; the last one is the one that fails.
    #[arg(long, value_delimiter = ',')]
    pub(super) endpoints: Vec<u16>,
    /// What the last endpoint does once the fault begins.
    #[arg(long, value_enum)]
    pub(super) fault: Fault,
    /// Requests a second.
    #[arg(long)]
    pub(super) rate: f64,
    /// Seconds that count.
    #[arg(long)]
    pub(super) seconds: f64,
    /// Seconds before the fault begins, and after that before requests count.
    #[arg(long)]
    pub(super) settle: f64,
    /// Health checks fare as requests do.
    #[arg(long)]
    pub(super) deep: bool,
    /// Ask for an explanation, and keep that of requests that take more milliseconds.
    #[arg(long)]
    pub(super) explain: Option<f64>,
}

/// Serves, prints `{"listening"}`, waits for a line and then loads the proxy; prints what came of it.
///
/// It ends early where standard input does.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.rate <= 0.0 || args.endpoints.len() != stage::ENDPOINTS {
        bail!("--rate must be above zero and --endpoints are three");
    }
    let stage = Arc::new(Stage::new(args.fault, args.deep));
    let listeners = origin::listen(&args.endpoints)?;
    println!("{}", json!({"listening": args.endpoints}));
    let shared = Arc::clone(&stage);
    std::thread::spawn(move || {
        let served = Origin::open(listeners, shared).and_then(Origin::serve);
        if let Err(error) = served {
            eprintln!("error: the endpoints failed: {error:#}");
            std::process::exit(1);
        }
    });
    let mut line = String::new();
    if stdin().lock().read_line(&mut line)? == 0 {
        return Ok(());
    }
    std::thread::spawn(|| {
        let _ = stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    let report = Pace::open(args, stage)?.drive()?;
    println!("{report}");
    Ok(())
}

//! The command line: its commands, its flags, and the help that teaches them.

// clap shows these texts on a terminal, where marked-up links would be noise.
#![allow(rustdoc::bare_urls)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// No line of the help is longer, however wide the terminal is.
const WIDTH: usize = 80;

const HELP: &str = "\
Examples:
  Watch it work, with nothing to install:
      ambassador demo
  Serve a service on a local port, without a file:
      ambassador --listen localhost:9000 --to http://users.default:8080
      curl localhost:9000
  Serve what a file says, after a look whether it is right:
      ambassador check -c remora.yaml
      ambassador -c remora.yaml

Exit codes:
  0  it ended well
  1  it failed while running: an address is taken, or a drain cut requests off
  2  the command line or the configuration is wrong; nothing was started

Where to look next:
  ambassador run --help        what happens while it runs
  ambassador check --help      how mistakes in a file are found
  ambassador schema            every key of the file, for editors";

const RUN_HELP: &str = "\
Examples:
  Two services, each --listen with its --to:
      ambassador run --listen localhost:9000 --to http://users.default:8080 \\
                     --listen localhost:9001 --to tcp://db.default:5432
  A file, and a flag on top of it:
      ambassador run -c remora.yaml --access-log all

While it runs:
  SIGTERM drains: what is in flight is finished. SIGHUP, or a change of the
  file, takes over the file anew; one with a mistake in it changes nothing.
  Its own log is on standard error (REMORA_LOG=debug tells more), the access
  log on standard output.

Exit codes:
  0  it drained
  1  it failed while running: an address is taken, or the drain cut requests
     off
  2  the command line or the configuration is wrong; nothing was started

Where to look next, with the admin interface on localhost:15000:
  curl localhost:15000/readyz      what it waits for
  curl localhost:15000/metrics     requests, retries, ejections
  curl localhost:15000/config      the configuration with every default
  curl -si -H 'x-remora-explain: 1' localhost:9000
                                   what happened to this one request";

const CHECK_HELP: &str = "\
Examples:
  Every mistake at once, each with its place and its remedy:
      ambassador check -c remora.yaml
  What the file means, with every default:
      ambassador check --effective -c remora.yaml
  Whether requests get what a file of samples says that they are to get:
      ambassador check --samples samples.yaml -c remora.yaml
  The same of flags alone, as the beginning of a file:
      ambassador check --effective \\
          --listen localhost:9000 --to http://users.default:8080

Nothing is started, and no name is looked up; certificates and keys that the
file names are read.

Exit codes:
  0  the configuration is good
  2  the command line or the configuration is wrong

Where to look next:
  ambassador schema        the JSON Schema of the file, for editors
  ambassador run --help    what happens while it runs";

const EXPLAIN_HELP: &str = "\
Examples:
  Entry, path, endpoint, timeouts and retries of a request:
      ambassador explain -c remora.yaml 'GET http://localhost:9000/users'
  With the field that a hash is taken of:
      ambassador explain -c remora.yaml 'POST http://localhost:9000/users' \\
          -H 'x-user: ann'

Nothing is sent, and no name is looked up.

Where to look next:
  ambassador check --help  how samples of requests are held against this
  curl -si -H 'x-remora-explain: 1' localhost:9000
                           what happened to a request that was sent";

const COMPLETIONS_HELP: &str = "\
Examples:
  For this shell alone:
      source <(ambassador completions bash)
  From the next shell on:
      ambassador completions bash \\
          > ~/.local/share/bash-completion/completions/ambassador
      ambassador completions fish > ~/.config/fish/completions/ambassador.fish
      ambassador completions zsh > DIRECTORY/_ambassador   # one of your $fpath";

/// The outbound proxy: calls to localhost become calls to services.
///
/// A workload calls http://localhost:9000; the ambassador finds the service, picks an endpoint and
/// retries what may be retried, so that the workload never learns that a replica died.
#[derive(Debug, Parser)]
#[command(
    name = "ambassador",
    version,
    about,
    long_about,
    after_long_help = HELP,
    max_term_width = WIDTH,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve until SIGTERM; this is what happens without a command.
    #[command(after_long_help = RUN_HELP)]
    Run(Options),
    /// Check the configuration: exit 0 when it is good, 2 with every error in it when it is not.
    #[command(after_long_help = CHECK_HELP)]
    Check {
        #[command(flatten)]
        options: Options,
        /// Print the whole configuration with every default.
        #[arg(long)]
        effective: bool,
        /// See whether sample requests get what the file says that they are to get.
        #[arg(long, value_name = "FILE")]
        samples: Option<PathBuf>,
    },
    /// Tell what a request would get: entry, path, endpoint, timeouts, retries. Nothing is sent.
    #[command(after_long_help = EXPLAIN_HELP, max_term_width = WIDTH)]
    Explain {
        #[command(flatten)]
        options: Options,
        /// The request as the workload would send it, as 'GET http://localhost:9000/users'.
        #[arg(value_name = "REQUEST")]
        request: String,
        /// A field of the request, as 'x-user: ann'; may be repeated.
        #[arg(short = 'H', long = "header", value_name = "FIELD")]
        headers: Vec<String>,
    },
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Watch it work: replicas that fail, die and appear behind a name, and a workload that notices nothing.
    Demo,
    /// Print what makes a shell complete this command line.
    #[command(after_long_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the workload connects to, as localhost:9000; goes with --to, and both may be repeated.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<String>,
    /// Where that leads, as http://users.default:8080 (schemes: http, h2c, https, tcp, tls).
    #[arg(long, value_name = "URL")]
    pub(crate) to: Vec<String>,
    /// Where the admin interface listens, or off [default: localhost:15000].
    #[arg(long, value_name = "ADDR|off")]
    pub(crate) admin: Option<String>,
    /// Worker threads [default: the CPUs that the cgroup allows].
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<String>,
    /// Which requests are logged to standard output: all, errors or off [default: errors].
    #[arg(long, value_name = "WHICH")]
    pub(crate) access_log: Option<String>,
    /// A name server to ask instead of the system's; may be repeated.
    #[arg(long, value_name = "IP[:PORT]")]
    pub(crate) dns_server: Vec<String>,
}

impl Cli {
    /// The options of `run`, however it was asked for.
    pub(crate) fn options(&self) -> &Options {
        match &self.command {
            Some(Command::Run(options)) => options,
            _ => &self.options,
        }
    }
}

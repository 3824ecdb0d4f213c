//! The command line.

// clap shows these texts on a terminal, where marked-up links would be noise.
#![allow(rustdoc::bare_urls)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The outbound proxy: calls to localhost become calls to services.
///
/// A workload calls http://localhost:9000; the ambassador finds the service, picks an endpoint and
/// retries what may be retried, so that the workload never learns that a replica died.
///
/// With a file:     ambassador -c remora.yaml
/// Without one:     ambassador --listen localhost:9000 --to http://users.default:8080
#[derive(Debug, Parser)]
#[command(
    name = "ambassador",
    version,
    about,
    long_about,
    verbatim_doc_comment,
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
    Run(Options),
    /// Check the configuration: exit 0 when it is good, 2 with every error in it when it is not.
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

//! The grammar of the command line: what all roles have in common, and what one adds to it.

use std::path::PathBuf;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::{Role, texts};

/// No line of the help is longer, however wide the terminal is.
const WIDTH: usize = 80;

/// The command line of a role: its own commands stand before the last of those that all have.
pub(crate) fn grammar(role: &'static Role) -> clap::Command {
    let mut grammar = options_of(Cli::command(), role)
        .name(role.name())
        .about(role.about)
        .long_about(role.long_about)
        .after_long_help(texts::help(role, None).unwrap_or_default())
        .mut_subcommands(|command| {
            let command = match texts::help(role, Some(command.get_name())) {
                Some(help) => command.after_long_help(help),
                None => command,
            };
            match (&role.until, command.get_name()) {
                (Some(until), "run") => (until.describe)(options_of(command, role)),
                _ => options_of(command, role),
            }
        });
    if let Some(until) = &role.until {
        grammar = (until.describe)(grammar);
    }
    for own in role.commands {
        grammar = grammar.subcommand((own.describe)(clap::Command::new(own.name)));
    }
    // Whatever is changed by its name moves to the end.
    let mut grammar = grammar.mut_subcommand("completions", |last| last);
    for (place, command) in grammar.get_subcommands_mut().enumerate() {
        let owned = std::mem::take(command);
        *command = owned.display_order(place);
    }
    grammar
}

/// Says of the flags that mean something else in each role what they mean in this one.
fn options_of(command: clap::Command, role: &'static Role) -> clap::Command {
    let takes_listeners = command.get_arguments().any(|own| own.get_id() == "listen");
    let command = match takes_listeners && role.section.is_inbound() {
        true => Certificate::augment_args(command),
        false => command,
    };
    command.mut_args(|argument| match argument.get_id().as_str() {
        "listen" => argument.help(role.listen),
        "to" => argument.help(role.to),
        "request" => argument.help(role.request),
        "admin" => {
            let default = role.section.admin();
            argument.help(format!(
                "Where the admin interface listens, or off [default: {default}]"
            ))
        }
        _ => argument,
    })
}

/// What all roles have in common.
#[derive(Debug, Parser)]
#[command(version, max_term_width = WIDTH, args_conflicts_with_subcommands = true)]
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
    #[command(max_term_width = WIDTH)]
    Explain {
        #[command(flatten)]
        options: Options,
        /// The request.
        #[arg(value_name = "REQUEST")]
        request: String,
        /// A field of the request, as 'x-user: ann'; may be repeated.
        #[arg(short = 'H', long = "header", value_name = "FIELD")]
        headers: Vec<String>,
    },
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Print what makes a shell complete this command line.
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
    /// Where clients connect to; goes with --to, and both may be repeated.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<String>,
    /// Where that leads.
    #[arg(long, value_name = "URL")]
    pub(crate) to: Vec<String>,
    /// Where the admin interface listens, or off.
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
    #[arg(skip)]
    pub(crate) certificate: Certificate,
}

// What only roles have that callers from elsewhere connect to. (As documentation it would be the help of whatever
// command has it.)
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Certificate {
    /// Speak TLS to callers, with this certificate and its chain (PEM); goes with --key.
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Option<String>,
    /// The key of --cert (PEM).
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<String>,
}

impl Cli {
    /// Reads the words of a role's command line.
    pub(crate) fn read(role: &Role, words: &ArgMatches) -> Result<Self, clap::Error> {
        let mut cli = Self::from_arg_matches(words)?;
        let words = words.subcommand().map_or(words, |(_, words)| words);
        let options = match &mut cli.command {
            None => &mut cli.options,
            Some(
                Command::Run(options)
                | Command::Check { options, .. }
                | Command::Explain { options, .. },
            ) => options,
            Some(Command::Schema | Command::Completions { .. }) => return Ok(cli),
        };
        if role.section.is_inbound() {
            options.certificate = Certificate::from_arg_matches(words)?;
        }
        Ok(cli)
    }

    /// The options of `run`, however it was asked for.
    pub(crate) fn options(&self) -> &Options {
        match &self.command {
            Some(Command::Run(options)) => options,
            _ => &self.options,
        }
    }
}

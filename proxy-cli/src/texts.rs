//! The help that all roles share, with places for what is a role's own.
//!
//! `{name}` is the role's name, `{admin}` where its admin interface listens, `{pair}` an example of
//! `--listen` and `--to`, `{called}` the address that clients of the example call.

use crate::Role;

/// Behind the examples of the whole.
const HELP: &str = "
Exit codes:
  0  it ended well
  1  it failed while running: an address is taken, or a drain cut requests off
  2  the command line or the configuration is wrong; nothing was started

Where to look next:
  {name} run --help        what happens while it runs
  {name} check --help      how mistakes in a file are found
  {name} schema            every key of the file, for editors";

/// Behind the examples of `run`.
const RUN_HELP: &str = "
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

Where to look next, with the admin interface on {admin}:
  curl {admin}/readyz      what it waits for
  curl {admin}/metrics     requests, retries, ejections
  curl {admin}/config      the configuration with every default
  curl -si -H 'x-remora-explain: 1' {called}
                                   what happened to this one request";

const CHECK_HELP: &str = "\
Examples:
  Every mistake at once, each with its place and its remedy:
      {name} check -c remora.yaml
  What the file means, with every default:
      {name} check --effective -c remora.yaml
  Whether requests get what a file of samples says that they are to get:
      {name} check --samples samples.yaml -c remora.yaml
  The same of flags alone, as the beginning of a file:
      {name} check --effective \\
          {pair}

Nothing is started, and no name is looked up; certificates and keys that the
file names are read.

Exit codes:
  0  the configuration is good
  2  the command line or the configuration is wrong

Where to look next:
  {name} schema        the JSON Schema of the file, for editors
  {name} run --help    what happens while it runs";

/// Behind the examples of `explain`.
const EXPLAIN_HELP: &str = "
Nothing is sent, and no name is looked up.

Where to look next:
  {name} check --help  how samples of requests are held against this
  curl -si -H 'x-remora-explain: 1' {called}
                           what happened to a request that was sent";

const COMPLETIONS_HELP: &str = "\
Examples:
  For this shell alone:
      source <({name} completions bash)
  From the next shell on:
      {name} completions bash \\
          > ~/.local/share/bash-completion/completions/{name}
      {name} completions fish > ~/.config/fish/completions/{name}.fish
      {name} completions zsh > DIRECTORY/_{name}   # one of your $fpath";

/// The long help of a role, below its flags; `command` is none for that of the whole.
pub(crate) fn help(role: &Role, command: Option<&str>) -> Option<String> {
    let (examples, rest) = match command {
        None => (role.examples, HELP),
        Some("run") => (role.run_examples, RUN_HELP),
        Some("check") => ("", CHECK_HELP),
        Some("explain") => (role.explain_examples, EXPLAIN_HELP),
        Some("completions") => ("", COMPLETIONS_HELP),
        Some(_) => return None,
    };
    let filled = format!("{examples}{rest}")
        .replace("{name}", role.name())
        .replace("{admin}", &role.section.admin().to_string())
        .replace("{pair}", role.pair)
        .replace("{called}", role.called);
    Some(filled)
}

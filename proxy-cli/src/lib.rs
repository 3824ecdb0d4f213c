//! The command line that every role has: a role is described by data, and what it does is proxy-core's.
//!
//! - [`Role`] says what one binary is: its name, its texts, its further commands
//! - [`main`] runs the command that was asked for and says how it ended
//! - `command` is the grammar, and `texts` the help that all roles share
//! - `load` reads the configuration, `explain` tells what requests would get
//! - `logs` is the process's own log
//! - [`demo`] is what the roles' demonstrations have in common
//!
//! It is a crate of its own, beside the library: who embeds a proxy builds none of it, and the release
//! builds it for size, as no request passes it.

mod command;
pub mod demo;
mod explain;
mod failure;
mod load;
mod logs;
mod program;
mod role;
mod texts;

pub use failure::Failure;
pub use program::main;
pub use role::{Ended, Own, Role, Until};

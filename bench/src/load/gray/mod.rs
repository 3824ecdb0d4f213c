//! The load side of the scenario of gray failures: three endpoints, the last of which fails, and requests at fixed times.

mod connection;
mod fault;
mod origin;
mod pace;
mod run;
mod stage;
mod told;
mod windows;

pub(crate) use fault::Fault;
pub(crate) use run::{Args, run};

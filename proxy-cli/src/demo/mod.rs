//! What every role's `demo` is made of: threads, a script, what callers saw, and where it is shown.
//!
//! - [`Side`] is a thread with a runtime of its own
//! - [`Script`] says what happens when
//! - [`Tally`] is what callers saw: how long answers took, and what failed
//! - [`Screen`] shows a [`Picture`], alive on a terminal or line by line
//! - [`figures`] writes numbers for its columns
//! - with the feature `demo-tls`, [`certificates`] makes an authority and what it issues, and [`connection`] is
//!   how callers speak TLS
//!
//! What a demo plays, and with whom, is its role's.

#[cfg(feature = "demo-tls")]
pub mod certificates;
#[cfg(feature = "demo-tls")]
pub mod connection;
pub mod figures;
mod screen;
mod script;
mod side;
mod tally;
#[cfg(test)]
mod tests;

pub use screen::{Picture, Screen};
pub use script::Script;
pub use side::Side;
pub use tally::{Sum, Tally, percentile};

//! What is wrong with a configuration: one error a mistake, each with its place and its remedy.

mod error;
mod render;
mod suggest;

pub use error::{Error, Errors};
pub(crate) use error::{MOST_ERRORS, Place, Spot};
pub(crate) use suggest::{listing, nearest};

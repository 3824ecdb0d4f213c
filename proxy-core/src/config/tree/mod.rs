//! The YAML of a file as a tree of values that know their places.
//!
//! `mask` and `build` make the tree from parser events, `interpolate` fills in the environment, `cursor` lets
//! serde read from it, `failure` is what serde says when a value does not fit. A part of the tree
//! that is wrong is pruned: serde then reads on as if it were not there, so that one run finds
//! every mistake.
//!
//! Invariant: a pruned part has been reported; nobody reports it, or its absence, again.

mod build;
mod cursor;
mod failure;
mod interpolate;
mod mask;
mod node;
mod scalar;
mod source;
mod text;

pub(crate) use scalar::is_plain_text;
pub(crate) use source::Source;

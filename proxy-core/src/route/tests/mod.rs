//! The table as a whole: a table of cases, and a slow obvious reference.

mod build;
mod cases;
mod properties;
mod support;

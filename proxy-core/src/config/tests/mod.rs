//! The configuration as an operator meets it: what is accepted, and what every mistake is told.

mod bad;
mod broken;
mod flags;
mod fuzz;
mod good;
mod inbound;
mod ingress;
mod report;
mod support;
mod units;

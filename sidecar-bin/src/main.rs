//! The sidecar: it stands before one workload, in the pod of that workload, and every call passes it.

mod demo;
mod drain;
mod ending;
mod proc;
mod role;

use std::process::ExitCode;

/// A request makes a few dozen small allocations: this allocator makes them several times cheaper than the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    proxy_cli::main(&role::ROLE)
}

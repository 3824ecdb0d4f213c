//! The ambassador: a workload calls `localhost`, the ambassador finds the service, picks an endpoint and retries what may be retried.

mod demo;
mod role;

use std::process::ExitCode;

/// A request makes a few dozen small allocations: this allocator makes them several times cheaper than the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    proxy_cli::main(&role::ROLE)
}

//! Work that takes much memory and keeps little of it, such as reading a configuration: on a thread of its own.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// How long the thread stays when its work is done. Allocators give back to the system what was freed a moment
/// later (mimalloc 10 ms, or 100 ms of large pieces), and only when the thread that it belongs to does something. A
/// process that serves may do nothing of the kind for hours; this thread does it as it ends.
const REST: Duration = Duration::from_secs(1);

/// Starts `work` on a thread of this name. The receiver gets what it returns; if it panics, nothing.
///
/// # Errors
/// No thread could be had.
pub fn aside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (sender, result) = oneshot::channel();
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(move || {
        // Whoever asked may be gone.
        let _ = sender.send(work());
        thread::sleep(REST);
    })?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_comes_and_a_panic_is_the_end_of_it() {
        let name = || thread::current().name().map(str::to_owned);
        let told = aside("load", name).unwrap().blocking_recv();
        assert_eq!(told.unwrap().as_deref(), Some("load"));
        let lost = aside("load", || -> u8 { std::panic::resume_unwind(Box::new(())) });
        assert!(lost.unwrap().blocking_recv().is_err());
    }
}

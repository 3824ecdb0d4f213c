//! Lets everything else that is ready on this thread go first, once.
//!
//! What can be read is read before anything is written, and then message after message is written. Who
//! is written to on the same machine is so woken for many messages at once: waking a process costs more than
//! writing to it, and a proxy beside its workload has most of its peers there. HAProxy's scheduler has the same effect.

use std::task::{Context, Poll};

/// Pending when first asked, and only then.
#[derive(Debug, Default)]
pub(super) struct GiveWay {
    given: bool,
}

impl GiveWay {
    /// Ready when the tasks that were ready have had their turn. The kernel is not asked for more meanwhile, as
    /// `yield_now` of tokio would, unless so many have had theirs that it is time.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.given, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[tokio::test]
    async fn all_read_before_one_writes() {
        let done = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..3)
            .map(|number| {
                let done = Arc::clone(&done);
                tokio::spawn(async move {
                    done.lock().push(("read", number));
                    let mut way = GiveWay::default();
                    poll_fn(|cx| way.poll(cx)).await;
                    done.lock().push(("written", number));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let reads = [("read", 0), ("read", 1), ("read", 2)];
        let writes = [("written", 0), ("written", 1), ("written", 2)];
        assert_eq!(*done.lock(), [reads, writes].concat());
    }
}

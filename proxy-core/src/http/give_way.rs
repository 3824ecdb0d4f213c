//! Lets everything else that is ready on this thread go first, once.
//!
//! What can be read is read before anything is written, and then message after message is written. Who
//! is written to on the same machine is so woken for many messages at once: waking a process costs more than
//! writing to it, and a proxy beside its workload has most of its peers there. HAProxy's scheduler has the same effect.

use std::task::{Context, Poll};

/// Pending when first asked.
#[derive(Debug, Default)]
pub(super) struct GiveWay {
    given: bool,
}

impl GiveWay {
    /// Ready when the tasks that were ready have had their turn. Nothing is asked of the kernel meanwhile.
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
    use std::cell::RefCell;
    use std::future::poll_fn;
    use std::rc::Rc;

    use tokio::task::LocalSet;

    use super::*;

    #[tokio::test]
    async fn all_read_before_one_writes() {
        let done = Rc::new(RefCell::new(Vec::new()));
        let local = LocalSet::new();
        for number in 0..3 {
            let done = Rc::clone(&done);
            local.spawn_local(async move {
                done.borrow_mut().push(("read", number));
                let mut way = GiveWay::default();
                poll_fn(|cx| way.poll(cx)).await;
                done.borrow_mut().push(("written", number));
            });
        }
        local.await;
        let reads = [("read", 0), ("read", 1), ("read", 2)];
        let writes = [("written", 0), ("written", 1), ("written", 2)];
        assert_eq!(*done.borrow(), [reads, writes].concat());
    }
}

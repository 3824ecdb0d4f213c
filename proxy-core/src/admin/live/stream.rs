//! The stream of server-sent events (HTML, section 9.2): one snapshot at once, and one each second.
//!
//! It is pulled by its reader: a snapshot is made only when the connection can take it, so that a
//! slow reader misses some and piles up none. The last one says that the process drains.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, unfold};
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::rates::History;
use super::snapshot;
use crate::admin::View;
use crate::lifecycle::Phase;

/// The most streams at once.
const STREAMS: usize = 16;

/// From one event to the next.
const EVERY: Duration = Duration::from_secs(1);

/// The body of a stream.
pub(in crate::admin) type Events = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// Places for those who watch: a stream takes one and gives it back when it ends or its reader goes.
#[derive(Debug, Clone)]
pub struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS)))
    }
}

/// The answer to `GET /live`, or why there is none.
pub(in crate::admin) fn watch(view: &Arc<View>) -> Result<Response<Events>, &'static str> {
    let phase = view.lifecycle.watch();
    if *phase.borrow() > Phase::Running {
        return Err("draining\n");
    }
    let place = Arc::clone(&view.places.0).try_acquire_owned();
    let place = place.map_err(|_| "too many watch already: 16 streams at once is the most\n")?;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watcher = Watcher {
        view: Arc::clone(view),
        history: History::default(),
        ticks,
        phase,
        is_last: false,
        _place: place,
    };
    let mut response = Response::new(StreamBody::new(unfold(watcher, Watcher::next).boxed()));
    let fields = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fields {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// Who watches.
struct Watcher {
    view: Arc<View>,
    history: History,
    ticks: Interval,
    phase: watch::Receiver<Phase>,
    is_last: bool,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Infallible>, Self)> {
        if self.is_last {
            return None;
        }
        let drains = tokio::select! {
            _ = self.ticks.tick() => false,
            _ = self.phase.wait_for(|phase| *phase > Phase::Running) => true,
        };
        self.is_last = drains;
        let snapshot = snapshot::take(&self.view, &mut self.history, Instant::now());
        let json = serde_json::to_string(&snapshot).ok()?;
        let event = Bytes::from(format!("data: {json}\n\n"));
        Some((Ok(Frame::data(event)), self))
    }
}

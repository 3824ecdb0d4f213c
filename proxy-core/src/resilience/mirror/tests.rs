//! What a copy gets, what it costs the request, and when there is none.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as HttpBody, Frame};
use http_body_util::{BodyExt, StreamBody};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tower::{Layer, Service, service_fn};

use super::tee::{Backlog, Teed, tee};
use super::{MirrorLayer, Params};
use crate::body::Body;
use crate::fault::{Fault, Reason};
use crate::telemetry::{EntryTelemetry, Exchange};

const PIECE: usize = 64 << 10;

type Frames = mpsc::UnboundedSender<Result<Frame<Bytes>, Fault>>;

/// A body whose frames come from the returned sender.
fn body() -> (Frames, Body) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let frames = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    (sender, Body::boxed(StreamBody::new(frames)))
}

fn piece(size: usize) -> Result<Frame<Bytes>, Fault> {
    Ok(Frame::data(Bytes::from(vec![7; size])))
}

fn teed(body: Body) -> (Teed, Arc<Backlog>) {
    let backlog = Arc::default();
    (tee(body, &backlog), backlog)
}

/// The next frame, as if nobody else ran: a turn that the copy is given passes unused.
async fn next(body: &mut Body) -> Option<Result<Frame<Bytes>, Fault>> {
    tokio::time::timeout(std::time::Duration::from_secs(10), body.frame())
        .await
        .expect("a frame")
}

/// Reads to the end; true where it is a good one.
async fn ends_well(body: &mut Body) -> bool {
    while let Some(frame) = next(body).await {
        if frame.is_err() {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn a_copy_gets_every_byte_and_the_trailers() {
    let (frames, body) = body();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    for part in ["hello ", "world"] {
        frames.send(Ok(Frame::data(Bytes::from(part)))).unwrap();
    }
    frames.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    drop(frames);
    let (teed, backlog) = teed(body);
    for body in [teed.body, teed.copy] {
        let whole = body.collect().await.unwrap();
        assert_eq!(whole.trailers(), Some(&trailers));
        assert_eq!(whole.to_bytes(), "hello world");
    }
    assert_eq!(backlog.held(), 0);
    assert!(teed.cut.happens().now_or_never().is_none());
}

#[tokio::test]
async fn a_length_that_is_known_is_known_of_the_copy() {
    let (mut teed, _) = teed(Body::full("hello"));
    assert_eq!(teed.copy.size_hint().exact(), Some(5));
    assert!(!teed.copy.is_end_stream());
    assert!(ends_well(&mut teed.body).await);
    next(&mut teed.copy).await.unwrap().unwrap();
    assert_eq!(teed.copy.size_hint().exact(), Some(0));
    // What is over with its last frame need not be asked again.
    assert!(teed.copy.is_end_stream());
}

#[tokio::test]
async fn nothing_is_read_before_the_request_reads_it() {
    let (frames, body) = body();
    frames.send(piece(1)).unwrap();
    let (mut teed, _) = teed(body);
    assert!(teed.copy.frame().now_or_never().is_none());
    next(&mut teed.body).await.unwrap().unwrap();
    assert!(teed.copy.frame().now_or_never().is_some());
}

#[tokio::test]
async fn a_copy_that_is_not_read_is_cut_and_the_request_goes_on() {
    let (frames, body) = body();
    let (mut teed, backlog) = teed(body);
    let mut most = 0;
    for _ in 0..100 {
        frames.send(piece(PIECE)).unwrap();
        next(&mut teed.body).await.unwrap().unwrap();
        most = most.max(backlog.held());
    }
    drop(frames);
    assert!(ends_well(&mut teed.body).await);
    assert!(most > PIECE && most <= 2 << 20, "{most}");
    assert_eq!(backlog.held(), 0, "what was given up holds nothing");
    assert!(!teed.copy.is_end_stream());
    let fault = next(&mut teed.copy).await.unwrap().unwrap_err();
    assert_eq!(fault.reason(), Reason::RequestError);
    assert!(teed.cut.happens().now_or_never().is_some());
}

#[tokio::test]
async fn all_copies_together_hold_no_more_than_their_backlog() {
    let backlog = Arc::new(Backlog::default());
    let mut all = Vec::new();
    for _ in 0..40 {
        let (frames, body) = body();
        frames.send(piece(900 << 10)).unwrap();
        let mut teed = tee(body, &backlog);
        next(&mut teed.body).await.unwrap().unwrap();
        assert!(backlog.held() <= 16 << 20);
        all.push((frames, teed));
    }
    let cut = all.iter_mut().map(|(_, teed)| {
        let first = next(&mut teed.copy).now_or_never().flatten();
        first.is_none_or(|frame| frame.is_err())
    });
    let cut = cut.filter(|cut| *cut).count();
    assert!((20..25).contains(&cut), "{cut}");
    drop(all);
    assert_eq!(backlog.held(), 0);
}

#[tokio::test]
async fn what_the_copys_connection_holds_counts_until_it_is_gone() {
    let (mut teed, backlog) = teed(Body::full(vec![7; PIECE]));
    next(&mut teed.body).await.unwrap().unwrap();
    let taken = next(&mut teed.copy).await.unwrap().unwrap();
    drop(teed.copy);
    assert!(backlog.held() >= PIECE);
    drop(taken);
    assert_eq!(backlog.held(), 0);
}

#[tokio::test]
async fn a_request_that_is_cut_or_dropped_cuts_its_copy() {
    for fails in [true, false] {
        let (frames, body) = body();
        frames.send(piece(1)).unwrap();
        let (mut teed, _) = teed(body);
        next(&mut teed.body).await.unwrap().unwrap();
        if fails {
            let fault = Fault::maybe_seen(Reason::RequestError, "gone");
            frames.send(Err(fault)).unwrap();
            assert!(next(&mut teed.body).await.unwrap().is_err());
        }
        drop(teed.body);
        assert!(!ends_well(&mut teed.copy).await);
        assert!(teed.cut.happens().now_or_never().is_some());
    }
}

#[tokio::test]
async fn a_copy_that_nobody_wants_costs_nothing_and_is_not_cut() {
    let (frames, body) = body();
    let (mut teed, backlog) = teed(body);
    drop(teed.copy);
    for _ in 0..3 {
        frames.send(piece(PIECE)).unwrap();
        next(&mut teed.body).await.unwrap().unwrap();
        assert_eq!(backlog.held(), 0);
    }
    drop(teed.body);
    // Its answer may still be read.
    assert!(teed.cut.happens().now_or_never().is_none());
}

#[tokio::test]
async fn a_copy_that_is_behind_gets_a_turn() {
    let (frames, body) = body();
    let (mut teed, _) = teed(body);
    for _ in 0..50 {
        frames.send(piece(PIECE)).unwrap();
    }
    drop(frames);
    // The request always finds more to read; the copy lives on the same thread.
    let copy = tokio::spawn(async move { ends_well(&mut teed.copy).await });
    let mut read = 0;
    std::future::poll_fn(|cx| poll_all(&mut teed.body, cx, &mut read)).await;
    assert_eq!(read, 50 * PIECE);
    assert!(copy.await.unwrap());
}

/// Reads on for as long as there is something to read.
fn poll_all(body: &mut Body, cx: &mut Context<'_>, read: &mut usize) -> Poll<()> {
    loop {
        match std::task::ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(frame) => *read += frame.unwrap().data_ref().map_or(0, Bytes::len),
            None => return Poll::Ready(()),
        }
    }
}

type Seen = Arc<Mutex<Vec<Request<Body>>>>;

/// A mirrored service: what it got, and what its mirror got.
struct Mirrored {
    service: Box<dyn FnMut(Request<Body>)>,
    own: Seen,
    copies: Seen,
}

fn mirrored(share: f64) -> Mirrored {
    let (own, copies) = (Seen::default(), Seen::default());
    let keep = |seen: &Seen| {
        let seen = Arc::clone(seen);
        service_fn(move |request: Request<Body>| {
            seen.lock().push(request);
            async { Ok::<_, Infallible>(Response::new(Body::empty())) }
        })
    };
    let layer = MirrorLayer::new(Params { share }, keep(&copies), Arc::default());
    let mut service = layer.layer(keep(&own));
    Mirrored {
        service: Box::new(move |request| drop(service.call(request))),
        own,
        copies,
    }
}

impl Mirrored {
    async fn call(&mut self, request: Request<Body>) {
        (self.service)(request);
        // The copy is a task of its own.
        tokio::task::yield_now().await;
    }
}

fn with(name: &'static str, value: &'static str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    let value = HeaderValue::from_static(value);
    request.headers_mut().insert(name, value);
    request
}

#[tokio::test]
async fn a_copy_is_the_request_with_a_mark_and_an_exchange_of_its_own() {
    let mut mirrored = mirrored(1.0);
    let telemetry = EntryTelemetry::new("users", 1);
    let exchange = Exchange::begin(Arc::clone(telemetry.worker(0)), None);
    let mut request = with("expect", "100-continue");
    *request.uri_mut() = "/a?b".parse().unwrap();
    request.extensions_mut().insert(exchange);
    request.extensions_mut().insert(7_u8);
    mirrored.call(request).await;
    let (own, copies) = (mirrored.own.lock(), mirrored.copies.lock());
    assert_eq!(own[0].headers().len(), 1);
    assert!(own[0].extensions().get::<Exchange>().is_some());
    let copy = &copies[0];
    assert_eq!(copy.uri(), own[0].uri());
    assert_eq!(copy.headers().len(), 1);
    assert_eq!(copy.headers()["x-remora-mirrored"], "1");
    assert!(copy.extensions().get::<Exchange>().is_none());
    assert_eq!(copy.extensions().get::<u8>(), Some(&7));
}

#[tokio::test]
async fn upgrades_and_copies_are_not_copied() {
    let mut mirrored = mirrored(1.0);
    for name in ["upgrade", "x-remora-mirrored"] {
        mirrored.call(with(name, "1")).await;
    }
    assert_eq!(mirrored.own.lock().len(), 2);
    assert!(mirrored.copies.lock().is_empty());
}

#[tokio::test]
async fn a_share_is_copied() {
    for (share, wanted) in [(0.0, 0..1), (0.3, 200..400), (1.0, 1000..1001)] {
        let mut mirrored = mirrored(share);
        for _ in 0..1000 {
            mirrored.call(Request::new(Body::empty())).await;
        }
        let count = mirrored.copies.lock().len();
        assert!(wanted.contains(&count), "{count} of {share}");
    }
}

#[test]
fn without_a_runtime_there_is_no_copy() {
    let mut mirrored = mirrored(1.0);
    (mirrored.service)(Request::new(Body::empty()));
    assert_eq!(mirrored.own.lock().len(), 1);
}

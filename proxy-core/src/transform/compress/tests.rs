//! What is compressed and what is not, and that a stream is neither delayed nor completed by mistake.

use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue, VARY};
use http::{Method, Request, Response};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio_test::{assert_pending, task};
use tower::{Layer, ServiceExt, service_fn};

use super::{Coding, CompressLayer, Error, Params};
use crate::body::{Body, Streamed};
use crate::fault::{Fault, Reason};

const ALL: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];

type Item = Result<Frame<Bytes>, Fault>;

/// A body whose frames a test sends, and which counts how often its request was gone on with.
struct Channel {
    frames: mpsc::UnboundedReceiver<Item>,
    requests: mpsc::UnboundedSender<()>,
}

impl HttpBody for Channel {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.frames.poll_recv(cx)
    }
}

impl Streamed for Channel {
    fn poll_request(self: Pin<&mut Self>, _: &mut Context<'_>) {
        let _ = self.requests.send(());
    }
}

/// Lines as they are sent: the request has `> `, the response `< `.
async fn answer(lines: &[&'static str], method: Method, body: Body) -> Response<Body> {
    let fields = |side: &str| -> HeaderMap {
        let lines = lines.iter().filter_map(|line| line.strip_prefix(side));
        let pair = |line: &'static str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse().unwrap(), HeaderValue::from_static(value))
        };
        lines.map(pair).collect()
    };
    let mut response = Response::new(body);
    *response.headers_mut() = fields("< ");
    if let Some(status) = response.headers_mut().remove("status") {
        *response.status_mut() = status.to_str().unwrap().parse().unwrap();
    }
    let mut request = Request::new(Body::empty());
    *request.headers_mut() = fields("> ");
    *request.method_mut() = method;
    let mut response = Some(response);
    let service = service_fn(move |_: Request<Body>| {
        let response = response.take().unwrap();
        async move { Ok::<_, Fault>(response) }
    });
    let layer = CompressLayer::new(Params::default()).unwrap();
    layer.layer(service).oneshot(request).await.unwrap()
}

fn accepting(coding: Coding) -> &'static str {
    match coding {
        Coding::Gzip => "> accept-encoding: gzip",
        Coding::Brotli => "> accept-encoding: br",
        Coding::Zstd => "> accept-encoding: zstd",
    }
}

/// As much of a stream as can be read, and whether its end was.
fn decoded(coding: Coding, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut reader: Box<dyn Read + '_> = match coding {
        Coding::Gzip => Box::new(flate2::read::GzDecoder::new(bytes)),
        Coding::Brotli => Box::new(brotli::Decompressor::new(bytes, 4096)),
        Coding::Zstd => Box::new(zstd::Decoder::new(bytes).unwrap()),
    };
    let (mut text, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return (text, true),
            Ok(read) => text.extend_from_slice(&buffer[..read]),
            Err(_) => return (text, false),
        }
    }
}

#[tokio::test]
async fn a_body_is_compressed_and_its_head_says_so() {
    let text = "a line that is repeated\n".repeat(50_000);
    for coding in ALL {
        let lines = [
            accepting(coding),
            "< content-type: text/plain; charset=utf-8",
            "< content-length: 1200000",
            "< accept-ranges: bytes",
            "< etag: \"1\"",
            "< x-other: 1",
        ];
        let response = answer(&lines, Method::GET, Body::full(text.clone())).await;
        let headers = response.headers();
        assert_eq!(headers[CONTENT_ENCODING], coding.token());
        assert_eq!(headers[ETAG], "W/\"1\"");
        assert_eq!(headers[VARY], "accept-encoding");
        assert_eq!(headers.len(), 5, "{headers:?}");
        assert_eq!(response.body().size_hint().exact(), None);
        let read = response.into_body().collect().await.unwrap().to_bytes();
        assert!(read.len() < text.len() / 20, "{}", read.len());
        assert_eq!(decoded(coding, &read), (text.clone().into_bytes(), true));
    }
}

#[tokio::test]
async fn what_does_not_fit_stays_as_it_is() {
    let gzip = "> accept-encoding: gzip";
    let text = "< content-type: text/html";
    for (lines, compressed, varies) in [
        (&[gzip, text][..], true, true),
        (&[text], false, true),
        (&["> accept-encoding: gzip;q=0", text], false, true),
        (&["> accept-encoding: identity;q=0", text], false, true),
        (&[gzip, "< content-type: TEXT/HTML ;charset=x"], true, true),
        (
            &[gzip, "< content-type: application/problem+json"],
            true,
            true,
        ),
        (&[gzip, "< content-type: image/svg+xml"], true, true),
        (&[gzip, "< content-type: text/event-stream"], true, true),
        (&[gzip, "< content-type: image/png"], false, false),
        (&[gzip, "< content-type: application/grpc"], false, false),
        (
            &[gzip, "< content-type: application/octet-stream"],
            false,
            false,
        ),
        (&[gzip], false, false),
        (&[gzip, text, "< status: 500"], true, true),
        (&[gzip, text, "< status: 206"], false, false),
        (&[gzip, text, "< status: 304"], false, false),
        (&[gzip, text, "< status: 204"], false, false),
        (&[gzip, text, "< content-range: bytes 0-1/2"], false, false),
        (&[gzip, text, "< content-encoding: br"], false, false),
        (&[gzip, text, "< content-encoding: identity"], false, false),
        (
            &[gzip, text, "< cache-control: public, No-Transform"],
            false,
            false,
        ),
        (&[gzip, text, "< cache-control: public"], true, true),
        (&[gzip, text, "> cache-control: no-transform"], false, true),
        (&[gzip, text, "< repr-digest: sha-256=:x:"], false, false),
        (&[gzip, text, "< content-md5: x"], false, false),
    ] {
        let before = "x".repeat(1024);
        let response = answer(lines, Method::GET, Body::full(before.clone())).await;
        let encoding = response.headers().get(CONTENT_ENCODING);
        let ours = encoding.is_some_and(|coding| coding == "gzip");
        assert_eq!(ours, compressed, "{lines:?}");
        assert_eq!(response.headers().contains_key(VARY), varies, "{lines:?}");
        let read = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(read == before, !compressed, "{lines:?}");
    }
}

#[tokio::test]
async fn method_and_size_count() {
    let gzip = "> accept-encoding: gzip";
    let text = "< content-type: text/html";
    for (method, size, compressed) in [
        (Method::HEAD, 1024, false),
        (Method::POST, 1024, true),
        (Method::GET, 1023, false),
        (Method::GET, 0, false),
    ] {
        let response = answer(&[gzip, text], method, Body::full(vec![b'x'; size])).await;
        assert_eq!(
            response.headers().contains_key(CONTENT_ENCODING),
            compressed
        );
    }
}

#[tokio::test]
async fn a_stream_is_not_delayed() {
    for coding in ALL {
        let (send, frames) = mpsc::unbounded_channel();
        let (requests, mut asked) = mpsc::unbounded_channel();
        let lines = [accepting(coding), "< content-type: text/event-stream"];
        let body = Body::streamed(Channel { frames, requests });
        let mut body = answer(&lines, Method::GET, body).await.into_body();
        let (mut sent, mut wire) = (Vec::new(), Vec::new());
        for n in 0..20 {
            let event = format!("data: {n}\n\n");
            sent.extend_from_slice(event.as_bytes());
            send.send(Ok(Frame::data(event.into()))).unwrap();
            let frame = task::spawn(body.frame()).await.unwrap().unwrap();
            wire.extend_from_slice(&frame.into_data().unwrap());
            assert_eq!(decoded(coding, &wire), (sent.clone(), false), "{coding:?}");
            assert_pending!(task::spawn(body.frame()).poll());
        }
        // The request of a response that is still on its way is not forgotten.
        task::spawn(()).enter(|cx, _| body.poll_request(cx));
        asked.try_recv().unwrap();

        let mut trailers = HeaderMap::new();
        trailers.insert("x-end", HeaderValue::from_static("1"));
        send.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
        drop(send);
        let rest = body.collect().await.unwrap();
        assert_eq!(rest.trailers(), Some(&trailers));
        wire.extend_from_slice(&rest.to_bytes());
        assert_eq!(decoded(coding, &wire), (sent, true));
    }
}

#[tokio::test]
async fn a_cut_body_never_looks_complete() {
    for coding in ALL {
        let (send, frames) = mpsc::unbounded_channel();
        let (requests, _asked) = mpsc::unbounded_channel();
        let lines = [accepting(coding), "< content-type: text/html"];
        let body = Body::streamed(Channel { frames, requests });
        let mut body = answer(&lines, Method::GET, body).await.into_body();
        let cut = Fault::maybe_seen(Reason::ResponseIncomplete, "cut");
        send.send(Ok(Frame::data("begun".into()))).unwrap();
        send.send(Err(cut)).unwrap();
        let fault = body.frame().await.unwrap().unwrap_err();
        assert_eq!(fault.reason(), Reason::ResponseIncomplete);
        // Whoever asks again gets nothing that could end the stream.
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test]
async fn what_hardly_leaves_a_byte_is_handed_on_all_the_same() {
    for coding in ALL {
        let (send, frames) = mpsc::unbounded_channel();
        let (requests, _asked) = mpsc::unbounded_channel();
        let lines = [accepting(coding), "< content-type: text/html"];
        let body = Body::streamed(Channel { frames, requests });
        let mut body = answer(&lines, Method::GET, body).await.into_body();
        for _ in 0..64 {
            send.send(Ok(Frame::data(Bytes::from(vec![0; 16 * 1024]))))
                .unwrap();
        }
        drop(send);
        let mut chunks = 0;
        while let Some(frame) = body.frame().await {
            assert!(!frame.unwrap().into_data().unwrap().is_empty());
            chunks += 1;
        }
        assert_eq!(chunks, 5, "{coding:?}: one for each 256 KiB, and the end");
    }
}

#[test]
fn what_could_compress_nothing_is_refused() {
    let with = |codings: &[Coding], kind: &str| {
        CompressLayer::new(Params {
            codings: codings.to_vec(),
            types: vec![kind.to_owned()],
            ..Params::default()
        })
        .map(drop)
    };
    assert_eq!(with(&[], "text/*"), Err(Error::NoCoding));
    for wrong in [
        "",
        "text",
        "*/*",
        "*",
        "*+",
        "/x",
        "text/",
        "text/html; charset=x",
        "te xt/a",
    ] {
        assert_eq!(with(&ALL, wrong), Err(Error::Type(wrong.to_owned())));
    }
    let request = Request::builder().header(ACCEPT_ENCODING, "gzip").body(());
    assert_eq!(
        super::accept::choose(request.unwrap().headers(), &ALL),
        Some(Coding::Gzip)
    );
}

//! The admin interface's HTTP server.

use std::convert::Infallible;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HOST, HeaderValue, ORIGIN};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::live;
use super::view::{Asked, View};
use crate::net::Acceptor;

/// How long a client may take to send its request's head.
const HEAD: Duration = Duration::from_secs(10);

/// How long a client may take nothing of what waits for it before its connection is given up.
const UNREAD: Duration = Duration::from_secs(30);

/// The most of an answer that is kept for a client that does not read it, here and, doubled, in the kernel.
const KEPT: usize = 64 * 1024;

const TEXT: &str = "text/plain; charset=utf-8";

/// Serves the admin interface until dropped.
pub async fn serve(listener: TcpListener, view: Arc<View>) {
    let acceptor = match Acceptor::new(listener) {
        Ok(acceptor) => acceptor,
        Err(error) => {
            return tracing::error!(%error, "the admin interface cannot accept connections");
        }
    };
    loop {
        let (stream, _) = acceptor.accept().await;
        bound(&stream);
        let is_local = stream.local_addr().is_ok_and(|own| own.ip().is_loopback());
        let view = Arc::clone(&view);
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let view = Arc::clone(&view);
                async move {
                    if is_local && !is_called_by_address(&request) {
                        return Ok(
                            text(StatusCode::MISDIRECTED_REQUEST, MISDIRECTED).map(Either::Left)
                        );
                    }
                    Ok::<_, Infallible>(watch_or_answer(&request, &view).await)
                }
            });
            let mut settings = http1::Builder::new();
            settings.timer(TokioTimer::new()).header_read_timeout(HEAD);
            settings.max_buf_size(KEPT);
            if let Err(error) = settings
                .serve_connection(TokioIo::new(stream), answer)
                .await
            {
                tracing::debug!(%error, "admin connection ended");
            }
        });
    }
}

/// Bounds what a client that does not read can hold, and for how long.
fn bound(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let _ = socket.set_send_buffer_size(KEPT);
    let _ = socket.set_tcp_user_timeout(Some(UNREAD));
}

/// The stream of the live page, or an answer that is whole at once.
async fn watch_or_answer(
    request: &Request<Incoming>,
    view: &Arc<View>,
) -> Response<Either<Full<Bytes>, live::Events>> {
    if request.uri().path() == "/live" && request.method() == Method::GET {
        return match live::watch(view) {
            Ok(stream) => stream.map(Either::Right),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, why).map(Either::Left),
        };
    }
    answer(request, view).await.map(Either::Left)
}

async fn answer(request: &Request<Incoming>, view: &View) -> Response<Full<Bytes>> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let acts = *request.method() == Method::POST;
    if acts && !is_own(request) {
        let why = "a page of another origin asks for this; only the interface's own page may\n";
        return text(StatusCode::FORBIDDEN, why);
    }
    match request.uri().path() {
        "/" if reads => live::page(),
        "/livez" if reads => text(StatusCode::OK, "ok\n"),
        "/readyz" if reads => ready(view),
        "/metrics" if reads => match super::exposition(view) {
            Ok(metrics) => respond(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                metrics,
            ),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        "/config" if reads => respond(
            StatusCode::OK,
            "application/yaml",
            view.config.load().as_bytes().to_vec(),
        ),
        "/reload" if acts => reload(view).await,
        "/drain" if acts => {
            let _ = view.asked.send(Asked::Drain);
            text(StatusCode::ACCEPTED, "draining\n")
        }
        "/live" => wrong_method("GET"),
        "/" | "/livez" | "/readyz" | "/metrics" | "/config" => wrong_method("GET, HEAD"),
        "/reload" | "/drain" => wrong_method("POST"),
        _ => text(StatusCode::NOT_FOUND, INDEX),
    }
}

/// Whether no other web page makes a browser ask this: browsers say where a POST comes from (Fetch,
/// "append a request `Origin` header"), and what else asks says nothing.
fn is_own(request: &Request<Incoming>) -> bool {
    let Some(origin) = request.headers().get(ORIGIN) else {
        return true;
    };
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    is_called_by_address(request) && origin.is_some_and(|(_, origin)| Some(origin) == host(request))
}

/// Whether the interface is called by its address or `localhost`: a name may be made to lead here by
/// whoever owns it (DNS rebinding), an address may not.
fn is_called_by_address(request: &Request<Incoming>) -> bool {
    let Some(host) = host(request) else {
        // A browser always says it.
        return !request.headers().contains_key(HOST);
    };
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let bare = authority.host().trim_end_matches('.');
    let address = bare.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

fn host(request: &Request<Incoming>) -> Option<&str> {
    let host = request.headers().get(HOST)?;
    host.to_str().ok()
}

const MISDIRECTED: &str = "this address of the machine itself is called by a foreign name; use localhost or the address\n";

const INDEX: &str = "GET / /live /livez /readyz /metrics /config, POST /reload /drain\n";

fn ready(view: &View) -> Response<Full<Bytes>> {
    let waiting = view.unready();
    if waiting.is_empty() {
        return text(StatusCode::OK, "ready\n");
    }
    text(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("not ready: {}\n", waiting.join(", ")),
    )
}

async fn reload(view: &View) -> Response<Full<Bytes>> {
    let (answer, answered) = oneshot::channel();
    let _ = view.asked.send(Asked::Reload(answer));
    match answered.await {
        Ok(Ok(())) => text(StatusCode::OK, "reloaded\n"),
        Ok(Err(errors)) => {
            let errors = format!("{}\n", errors.trim_end());
            text(StatusCode::UNPROCESSABLE_ENTITY, errors)
        }
        Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the process is ending\n"),
    }
}

fn wrong_method(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, format!("use {allowed}\n"));
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn text(status: StatusCode, body: impl Into<String>) -> Response<Full<Bytes>> {
    respond(status, TEXT, body.into().into_bytes())
}

fn respond(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

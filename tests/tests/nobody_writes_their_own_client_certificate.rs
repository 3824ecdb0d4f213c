//! What a workload is told in `Client-Cert` and `Client-Cert-Chain` (RFC 9440) is what a handshake has proved, however
//! a caller writes those fields itself: in any case, repeatedly, with `_` for `-`, named in `Connection`, or in trailers.

use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use remora_tests::certificates::{Authority, Pair, Validity};
use remora_tests::client::{Body, Connection, Protocol, channel, full, get};
use remora_tests::config::Config;
use remora_tests::origin::Origin;
use remora_tests::promise::promise;
use remora_tests::proxy::Proxy;
use remora_tests::tls::{Caller, connect, entry, exchange, fetch, issued};
use remora_tests::wire::Wire;

/// A certificate that nobody has, as a byte sequence (RFC 8941, 3.3.5).
const MADE_UP: &str = ":bWFkZSB1cA==:";

/// The names under which a workload could take a field for one of the two.
const NAMES: [&str; 8] = [
    "Client-Cert",
    "client-cert",
    "CLIENT-CERT",
    "Client-Cert-Chain",
    "client-CERT-chain",
    "Client_Cert",
    "CLIENT_CERT_CHAIN",
    "client-cert_chain",
];

/// The workload: it answers with all that it might take for one of the fields, header and trailers, a line each.
async fn tell(request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let trailers = body.collect().await.expect("a whole body");
    let none = HeaderMap::new();
    let trailers = trailers.trailers().unwrap_or(&none);
    let mut lines = String::new();
    for (place, fields) in [("header", &head.headers), ("trailers", trailers)] {
        for (name, value) in fields {
            if name.as_str().replace('_', "-").starts_with("client-cert") {
                lines += &format!("{place} {name}: {}\n", value.to_str().expect("ASCII"));
            }
        }
    }
    Response::new(full(lines))
}

/// A request over HTTP/1.1 that tries everything, and is the last one of its connection.
fn everything() -> String {
    let spoofed = NAMES.map(|name| format!("{name}: {MADE_UP}\r\n")).concat();
    let named = "Connection: client-cert, client-cert-chain, close, te\r\nTE: trailers\r\n";
    let declared = "Trailer: client-cert, x-sum\r\nTransfer-Encoding: chunked\r\n";
    format!(
        "POST / HTTP/1.1\r\nHost: web.test\r\n{spoofed}{named}{declared}{spoofed}\r\n\
         4\r\nbody\r\n0\r\nX-Sum: 1\r\n{spoofed}{spoofed}\r\n"
    )
}

/// The same over HTTP/2.
fn multiplexed() -> Request<Body> {
    let (sender, body) = channel();
    let spoofed = || {
        let mut fields = HeaderMap::new();
        for name in NAMES.iter().chain(&NAMES) {
            let name = HeaderName::try_from(*name).expect("a name");
            fields.append(name, HeaderValue::from_static(MADE_UP));
        }
        fields
    };
    let mut request = Request::post("/").body(body).expect("a request");
    *request.headers_mut() = spoofed();
    let te = HeaderValue::from_static("trailers");
    request.headers_mut().insert("te", te);
    tokio::spawn(async move {
        let _ = sender.send(Ok(Frame::data("body".into()))).await;
        let _ = sender.send(Ok(Frame::trailers(spoofed()))).await;
    });
    request
}

/// What a workload is to be told of this certificate.
fn proved(own: Option<&Pair>) -> String {
    own.map_or(String::new(), |pair| {
        let base64: String = pair
            .cert
            .lines()
            .filter(|line| !line.contains("--"))
            .collect();
        format!("header client-cert: :{base64}:\n")
    })
}

/// What is told over HTTP/1.1, and over HTTP/2.
async fn told(sidecar: &Proxy, caller: &Caller<'_>) -> [String; 2] {
    let mut stream = connect(sidecar.address(), &caller.config())
        .await
        .expect("TLS");
    let answer = exchange(&mut stream, &everything())
        .await
        .expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    let multiplying = Caller {
        alpn: &["h2"],
        ..*caller
    };
    let reply = fetch(sidecar.address(), &multiplying, multiplexed()).await;
    let (status, text) = reply.expect("an answer");
    assert_eq!(status, 200);
    [body.to_owned(), text]
}

fn lines(scheme: &str, origin: &Origin, folder: &Path, more: &str) -> String {
    entry(&format!("{scheme}://{}", origin.address()), folder, more)
}

#[test]
fn inside_tls() {
    promise(async {
        let (authority, folder) = issued();
        let origin = Origin::start(tell);
        let pair = authority.issue(&["ann"], Validity::Now);
        let clients = format!(", client-ca: {}/clients.pem", folder.path().display());
        let optional = format!("{clients}, client: optional");
        for scheme in ["http", "h2c"] {
            for (more, own) in [
                ("", None),
                ("", Some(&pair)),
                (&*optional, None),
                (&*optional, Some(&pair)),
                (&*clients, Some(&pair)),
            ] {
                let settings = lines(scheme, &origin, folder.path(), more);
                let sidecar = Proxy::start(&Config::of_sidecar(&settings)).await;
                let caller = Caller {
                    own,
                    ..Caller::trusting(&authority)
                };
                // Who is not asked for a certificate shows none.
                let expected = proved(own.filter(|_| !more.is_empty()));
                for told in told(&sidecar, &caller).await {
                    assert_eq!(told, expected, "{scheme}{more}");
                }
            }
        }
    });
}

#[test]
fn without_tls_nor_where_nothing_else_is_told_of_callers() {
    promise(async {
        let origin = Origin::start(tell);
        for settings in ["", "forwarded: off", "forwarded: {trust: [127.0.0.0/8]}"] {
            let config = format!("to: http://{}\n{settings}", origin.address());
            let sidecar = Proxy::start(&Config::of_sidecar(&config)).await;
            let mut wire = Wire::connect(sidecar.address()).await;
            wire.send(everything()).await.expect("sent");
            let (answer, _) = wire.rest().await;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert!(answer.ends_with("\r\n\r\n"), "{answer}");
            let mut connection = Connection::open(sidecar.address(), Protocol::Http2)
                .await
                .expect("open");
            let reply = connection.fetch(multiplexed()).await.expect("an answer");
            assert_eq!(reply.text(), "");
        }
    });
}

#[test]
fn with_a_chain_it_is_that_of_the_handshake() {
    promise(async {
        let (authority, folder) = issued();
        let origin = Origin::start(tell);
        let more = format!(", client-ca: {}/clients.pem", folder.path().display());
        let settings = lines("http", &origin, folder.path(), &more);
        let sidecar = Proxy::start(&Config::of_sidecar(&settings)).await;
        let mut pair = authority.issue(&["ann"], Validity::Now);
        let leaf = proved(Some(&pair));
        // A certificate too many is sent along, as many servers do with that of the authority.
        pair.cert += &authority.pem();
        let of_authority = Pair {
            cert: authority.pem(),
            key: String::new(),
        };
        let chain = proved(Some(&of_authority)).replace("client-cert", "client-cert-chain");
        let own = Some(&pair);
        let caller = Caller {
            own,
            ..Caller::trusting(&authority)
        };
        for told in told(&sidecar, &caller).await {
            assert_eq!(told, format!("{leaf}{chain}"));
        }
    });
}

#[test]
fn the_next_request_of_a_connection_is_told_anew() {
    promise(async {
        let (authority, folder) = issued();
        let origin = Origin::start(tell);
        let other = Authority::new("another's");
        let more = format!(", client-ca: {}/clients.pem", folder.path().display());
        let settings = lines("http", &origin, folder.path(), &more);
        let sidecar = Proxy::start(&Config::of_sidecar(&settings)).await;
        let pair = authority.issue(&["ann"], Validity::Now);
        let foreign = other.issue(&["eve"], Validity::Now);
        let own = Some(&pair);
        let caller = Caller {
            own,
            ..Caller::trusting(&authority)
        };
        let mut stream = connect(sidecar.address(), &caller.config())
            .await
            .expect("TLS");
        let spoofed = proved(Some(&foreign)).replace("header ", "");
        let spoofed = spoofed.trim_end();
        let pipelined = ["keep-alive", "close"].map(|connection| {
            format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: {connection}\r\n{spoofed}\r\n\r\n")
        });
        let answers = exchange(&mut stream, &pipelined.concat())
            .await
            .expect("answers");
        let expected = proved(own);
        assert_eq!(answers.matches(&*expected).count(), 2, "{answers}");
        assert_eq!(answers.matches("client-cert").count(), 2, "{answers}");
        // Who shows nothing on a connection of its own is nobody, whoever else has just been there.
        let refused = fetch(sidecar.address(), &Caller::trusting(&authority), get("/")).await;
        assert!(refused.is_err());
        assert_eq!(origin.count(), 2);
    });
}

//! A source of endpoints of the reader's own: endpoints come and go, and requests follow.
//!
//! Run it with `cargo run -p proxy-core --example custom_discovery`. A source is a
//! `watch::Receiver<Resolution>`, wherever its contents come from: a registry, a database, a
//! channel. Here it is this program, which starts replicas and ends them.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use http::uri::Authority;
use http::{Request, Response};
use http_body_util::BodyExt;
use proxy_core::balance::{Balance, Endpoint, EndpointSet, Feed, Policy, feed};
use proxy_core::body::Body;
use proxy_core::discovery::{Found, Resolution};
use proxy_core::fault::Fault;
use proxy_core::http::{Client, ClientParams};
use proxy_core::telemetry::EntryCounters;
use proxy_core::tls::Reach;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::{Service, ServiceExt};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    // The source. Whoever holds the sender says which endpoints there are.
    let (registry, resolution) = watch::channel(Resolution::default());
    let announce = |found: Vec<Found>| {
        registry.send_modify(|known| known.accept("the registry", found, None));
    };

    // The set follows the source until this task is aborted.
    let set = Arc::new(EndpointSet::new(None));
    let authority = Authority::from_static("users");
    tokio::spawn(feed(
        Arc::clone(&set),
        vec![Feed::new(resolution, authority)],
    ));

    // A service for the whole set: it picks an endpoint for each request, and makes a client with
    // connections of its own for each endpoint.
    let counters = Arc::new(EntryCounters::default());
    let client = move |endpoint: &Arc<Endpoint>| {
        let authority = endpoint.authority();
        Client::new(
            Reach::new(endpoint.address(), authority.host(), None),
            authority,
            endpoint.host(),
            ClientParams::default(),
            Arc::clone(&counters),
        )
    };
    let users = Balance::new(Arc::clone(&set), Policy::RoundRobin, client);

    let (one, two) = (replica("one").await?, replica("two").await?);
    announce(vec![one.into()]);
    println!("one is there: {}", ask(&users, 6).await?);

    // A source may give weights, and tiers that wait until no endpoint before them can serve.
    let heavier = Found {
        weight: 2,
        ..Found::from(two)
    };
    change(&set, || announce(vec![one.into(), heavier])).await;
    println!("two has come: {}", ask(&users, 6).await?);

    change(&set, || announce(vec![two.into()])).await;
    println!("one has gone: {}", ask(&users, 6).await?);

    // The last good set is better than none: a source never empties it.
    announce(Vec::new());
    println!("none is told: {}", ask(&users, 6).await?);
    let known = registry.borrow();
    println!(
        "stale: {}, {} endpoint",
        known.is_stale(),
        known.found.len()
    );
    Ok(())
}

/// Makes a change and waits until the set has followed.
async fn change(set: &EndpointSet, make: impl FnOnce()) {
    let before = set.version();
    make();
    while set.version() == before {
        tokio::task::yield_now().await;
    }
}

/// Sends requests, each from a task of its own, and tells how often each replica answered.
async fn ask<S>(users: &S, requests: usize) -> Result<String, Box<dyn Error>>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault, Future: Send>
        + Clone
        + Send
        + 'static,
{
    let mut answers = BTreeMap::new();
    for _ in 0..requests {
        let request = Request::new(Body::empty());
        let response = tokio::spawn(users.clone().oneshot(request)).await??;
        let name = response.into_body().collect().await?.to_bytes();
        *answers.entry(name).or_insert(0) += 1;
    }
    let each = answers
        .iter()
        .map(|(name, count)| format!("{} {count}", String::from_utf8_lossy(name)));
    Ok(each.collect::<Vec<_>>().join(", "))
}

/// A replica that answers every request with its name.
async fn replica(name: &'static str) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection, name));
        }
    });
    Ok(address)
}

async fn answer(mut connection: TcpStream, name: &str) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await?);
        }
        let length = name.len();
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{name}");
        connection.write_all(text.as_bytes()).await?;
    }
}

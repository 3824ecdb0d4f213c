//! A reader of a stream of server-sent events whose data are JSON.

use std::net::SocketAddr;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::client::{Connection, Protocol, Reply, get, own};
use crate::promise::expect;

/// One stream; dropping it closes its connection.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    read: String,
    _connection: Connection,
}

impl Events {
    /// Opens the stream at `path`, or returns the answer that is none.
    ///
    /// # Errors
    ///
    /// The answer, when its status is not 200.
    ///
    /// # Panics
    ///
    /// When there is no answer, or it is no stream of events.
    pub async fn open(address: SocketAddr, path: &str) -> Result<Self, Reply> {
        let opened = Connection::open(address, Protocol::Http1).await;
        let mut connection = opened.expect("a connection");
        let response = expect("an answer", connection.send(own(get(path)))).await;
        let response = response.expect("an answer");
        if response.status() != 200 {
            return Err(Reply::read(response).await.expect("a whole answer"));
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Ok(Self {
            body: response.into_body(),
            read: String::new(),
            _connection: connection,
        })
    }

    /// The next event; none when the stream has ended well.
    ///
    /// # Panics
    ///
    /// When no event comes, the stream is cut, or an event is malformed.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let data = event.strip_prefix("data: ").expect("data");
                let value = serde_json::from_str(data).expect("JSON");
                self.read = rest.to_owned();
                return Some(value);
            }
            let frame = expect("an event", self.body.frame()).await?;
            let data = frame.expect("a whole stream").into_data().expect("data");
            self.read += std::str::from_utf8(&data).expect("text");
        }
    }

    /// The first event, from now on, of which this holds.
    ///
    /// # Panics
    ///
    /// When none comes in time, or the stream ends before.
    pub async fn find(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        expect(what, async {
            loop {
                let event = self.next().await.expect("a stream that goes on");
                if wanted(&event) {
                    return event;
                }
            }
        })
        .await
    }
}

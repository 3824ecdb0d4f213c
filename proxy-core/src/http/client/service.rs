//! The tower service of one endpoint.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tower::Service;

use super::h1::{Reuse, Sent};
use super::negotiated::{Negotiated, Spoken};
use super::prepare::{Names, for_http1, for_http2};
use super::target::Target;
use super::{error, h1, h2};
use crate::address::Address;
use crate::body::Body;
use crate::fault::Fault;
use crate::http::expect::Gate;
use crate::http::give_way::GiveWay;
use crate::http::http1::Failed;
use crate::http::interim::interim;
use crate::net::proxy_protocol::Ends;
use crate::telemetry::{Carried, EntryCounters, Exchange};
use crate::tls::Reach;

/// How often a request that an HTTP/2 connection gave back unsent goes to another one.
const GIVEN_BACK: u32 = 3;

/// How the upstream is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, by prior knowledge or because nothing else is offered.
    Http2,
    /// What the endpoint chooses in the TLS handshake.
    Negotiated,
}

/// How one endpoint is reached. The limits are those of one worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// The protocol that the endpoint speaks.
    pub protocol: Protocol,
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// Connections open at once.
    pub connections: usize,
    /// Requests that may wait for a connection.
    pub pending: usize,
    /// Streams open at once on one HTTP/2 connection.
    pub streams: usize,
    /// How long a connection may be idle.
    pub idle: Duration,
    /// How old a connection may get.
    pub age: Option<Duration>,
    /// Bytes of a response's header section.
    pub max_headers: usize,
    /// Methods that are sent again when they meet a connection that is being closed; any other goes
    /// out on a connection that was used a moment ago, or on a new one.
    pub repeatable: Vec<Method>,
    /// Whether the workload's own authority is passed on instead of the endpoint's.
    pub keep_host: bool,
}

/// HTTP/1.1, within what an entry without further keys has on a process of one worker.
impl Default for Params {
    fn default() -> Self {
        Self {
            protocol: Protocol::Http1,
            connect: Duration::from_secs(1),
            connections: 1024,
            pending: 1024,
            streams: 100,
            idle: Duration::from_secs(60),
            age: Some(Duration::from_secs(600)),
            max_headers: 64 << 10,
            repeatable: vec![
                Method::GET,
                Method::HEAD,
                Method::OPTIONS,
                Method::TRACE,
                Method::PUT,
                Method::DELETE,
            ],
            keep_host: false,
        }
    }
}

/// Sends requests to one endpoint. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pool: Pool,
    names: Names,
    repeatable: Vec<Method>,
    address: Address,
    counters: Arc<EntryCounters>,
}

#[derive(Debug)]
enum Pool {
    Http1(Arc<h1::Pool>),
    Http2(Arc<h2::Pool>),
    Negotiated(Arc<Negotiated>),
}

impl Client {
    /// A client of the endpoint that is called `authority`, without a connection yet.
    pub fn new(
        reach: Reach,
        authority: &Authority,
        host: &HeaderValue,
        params: Params,
        counters: Arc<EntryCounters>,
    ) -> Self {
        let names = Names {
            authority: authority.clone(),
            host: host.clone(),
            keep: params.keep_host,
            scheme: if reach.is_secure() {
                Scheme::HTTPS
            } else {
                Scheme::HTTP
            },
        };
        let address = reach.address().clone();
        let (protocol, repeatable) = (params.protocol, params.repeatable.clone());
        let target = Target::new(reach, params, Arc::clone(&counters));
        let pool = match protocol {
            Protocol::Http1 => Pool::Http1(Arc::new(h1::Pool::new(target))),
            Protocol::Http2 => Pool::Http2(Arc::new(h2::Pool::new(target))),
            Protocol::Negotiated => Pool::Negotiated(Arc::new(Negotiated::new(target))),
        };
        Self {
            shared: Arc::new(Shared {
                pool,
                names,
                repeatable,
                address,
                counters,
            }),
        }
    }

    /// Closes connections that have been idle or open for too long. To be called now and then.
    pub fn sweep(&self) {
        match &self.shared.pool {
            Pool::Http1(pool) => pool.sweep(),
            Pool::Http2(pool) => pool.sweep(),
            Pool::Negotiated(pool) => pool.sweep(),
        }
    }
}

impl Service<Request<Body>> for Client {
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Fault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match &self.shared.pool {
            Pool::Http1(pool) => send_http1(&self.shared, pool, request),
            Pool::Http2(pool) => send_http2(&self.shared, pool, request),
            Pool::Negotiated(pool) => match pool.known() {
                Some(spoken) => send(&self.shared, &spoken, request),
                None => {
                    let (shared, pool) = (Arc::clone(&self.shared), Arc::clone(pool));
                    // Its head is laid down for a retry if there is no connection.
                    let carried = Carried::new(request);
                    Box::pin(async move {
                        let spoken = pool.learn().await?;
                        send(&shared, &spoken, carried.release()).await
                    })
                }
            },
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Fault>> + Send>>;

fn send(shared: &Arc<Shared>, spoken: &Spoken, request: Request<Body>) -> Answer {
    match spoken {
        Spoken::Http1(pool) => send_http1(shared, pool, request),
        Spoken::Http2(pool) => send_http2(shared, pool, request),
    }
}

fn send_http2(shared: &Arc<Shared>, pool: &Arc<h2::Pool>, request: Request<Body>) -> Answer {
    let (shared, pool) = (Arc::clone(shared), Arc::clone(pool));
    Box::pin(async move { shared.send_http2(&pool, request).await })
}

/// Sends a request when its turn has come, on a connection that is at hand then, or else on the next one there is.
fn send_http1(shared: &Arc<Shared>, pool: &Arc<h1::Pool>, mut request: Request<Body>) -> Answer {
    let lent_host = for_http1(&mut request, &shared.names);
    let gate = Gate::close(&mut request);
    let repeatable = shared.repeatable.contains(request.method());
    let mut carried = Carried::new(request);
    if lent_host {
        carried.borrow_host();
    }
    // A request that is not safe to repeat must not meet a connection that is about to close.
    let reuse = if carried.exchange().is_some_and(Exchange::wants_fresh) {
        Reuse::None
    } else if repeatable {
        Reuse::Any
    } else {
        Reuse::Recent
    };
    let way = Way {
        shared: Arc::clone(shared),
        pool: Arc::clone(pool),
        ends: pool.ends(carried.exchange()),
        reuse,
    };
    let before = Before {
        exchange: carried.exchange().cloned(),
        gate,
    };
    let stage = Stage::Ready {
        carried,
        turn: GiveWay::default(),
    };
    Box::pin(Answering { way, before, stage })
}

/// Sends a request on the next connection there is.
fn send_anew(way: Way, before: Before, mut carried: Carried) -> Answer {
    Box::pin(async move {
        loop {
            let connection = way.pool.take(way.reuse, way.ends).await?;
            let reused = connection.reused;
            match connection.send(carried.request()) {
                Ok(sent) => {
                    drop(carried);
                    let stage = way.sent(sent);
                    return Answering { way, before, stage }.await;
                }
                // Closed while it was idle, and noticed in time: nothing was sent, nobody needs to know.
                Err(_) if reused => {}
                Err(error) => return Err(error::unsent_http1(&way.shared.address, error)),
            }
        }
    })
}

/// Whose connections a request may go out on.
#[derive(Clone)]
struct Way {
    shared: Arc<Shared>,
    pool: Arc<h1::Pool>,
    ends: Option<Ends>,
    reuse: Reuse,
}

impl Way {
    fn sent(&self, sent: Sent) -> Stage {
        self.shared.counters.tries.fetch_add(1, Relaxed);
        Stage::Sent(sent)
    }
}

/// Waits for a request's turn, and for the response to it.
struct Answering {
    way: Way,
    before: Before,
    stage: Stage,
}

/// How far a request has come.
enum Stage {
    /// It waits for its turn. It has no connection yet: one that is taken may be closed before it is used.
    Ready {
        carried: Carried,
        turn: GiveWay,
    },
    Sent(Sent),
    /// There was no connection at hand.
    Anew(Answer),
    Over,
}

/// Who hears of what comes before the response.
#[derive(Default)]
struct Before {
    /// Waits for a 100.
    gate: Option<Gate>,
    exchange: Option<Exchange>,
}

impl Before {
    fn interim(&self, response: Response<()>) {
        match (&self.gate, &self.exchange) {
            // Between us and the upstream, whoever has asked for it: what the client waits for is told by us.
            (gate, _) if response.status() == StatusCode::CONTINUE => {
                gate.iter().for_each(Gate::open);
            }
            (_, Some(exchange)) => exchange.tell_early(|| interim(response)),
            _ => {}
        }
    }
}

impl Answering {
    /// Begins to send, when it is time.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Stage::Ready { carried, turn } = &mut self.stage else {
            return Poll::Ready(());
        };
        ready!(turn.poll(cx));
        while let Some(connection) = self.way.pool.idle(self.way.reuse, self.way.ends) {
            // Else it was closed while it was idle, and noticed in time: nothing was sent, nobody needs to know.
            if let Ok(sent) = connection.send(carried.request()) {
                self.stage = self.way.sent(sent);
                return Poll::Ready(());
            }
        }
        let before = std::mem::take(&mut self.before);
        self.stage = Stage::Anew(send_anew(self.way.clone(), before, carried.take()));
        Poll::Ready(())
    }
}

impl Future for Answering {
    type Output = Result<Response<Body>, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        ready!(this.poll_send(cx));
        let before = &this.before;
        let head = match &mut this.stage {
            Stage::Sent(sent) => ready!(sent.poll_head(cx, |response| before.interim(response))),
            Stage::Anew(answer) => {
                let answer = ready!(answer.as_mut().poll(cx));
                this.stage = Stage::Over;
                return Poll::Ready(answer);
            }
            _ => return Poll::Pending,
        };
        let Stage::Sent(sent) = std::mem::replace(&mut this.stage, Stage::Over) else {
            return Poll::Pending;
        };
        let failed = match head {
            Ok(head) => {
                let mut response = sent.bind(&this.way.pool, head);
                if let Some(gate) = this.before.gate.take() {
                    gate.answered(&mut response);
                }
                return Poll::Ready(Ok(response));
            }
            Err(failed) => failed,
        };
        let stale = sent.is_reused() && matches!(failed, Failed::Lost { begun: false, .. });
        let fault = error::http1(&this.way.shared.address, failed);
        if stale {
            this.way.pool.found_stale();
            return Poll::Ready(Err(fault.on_stale_connection()));
        }
        Poll::Ready(Err(fault))
    }
}

impl Shared {
    async fn send_http2(
        &self,
        pool: &h2::Pool,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Fault> {
        if let Some(exchange) = request.extensions_mut().remove::<Exchange>() {
            // hyper consumes the head: what a retry finds is a copy.
            let (head, body) = request.into_parts();
            exchange.lay_down(head.clone());
            request = Request::from_parts(head, body);
        }
        for_http2(&mut request, &self.names);
        let mut given_back = 0;
        loop {
            let stream = pool.take().await?;
            self.counters.tries.fetch_add(1, Relaxed);
            let answer = stream.send(request).await;
            if let (Err(_), Some(alert)) = (&answer, stream.alert()) {
                return Err(error::by_alert(&self.address, &alert));
            }
            match answer {
                Ok(response) => {
                    let mut response = response.map(Body::response);
                    response.body_mut().watch(Box::new(stream));
                    return Ok(response);
                }
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if given_back < GIVEN_BACK => {
                        stream.retire();
                        given_back += 1;
                        request = unsent;
                    }
                    Some(_) => return Err(error::unsent(&self.address, failed.into_error())),
                    None => return Err(error::sent(&self.address, failed.into_error())),
                },
            }
        }
    }
}

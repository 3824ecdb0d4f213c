//! A real DNS server (hickory-server) that says what the test wants, slowly if it wants, and counts.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{
    Header, HeaderCounts, Message, MessageType, Metadata, OpCode, ResponseCode,
};
use hickory_proto::rr::rdata::{A, AAAA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo, Server};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;

use crate::promise::EVENT;

/// What is said about one name.
#[derive(Clone, Debug)]
pub enum Say {
    /// These addresses, with this time to live in seconds.
    Addresses(Vec<IpAddr>, u32),
    /// These services, as priority, weight, port and host, with this time to live.
    Services(Vec<(u16, u16, u16, &'static str)>, u32),
    /// This code and no record: NXDOMAIN, SERVFAIL, or NOERROR for an empty answer.
    Code(ResponseCode),
    /// Nothing at all.
    Silence,
    /// First lies from another port, and with another identifier, that name the second address; then
    /// the truth, which is the first.
    Spoofed(IpAddr, IpAddr),
}

#[derive(Debug, Default)]
struct Book {
    says: HashMap<String, Say>,
    delay: Duration,
    in_flight: HashMap<(String, RecordType), usize>,
    most: usize,
}

/// A running server.
#[derive(Clone, Debug)]
struct Handler {
    book: Arc<Mutex<Book>>,
    asked: Arc<watch::Sender<HashMap<String, usize>>>,
    own: SocketAddr,
}

/// The server; dropping it stops it.
pub struct NameServer {
    handler: Handler,
    _server: Server<Handler>,
}

impl NameServer {
    /// Starts on an ephemeral port, over UDP and TCP. Names are unknown until they are set.
    pub async fn start() -> Self {
        let (udp, tcp) = bind().await;
        let handler = Handler {
            book: Arc::default(),
            asked: Arc::new(watch::Sender::default()),
            own: udp.local_addr().expect("bound"),
        };
        let mut server = Server::new(handler.clone());
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 64);
        Self {
            handler,
            _server: server,
        }
    }

    /// The top-level line of a configuration file that names this server, with short waits.
    pub fn setting(&self) -> String {
        format!(
            "dns: {{servers: ['{}'], timeout: 250ms, attempts: 1}}",
            self.handler.own
        )
    }

    /// Sets what is said about `name` from now on.
    pub fn set(&self, name: &str, say: Say) {
        self.handler.book().says.insert(name.to_owned(), say);
    }

    /// Every answer takes so long from now on.
    pub fn delay(&self, delay: Duration) {
        self.handler.book().delay = delay;
    }

    /// The most questions of one kind about one name that were ever under way at once.
    pub fn most_in_flight(&self) -> usize {
        self.handler.book().most
    }

    /// How many questions about `name` have come so far.
    pub fn asked(&self, name: &str) -> usize {
        self.handler.asked.borrow().get(name).copied().unwrap_or(0)
    }

    /// Waits until `more` further questions about `name` have come.
    ///
    /// # Panics
    ///
    /// When they do not come.
    pub async fn asked_again(&self, name: &str, more: usize) {
        let wanted = self.asked(name) + more;
        let mut changes = self.handler.asked.subscribe();
        let enough = changes.wait_for(|asked| asked.get(name).is_some_and(|now| *now >= wanted));
        let came = tokio::time::timeout(EVENT, enough).await.is_ok();
        assert!(
            came,
            "{name} was asked for {} of {wanted} times",
            self.asked(name)
        );
    }
}

impl Handler {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, name: &str, kind: RecordType) -> (Option<Say>, Duration) {
        let mut book = self.book();
        let now = book.in_flight.entry((name.to_owned(), kind)).or_default();
        *now += 1;
        let now = *now;
        book.most = book.most.max(now);
        (book.says.get(name).cloned(), book.delay)
    }

    fn end(&self, name: &str, kind: RecordType) {
        if let Some(now) = self.book().in_flight.get_mut(&(name.to_owned(), kind)) {
            *now -= 1;
        }
        self.asked
            .send_modify(|asked| *asked.entry(name.to_owned()).or_default() += 1);
    }
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut respond: R,
    ) -> ResponseInfo {
        let silence = ResponseInfo::from(Header {
            metadata: Metadata::new(0, MessageType::Response, OpCode::Query),
            counts: HeaderCounts::default(),
        });
        let Ok(info) = request.request_info() else {
            return silence;
        };
        let asked = info.query.name().to_string();
        let (name, kind) = (
            asked.trim_end_matches('.').to_owned(),
            info.query.query_type(),
        );
        let (say, delay) = self.begin(&name, kind);
        tokio::time::sleep(delay).await;
        let owner = Name::from_ascii(&asked).unwrap_or_default();
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.recursion_available = true;
        let mut records = Vec::new();
        match say.unwrap_or(Say::Code(ResponseCode::NXDomain)) {
            Say::Addresses(all, ttl) => records = addresses(&owner, &all, ttl, kind),
            Say::Services(all, ttl) => records = services(&owner, &all, ttl, kind),
            Say::Code(code) => metadata.response_code = code,
            Say::Silence => {
                self.end(&name, kind);
                return silence;
            }
            Say::Spoofed(truth, lie) => {
                self.lie(request, &addresses(&owner, &[lie], 60, kind))
                    .await;
                records = addresses(&owner, &[truth], 1, kind);
            }
        }
        let reply = MessageResponseBuilder::from_message_request(request);
        let reply = reply.build(metadata, records.iter(), [], [], []);
        let sent = respond.send_response(reply).await;
        self.end(&name, kind);
        sent.unwrap_or(silence)
    }
}

impl Handler {
    /// Answers before the truth comes: from a port that was not asked, with the right identifier; and
    /// with wrong identifiers.
    async fn lie(&self, request: &Request, records: &[Record]) {
        let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        for offset in [0, 1, 2, 3] {
            let id = request.metadata.id.wrapping_add(offset);
            let mut reply = Message::response(id, OpCode::Query);
            reply.metadata.recursion_available = true;
            reply.add_answers(records.iter().cloned());
            if let Ok(bytes) = reply.to_vec() {
                let _ = stranger.send_to(&bytes, request.src()).await;
            }
        }
    }
}

fn addresses(owner: &Name, all: &[IpAddr], ttl: u32, kind: RecordType) -> Vec<Record> {
    let data = all.iter().filter_map(|ip| match (ip, kind) {
        (IpAddr::V4(ip), RecordType::A) => Some(RData::A(A(*ip))),
        (IpAddr::V6(ip), RecordType::AAAA) => Some(RData::AAAA(AAAA(*ip))),
        _ => None,
    });
    data.map(|data| Record::from_rdata(owner.clone(), ttl, data))
        .collect()
}

fn services(
    owner: &Name,
    all: &[(u16, u16, u16, &'static str)],
    ttl: u32,
    kind: RecordType,
) -> Vec<Record> {
    if kind != RecordType::SRV {
        return Vec::new();
    }
    let data = all.iter().filter_map(|(priority, weight, port, host)| {
        let host = Name::from_ascii(format!("{host}.")).ok()?;
        Some(RData::SRV(SRV::new(*priority, *weight, *port, host)))
    });
    data.map(|data| Record::from_rdata(owner.clone(), ttl, data))
        .collect()
}

async fn bind() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("bound")).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

//! A DNS server over UDP and TCP that answers each name as the test says, and counts the questions.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::promise::EVENT;

/// What the server says about a name.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These addresses, with this time to live in seconds.
    Addresses(Vec<IpAddr>, u32),
    /// The same, but over UDP only that the answer is too long: the client must ask over TCP.
    OverTcp(Vec<IpAddr>, u32),
    /// This about A records, and that about AAAA records.
    Each(Box<Answer>, Box<Answer>),
    /// SRV records: priority, weight, port and host of each, with a time to live in seconds.
    Services(Vec<(u16, u16, u16, String)>, u32),
    /// NXDOMAIN: there is no such name.
    NoSuchName,
    /// SERVFAIL.
    Failure,
    /// Nothing at all.
    Silence,
    /// NOERROR with no records.
    Empty,
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Dns {
    address: SocketAddr,
    zone: Zone,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Clone, Debug, Default)]
struct Zone {
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    asked: Arc<watch::Sender<HashMap<String, usize>>>,
}

impl Dns {
    /// Starts on an ephemeral port of the loopback address. Every name is unknown until it is set.
    ///
    /// # Panics
    ///
    /// When no port is free for both UDP and TCP.
    pub async fn start() -> Self {
        let (udp, tcp) = bind().await;
        let address = udp.local_addr().expect("a bound socket");
        let zone = Zone::default();
        let tasks = [
            tokio::spawn(over_udp(udp, zone.clone())),
            tokio::spawn(over_tcp(tcp, zone.clone())),
        ];
        Self {
            address,
            zone,
            tasks,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The top-level line of a configuration file that names this server, with short waits.
    pub fn setting(&self) -> String {
        format!(
            "dns: {{servers: ['{}'], timeout: 250ms, attempts: 1}}",
            self.address
        )
    }

    /// Sets what is answered about `name` from now on.
    pub fn set(&self, name: &str, answer: Answer) {
        let mut answers = self
            .zone
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        answers.insert(name.to_ascii_lowercase(), answer);
    }

    /// How many questions for A or AAAA records of `name` have come so far.
    pub fn asked(&self, name: &str) -> usize {
        self.zone.asked.borrow().get(name).copied().unwrap_or(0)
    }

    /// Waits until `more` further questions about `name` have come.
    ///
    /// # Panics
    ///
    /// When they do not come.
    pub async fn asked_again(&self, name: &str, more: usize) {
        let wanted = self.asked(name) + more;
        let mut changes = self.zone.asked.subscribe();
        let enough = changes.wait_for(|asked| asked.get(name).is_some_and(|now| *now >= wanted));
        let came = tokio::time::timeout(EVENT, enough).await.is_ok();
        assert!(
            came,
            "{name} was asked for {} of {wanted} times",
            self.asked(name)
        );
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Zone {
    /// The answer to one question in wire format; `None` for silence.
    fn answer(&self, question: &[u8], udp: bool) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).ok()?;
        let query = question.queries.first()?.clone();
        let name = query
            .name()
            .to_ascii()
            .trim_end_matches('.')
            .to_ascii_lowercase();
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.get(&name).cloned().unwrap_or(Answer::NoSuchName);
        drop(answers);
        let answer = answer.about(query.query_type());
        let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
        reply.metadata.recursion_desired = question.metadata.recursion_desired;
        reply.metadata.recursion_available = true;
        reply.add_query(query.clone());
        let mut silent = false;
        match answer {
            Answer::OverTcp(..) if udp => reply.metadata.truncation = true,
            Answer::Addresses(addresses, ttl) | Answer::OverTcp(addresses, ttl) => {
                let data = addresses
                    .into_iter()
                    .filter_map(|ip| record(ip, query.query_type()));
                let name = query.name();
                reply.add_answers(data.map(|data| Record::from_rdata(name.clone(), ttl, data)));
            }
            Answer::Services(services, ttl) => {
                let name = query.name();
                let data = services
                    .into_iter()
                    .filter_map(|(priority, weight, port, host)| {
                        let target = Name::from_ascii(format!("{host}.")).ok()?;
                        let srv = SRV::new(priority, weight, port, target);
                        Some(Record::from_rdata(name.clone(), ttl, RData::SRV(srv)))
                    });
                if query.query_type() == RecordType::SRV {
                    reply.add_answers(data);
                }
            }
            Answer::NoSuchName => reply.metadata.response_code = ResponseCode::NXDomain,
            Answer::Failure => reply.metadata.response_code = ResponseCode::ServFail,
            Answer::Silence => silent = true,
            Answer::Empty | Answer::Each(..) => {}
        }
        self.asked
            .send_modify(|asked| *asked.entry(name).or_default() += 1);
        if silent { None } else { reply.to_vec().ok() }
    }
}

impl Answer {
    /// What is said about records of this kind.
    fn about(self, kind: RecordType) -> Self {
        match self {
            Self::Each(_, answer) if kind == RecordType::AAAA => answer.about(kind),
            Self::Each(answer, _) => answer.about(kind),
            answer => answer,
        }
    }
}

fn record(ip: IpAddr, wanted: RecordType) -> Option<RData> {
    match (ip, wanted) {
        (IpAddr::V4(ip), RecordType::A) => Some(RData::A(A(ip))),
        (IpAddr::V6(ip), RecordType::AAAA) => Some(RData::AAAA(AAAA(ip))),
        _ => None,
    }
}

async fn bind() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("a bound socket")).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

async fn over_udp(socket: UdpSocket, zone: Zone) {
    let mut buffer = [0; 4096];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        if let Some(reply) = zone.answer(&buffer[..length], true) {
            let _ = socket.send_to(&reply, peer).await;
        }
    }
}

async fn over_tcp(listener: TcpListener, zone: Zone) {
    while let Ok((stream, _)) = listener.accept().await {
        let zone = zone.clone();
        tokio::spawn(async move { questions(stream, &zone).await });
    }
}

async fn questions(mut stream: TcpStream, zone: &Zone) -> Option<()> {
    loop {
        let length = stream.read_u16().await.ok()?;
        let mut question = vec![0; usize::from(length)];
        stream.read_exact(&mut question).await.ok()?;
        if let Some(reply) = zone.answer(&question, false) {
            stream
                .write_u16(u16::try_from(reply.len()).ok()?)
                .await
                .ok()?;
            stream.write_all(&reply).await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, Query, ResponseCode};
    use hickory_proto::rr::{Name, RecordType};
    use tokio::net::UdpSocket;

    use super::{Answer, Dns};
    use crate::promise::{expect, promise};

    async fn ask(dns: &Dns, kind: RecordType) -> Message {
        let mut question = Message::query();
        question.add_query(Query::query(
            Name::from_ascii("a.test.").expect("a name"),
            kind,
        ));
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        socket.connect(dns.address()).await.expect("connected");
        socket
            .send(&question.to_vec().expect("a message"))
            .await
            .expect("sent");
        let mut buffer = [0; 512];
        let length = expect("an answer", socket.recv(&mut buffer))
            .await
            .expect("received");
        Message::from_vec(&buffer[..length]).expect("a message")
    }

    #[test]
    fn names_are_answered_as_set() {
        promise(async {
            let dns = Dns::start().await;
            assert_eq!(
                ask(&dns, RecordType::A).await.metadata.response_code,
                ResponseCode::NXDomain
            );
            let ip = "127.0.0.9".parse().expect("an address");
            dns.set("a.test", Answer::Addresses(vec![ip], 7));
            let answer = ask(&dns, RecordType::A).await;
            assert_eq!(answer.answers[0].ttl, 7);
            assert_eq!(answer.answers[0].data.ip_addr(), Some(ip));
            assert!(ask(&dns, RecordType::AAAA).await.answers.is_empty());
            dns.set("a.test", Answer::OverTcp(vec![ip], 7));
            assert!(ask(&dns, RecordType::A).await.metadata.truncation);
            dns.set("a.test", Answer::Failure);
            assert_eq!(
                ask(&dns, RecordType::A).await.metadata.response_code,
                ResponseCode::ServFail
            );
            assert_eq!(dns.asked("a.test"), 5);
        });
    }
}

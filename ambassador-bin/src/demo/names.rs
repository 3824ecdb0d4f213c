//! A name server for one name: it answers over UDP with the addresses that it is given.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// The name that it knows.
pub(super) const NAME: &str = "shop.demo";

/// The records' time to live in seconds: the ambassador asks again this often.
pub(super) const TTL: u32 = 1;

/// A question of one name fits.
const LONGEST_QUESTION: usize = 1232;

/// A running name server; it ends with its runtime.
#[derive(Debug)]
pub(super) struct NameServer {
    address: SocketAddr,
    addresses: watch::Sender<Vec<Ipv4Addr>>,
}

impl NameServer {
    /// Starts on an ephemeral port of the loopback address. The name has no address yet.
    pub(super) fn start(runtime: &Handle) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let _runtime = runtime.enter();
        let socket = UdpSocket::from_std(socket)?;
        let (addresses, current) = watch::channel(Vec::new());
        runtime.spawn(serve(socket, current));
        Ok(Self { address, addresses })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name has this address from now on.
    pub(super) fn add(&self, address: Ipv4Addr) {
        self.addresses
            .send_modify(|addresses| addresses.push(address));
    }

    /// The name does not have this address any more.
    pub(super) fn remove(&self, address: Ipv4Addr) {
        self.addresses
            .send_modify(|addresses| addresses.retain(|known| *known != address));
    }

    /// Whether the name has this address.
    pub(super) fn has(&self, address: Ipv4Addr) -> bool {
        self.addresses.borrow().contains(&address)
    }
}

async fn serve(socket: UdpSocket, addresses: watch::Receiver<Vec<Ipv4Addr>>) {
    let mut buffer = [0; LONGEST_QUESTION];
    loop {
        // An error here is an earlier asker's closed port: the next question is awaited.
        let Ok((length, asker)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let reply = answer(&buffer[..length], &addresses.borrow());
        if let Some(reply) = reply {
            let _ = socket.send_to(&reply, asker).await;
        }
    }
}

/// The answer to one question, both in wire format; none to what is no question.
///
/// Another name does not exist; another type than A exists and has no records (RFC 2308, section 2).
pub(super) fn answer(question: &[u8], addresses: &[Ipv4Addr]) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?;
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.authoritative = true;
    reply.metadata.recursion_desired = question.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.add_query(query.clone());
    let asked = query.name().to_ascii();
    if !asked.trim_end_matches('.').eq_ignore_ascii_case(NAME) {
        reply.metadata.response_code = ResponseCode::NXDomain;
    } else if query.query_type() == RecordType::A {
        let record = |address: &Ipv4Addr| {
            Record::from_rdata(query.name().clone(), TTL, RData::A(A(*address)))
        };
        reply.add_answers(addresses.iter().map(record));
    }
    reply.to_vec().ok()
}

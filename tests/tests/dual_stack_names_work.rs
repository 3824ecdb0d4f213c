//! A name with addresses of both families costs nobody a failed connection where one of them leads
//! nowhere, and both are used once both can be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use remora_tests::ambassador::Ambassador;
use remora_tests::client::{Connection, Protocol, get};
use remora_tests::config::Config;
use remora_tests::nameserver::{NameServer, Say};
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::promise;
use remora_tests::scripted::listen;
use socket2::{Domain, Socket, Type};

const NAME: &str = "users.test";
const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// An ambassador without retries before a name with both addresses, and the only origin.
async fn serving(dns: &NameServer, origin: &Origin) -> Ambassador {
    dns.set(NAME, Say::Addresses(vec![V4, V6], 1));
    let port = origin.address().port();
    let config = Config::of(&format!("to: http://{NAME}:{port}\nretry: off\neject: off"));
    Ambassador::start(&config.with(&dns.setting())).await
}

async fn answers(ambassador: &Ambassador) {
    let mut connection = Connection::open(ambassador.address(), Protocol::Http1)
        .await
        .expect("open");
    for _ in 0..50 {
        let reply = connection.fetch(get("/")).await.expect("an answer");
        assert_eq!(reply.status, 200);
    }
}

async fn endpoints(ambassador: &Ambassador, count: f64) {
    ambassador
        .metric("remora_endpoints", &[], |value| value == count)
        .await;
}

#[test]
fn a_family_that_refuses_is_left_out_until_it_does_not() {
    promise(async {
        let dns = NameServer::start().await;
        let origin = Origin::start(|_| async { ok("fine") });
        let ambassador = serving(&dns, &origin).await;
        endpoints(&ambassador, 1.0).await;
        answers(&ambassador).await;
        let _listener = listen(SocketAddr::new(V6, origin.address().port()));
        endpoints(&ambassador, 2.0).await;
    });
}

#[test]
fn a_family_that_is_silent_is_left_out() {
    promise(async {
        let dns = NameServer::start().await;
        let origin = Origin::start(|_| async { ok("fine") });
        // Whose queue is full answers no further attempt.
        let address = SocketAddr::new(V6, origin.address().port());
        let silent = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
        silent.bind(&address.into()).expect("a free port");
        silent.listen(0).expect("a listener");
        let _queued = std::net::TcpStream::connect(address).expect("a place in the queue");
        let ambassador = serving(&dns, &origin).await;
        endpoints(&ambassador, 1.0).await;
        answers(&ambassador).await;
    });
}

#[test]
fn a_service_that_comes_later_is_reached_where_it_is() {
    promise(async {
        let dns = NameServer::start().await;
        let mut origin = Origin::start(|_| async { ok("fine") });
        origin.kill().await;
        dns.set(NAME, Say::Addresses(vec![V4, V6], 3600));
        let port = origin.address().port();
        let config = Config::of(&format!("to: http://{NAME}:{port}\nretry: off\neject: off"));
        let ambassador = Ambassador::start(&config.with(&dns.setting())).await;
        endpoints(&ambassador, 2.0).await;
        origin.restart();
        endpoints(&ambassador, 1.0).await;
        answers(&ambassador).await;
    });
}

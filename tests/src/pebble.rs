//! An ACME authority of the test's own: pebble, behind a relay whose address is known before it starts and that the test can shut.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::certificates::{Authority, Pair, Validity, certificate, place};
use crate::dns::{Answer, Dns};
use crate::needs;
use crate::promise::until;
use crate::scripted::{ephemeral, listen};

/// The program, and the package that carries it.
const PROGRAM: (&str, &str) = ("pebble", "pebble");

/// What becomes of connections to the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// They wait.
    Waiting,
    /// They are closed.
    Shut,
    /// They lead to the program.
    Open(SocketAddr),
}

/// An authority; dropping it ends its program.
pub struct Pebble {
    folder: TempDir,
    authority: Authority,
    address: SocketAddr,
    dns: Dns,
    door: watch::Sender<Door>,
    relay: JoinHandle<()>,
    program: Option<(Child, SocketAddr)>,
}

/// Where an authority looks, and how it behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// The port that it shakes hands with for TLS-ALPN-01.
    pub tls: u16,
    /// The port that it sends requests to for HTTP-01.
    pub http: u16,
    /// Of 100 good nonces it refuses so many.
    pub refused_nonces: u8,
    /// Of 100 names that were shown to lead to the same account before, it believes so many without another look.
    pub believed: u8,
    /// How long its certificates are valid, in seconds; 0 for what the program does by itself, which is years.
    pub validity: u64,
}

impl Pebble {
    /// An authority whose program is yet to be started: until then, who connects waits. None where it is missing.
    pub async fn announce() -> Option<Self> {
        if !needs::met(&[PROGRAM], false) {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new("who vouches for the directory");
        authority
            .issue(&["127.0.0.1"], Validity::Now)
            .write(folder.path(), "own");
        place(folder.path(), "ca.pem", &authority.pem());
        let listener = listen(ephemeral());
        let address = listener.local_addr().expect("a bound socket");
        let door = watch::Sender::new(Door::Waiting);
        let relay = tokio::spawn(relay(listener, door.subscribe()));
        Some(Self {
            folder,
            authority,
            address,
            dns: Dns::start().await,
            door,
            relay,
            program: None,
        })
    }

    /// A folder of its own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it is, whether its program runs or not.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate, in PEM, that its own server is trusted by.
    pub fn ca(&self) -> String {
        self.authority.pem()
    }

    /// A certificate for a server in front of it.
    pub fn own(&self) -> Pair {
        self.authority.issue(&["127.0.0.1"], Validity::Now)
    }

    /// The keys `directory` and `ca` of a configuration file.
    pub fn settings(&self) -> String {
        let ca = self.folder.path().join("ca.pem");
        let address = self.address;
        format!("directory: 'https://{address}/dir', ca: '{}'", ca.display())
    }

    /// Starts the program anew: it knows nobody, and has another root.
    pub async fn start(&mut self, manner: Manner) {
        self.program = None;
        let [serving, managing] = [free(), free()];
        let config = self.configure(&manner, serving, managing);
        let program = needs::find(PROGRAM.0).expect("it was there");
        let child = Command::new(program)
            .arg("-config")
            .arg(config)
            .args(["-dnsserver", &self.dns.address().to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", manner.believed.to_string())
            .env("PEBBLE_WFE_NONCEREJECT", manner.refused_nonces.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("pebble starts");
        self.program = Some((child, managing));
        for address in [serving, managing] {
            until("pebble", async || TcpStream::connect(address).await.ok()).await;
        }
        self.door.send_replace(Door::Open(serving));
    }

    /// From now on this name leads to this machine.
    pub fn knows(&self, name: &str) {
        let here = Answer::Addresses(vec![[127, 0, 0, 1].into()], 60);
        self.dns.set(name, here);
    }

    /// From now on nobody gets through.
    pub fn shut(&self) {
        self.door.send_replace(Door::Shut);
    }

    /// The certificate, in PEM, that everything it issues is trusted by.
    pub async fn root(&self) -> String {
        let (_, managing) = self.program.as_ref().expect("it was started");
        let config = trusting(&self.authority.pem(), &[]);
        let tcp = TcpStream::connect(managing).await.expect("pebble");
        let connector = TlsConnector::from(Arc::new(config));
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("an address");
        let mut stream = connector.connect(name, tcp).await.expect("TLS");
        let request = "GET /roots/0 HTTP/1.0\r\nHost: pebble\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let begin = answer.find("-----BEGIN").expect("a certificate");
        answer.split_off(begin)
    }

    fn configure(&self, manner: &Manner, serving: SocketAddr, managing: SocketAddr) -> PathBuf {
        let file = |name: &str| self.folder.path().join(name);
        let mut pebble = serde_json::json!({
            "listenAddress": serving.to_string(),
            "managementListenAddress": managing.to_string(),
            "certificate": file("own.pem"),
            "privateKey": file("own.key"),
            "httpPort": manner.http,
            "tlsPort": manner.tls,
        });
        if manner.validity > 0 {
            pebble["certificateValidityPeriod"] = manner.validity.into();
        }
        let text = serde_json::json!({ "pebble": pebble }).to_string();
        place(self.folder.path(), "config.json", &text)
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

/// A client's settings that trust one authority, in PEM, and offer these protocols.
pub fn trusting(root: &str, alpn: &[&str]) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate(root)).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// An address that was free a moment ago, as the program takes none that is chosen for it. It is of a part of the
/// loopback network that nobody else uses, so that it stays free.
fn free() -> SocketAddr {
    static COUNT: AtomicU8 = AtomicU8::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let own = [127, 100 + COUNT.fetch_add(1, Relaxed) % 100, high, low];
    let listener = std::net::TcpListener::bind(SocketAddr::from((own, 0))).expect("a free port");
    listener.local_addr().expect("a bound socket")
}

async fn relay(listener: TcpListener, door: watch::Receiver<Door>) {
    while let Ok((mut from, _)) = listener.accept().await {
        let mut door = door.clone();
        tokio::spawn(async move {
            let opened = door.wait_for(|door| *door != Door::Waiting).await;
            let Some(Door::Open(to)) = opened.ok().map(|door| *door) else {
                return;
            };
            if let Ok(mut to) = TcpStream::connect(to).await {
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            }
        });
    }
}

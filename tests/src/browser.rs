//! A headless Chromium with a page of its own, driven through the DevTools protocol.
//!
//! It listens on the loopback alone, keeps its profile in a temporary directory, and is killed when
//! the value is dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;

use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use http::header::HOST;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::client;
use crate::promise::{expect, until};

/// The program and the Debian package that has it, for [`met`](crate::needs::met).
pub const CHROMIUM: (&str, &str) = ("chromium", "chromium");

/// One page in one browser.
pub struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last: u64,
    complaints: Vec<Value>,
    _browser: Child,
    _profile: TempDir,
}

impl Page {
    /// Starts the browser with an empty page.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further flags.
    pub async fn start_with(flags: &[&str]) -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let browser = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-dev-shm-usage", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(flags)
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromium starts");
        let url = until("a page of the browser", async || {
            target(profile.path()).await
        })
        .await;
        let connected = expect("a handshake", tokio_tungstenite::connect_async(url)).await;
        let mut page = Self {
            socket: connected.expect("a WebSocket").0,
            last: 0,
            complaints: Vec::new(),
            _browser: browser,
            _profile: profile,
        };
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            page.call(domain, json!({})).await;
        }
        page
    }

    /// Goes to this address.
    pub async fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url})).await;
    }

    /// Takes on this size, as a phone's where it is narrow, and this colour scheme.
    pub async fn show_as(&mut self, width: u32, scheme: &str) {
        let size = json!({
            "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600
        });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let media = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let media = json!({"features": media});
        self.call("Emulation.setEmulatedMedia", media).await;
    }

    /// The value of an expression in the page.
    pub async fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", asked).await;
        answer["result"]["value"].clone()
    }

    /// Waits until an expression in the page is true.
    pub async fn holds(&mut self, expression: &str) {
        until(expression, async || {
            (self.value(expression).await == true).then_some(())
        })
        .await;
    }

    /// What the console has shown as an error, and exceptions, so far.
    pub fn complaints(&self) -> &[Value] {
        &self.complaints
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let call = json!({"id": self.last, "method": method, "params": parameters});
        let message = Message::text(call.to_string());
        self.socket.send(message).await.expect("an open socket");
        loop {
            let message = expect(method, self.socket.next()).await;
            let message = message.expect("an open socket").expect("a message");
            let Ok(answer) = serde_json::from_slice::<Value>(&message.into_data()) else {
                continue;
            };
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            let is_error = match answer["method"].as_str() {
                Some("Runtime.exceptionThrown") => true,
                Some("Runtime.consoleAPICalled") => answer["params"]["type"] == "error",
                Some("Log.entryAdded") => answer["params"]["entry"]["level"] == "error",
                _ => false,
            };
            if is_error {
                self.complaints.push(answer);
            }
        }
    }
}

/// Where the browser's page can be driven, as soon as it says so.
async fn target(profile: &Path) -> Option<String> {
    let file = std::fs::read_to_string(profile.join("DevToolsActivePort")).ok()?;
    let port: u16 = file.lines().next()?.parse().ok()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut request = client::get("/json/list");
    let host = HeaderValue::from_str(&address.to_string()).ok()?;
    request.headers_mut().insert(HOST, host);
    let reply = client::once(address, request).await.ok()?;
    let targets: Value = serde_json::from_str(&reply.text()).ok()?;
    let mut targets = targets.as_array()?.iter();
    let page = targets.find(|target| target["type"] == "page")?;
    Some(page["webSocketDebuggerUrl"].as_str()?.to_owned())
}

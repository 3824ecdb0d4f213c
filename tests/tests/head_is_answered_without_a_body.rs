//! An answer to HEAD has the length of what GET would get, and no body, also where the proxy answers itself.

use http::{HeaderValue, Request};
use remora_tests::client::{Body, Connection, Protocol, request};
use remora_tests::config::Config;
use remora_tests::promise::promise;
use remora_tests::proxy::Proxy;
use remora_tests::scripted::refusing;

/// Asks by GET and by HEAD, over either version.
async fn agrees(proxy: &Proxy, path: &str, status: u16) {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut connection = Connection::open(proxy.address(), protocol)
            .await
            .expect("open");
        let asked = |method| -> Request<Body> {
            let mut request = request(method, path);
            let host = HeaderValue::from_static("users.test");
            request.headers_mut().insert("host", host);
            request
        };
        let whole = connection.fetch(asked("GET")).await.expect("an answer");
        assert_eq!(whole.status, status, "{path}");
        assert!(!whole.body.is_empty(), "{path}");
        let head = connection.fetch(asked("HEAD")).await.expect("an answer");
        assert_eq!((head.status.as_u16(), head.body.len()), (status, 0));
        let length = head.header("content-length");
        assert_eq!(length, whole.body.len().to_string(), "{protocol:?} {path}");
        assert_eq!(head.header("content-type"), whole.header("content-type"));
    }
}

#[test]
fn failures_of_the_proxy_have_none() {
    promise(async {
        let (nobody, _socket) = refusing();
        let ambassador = Proxy::serving(&format!("to: http://{nobody}\nretry: off")).await;
        agrees(&ambassador, "/", 502).await;
    });
}

#[test]
fn answers_of_routes_and_pages_have_none() {
    promise(async {
        let folder = tempfile::tempdir().expect("a folder");
        let page = folder.path().join("404.html");
        std::fs::write(&page, "<p>not here</p>\n").expect("a file");
        let config = Config::of_ingress(&format!(
            "errors: {{404: '{}'}}\nroutes: {{'*=/robots.txt': {{respond: {{status: 200, body: nothing}}}}}}",
            page.display()
        ));
        let ingress = Proxy::start(&config).await;
        agrees(&ingress, "/robots.txt", 200).await;
        agrees(&ingress, "/", 404).await;
    });
}

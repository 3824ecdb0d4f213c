//! gRPC between a tonic client and a tonic server: every kind of call, status, details, metadata.

use futures_util::StreamExt;
use remora_tests::ambassador::Ambassador;
use remora_tests::grpc::{Note, NotesClient, NotesServer, failure};
use remora_tests::promise::{expect, promise};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status};

struct Setting {
    _server: NotesServer,
    _ambassador: Ambassador,
    client: NotesClient,
}

async fn setting(more: &str) -> Setting {
    let server = NotesServer::start();
    let settings = format!("to: h2c://{}\n{more}", server.address());
    let ambassador = Ambassador::serving(&settings).await;
    let client = NotesClient::connect(ambassador.address()).await;
    Setting {
        _server: server,
        _ambassador: ambassador,
        client,
    }
}

/// A request with metadata that the service sends back.
fn sending<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("x-sent", "with the request".parse().expect("ASCII"));
    request
}

fn assert_is_the_failure(status: &Status) {
    let expected = failure();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_eq!(status.message(), expected.message());
    assert_eq!(status.details(), expected.details());
    assert_eq!(
        status.metadata().get("x-why"),
        expected.metadata().get("x-why")
    );
    let raw = |status: &Status| {
        status
            .metadata()
            .get_bin("x-raw-bin")
            .and_then(|value| value.to_bytes().ok())
    };
    assert_eq!(raw(status), raw(&expected));
}

#[test]
fn unary() {
    promise(async {
        for more in ["", "retry: off"] {
            let mut setting = setting(more).await;
            let large = "x".repeat(1 << 20);
            let reply = setting
                .client
                .unary(sending(Note::new(&large, 7)))
                .await
                .expect("OK");
            assert_eq!(
                reply.metadata().get("x-sent").expect("metadata"),
                "with the request"
            );
            assert_eq!(reply.into_inner(), Note::new(&large, 7));
            let status = setting.client.unary(sending(Note::new("fail", 0))).await;
            assert_is_the_failure(&status.expect_err("the status"));
        }
    });
}

#[test]
fn server_streaming() {
    promise(async {
        let mut setting = setting("").await;
        let reply = setting
            .client
            .server(sending(Note::new("n", 1000)))
            .await
            .expect("OK");
        assert_eq!(
            reply.metadata().get("x-sent").expect("metadata"),
            "with the request"
        );
        let notes: Vec<_> = expect("all notes", reply.into_inner().collect()).await;
        let numbers: Vec<u64> = notes
            .into_iter()
            .map(|note| note.expect("a note").number)
            .collect();
        assert!(numbers.iter().copied().eq(0..1000), "{numbers:?}");

        let reply = setting
            .client
            .server(sending(Note::new("fail", 3)))
            .await
            .expect("OK");
        let mut notes: Vec<_> = expect("all notes", reply.into_inner().collect()).await;
        assert_is_the_failure(&notes.pop().expect("four items").expect_err("the status"));
        assert_eq!(notes.len(), 3);
    });
}

#[test]
fn client_streaming() {
    promise(async {
        let mut setting = setting("").await;
        let notes = (1..=1000).map(|number| Note::new("n", number));
        let reply = setting
            .client
            .client(sending(tokio_stream::iter(notes)))
            .await
            .expect("OK");
        assert_eq!(
            reply.metadata().get("x-sent").expect("metadata"),
            "with the request"
        );
        assert_eq!(reply.into_inner().number, 500_500);

        let notes = [Note::new("n", 1), Note::new("fail", 2)];
        let status = setting
            .client
            .client(sending(tokio_stream::iter(notes)))
            .await;
        assert_is_the_failure(&status.expect_err("the status"));
    });
}

#[test]
fn both_ways_in_lockstep() {
    promise(async {
        let mut setting = setting("").await;
        let (sender, receiver) = mpsc::channel(1);
        let call = setting.client.both(sending(ReceiverStream::new(receiver)));
        let reply = call.await.expect("OK");
        assert_eq!(
            reply.metadata().get("x-sent").expect("metadata"),
            "with the request"
        );
        let mut replies = reply.into_inner();
        // Each note is sent only after the one before has come back: nothing may be held back.
        for number in 0..100 {
            sender.send(Note::new("n", number)).await.expect("sent");
            let note = expect("a note", replies.message())
                .await
                .expect("no status yet");
            assert_eq!(note, Some(Note::new("n", number)));
        }
        sender.send(Note::new("fail", 0)).await.expect("sent");
        let status = expect("the status", replies.message())
            .await
            .expect_err("the status");
        assert_is_the_failure(&status);
    });
}

#[test]
fn both_ways_to_a_clean_end() {
    promise(async {
        let mut setting = setting("retry: off").await;
        let notes = (0..100).map(|number| Note::new("n", number));
        let reply = setting
            .client
            .both(sending(tokio_stream::iter(notes)))
            .await
            .expect("OK");
        let notes: Vec<_> = expect("all notes", reply.into_inner().collect()).await;
        assert_eq!(notes.len(), 100);
        assert!(notes.iter().all(Result::is_ok));
    });
}

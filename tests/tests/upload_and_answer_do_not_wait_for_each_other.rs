//! An upload goes on while its answer comes down, whoever of the two sides reads first, and after it.

use remora_tests::ambassador::Ambassador;
use remora_tests::promise::{expect, promise};
use remora_tests::scripted::Scripted;
use remora_tests::wire::Wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

const UPLOAD: usize = 30 << 20;
const ANSWER: usize = 10 << 20;

/// An upstream that sends its whole answer at once, and reads the upload besides.
fn answering_at_once(tell: mpsc::UnboundedSender<usize>) -> Scripted {
    Scripted::start(move |mut wire, _| {
        let tell = tell.clone();
        async move {
            let _ = wire.head().await;
            let (mut read, mut write, ahead) = wire.split();
            let reading = tokio::spawn(async move {
                let (mut total, mut buffer) = (ahead.len(), vec![0; 1 << 16]);
                while total < UPLOAD {
                    match read.read(&mut buffer).await {
                        Ok(0) | Err(_) => break,
                        Ok(count) => total += count,
                    }
                }
                let _ = tell.send(total);
            });
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {ANSWER}\r\n\r\n");
            let _ = write.write_all(head.as_bytes()).await;
            let _ = write.write_all(&vec![b'a'; ANSWER]).await;
            let _ = reading.await;
        }
    })
}

#[test]
fn a_client_may_send_everything_before_it_reads() {
    promise(async {
        let (tell, mut told) = mpsc::unbounded_channel();
        let origin = answering_at_once(tell);
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {UPLOAD}\r\n\r\n");
        wire.send(head).await.expect("sent");
        wire.send(vec![b'u'; UPLOAD]).await.expect("sent");
        assert_eq!(expect("the upload", told.recv()).await, Some(UPLOAD));
        wire.head().await.expect("a head");
        assert_eq!(wire.exactly(ANSWER).await.expect("a body").len(), ANSWER);
    });
}

#[test]
fn an_answer_that_is_whole_does_not_end_the_upload() {
    promise(async {
        let (tell, mut told) = mpsc::unbounded_channel();
        let origin = Scripted::start(move |mut wire, _| {
            let tell = tell.clone();
            async move {
                for _ in 0..2 {
                    let Ok(_) = wire.head().await else { return };
                    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    let _ = wire.send(answer).await;
                    let came = wire.exactly(2_000_000).await;
                    let _ = tell.send(came.map_or(0, |came| came.len()));
                }
            }
        });
        let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
        let mut wire = Wire::connect(ambassador.address()).await;
        for _ in 0..2 {
            let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n";
            wire.send(head).await.expect("sent");
            wire.send(vec![b'u'; 1_999_000]).await.expect("sent");
            wire.through("ok").await.expect("an answer");
            wire.send(vec![b'u'; 1_000]).await.expect("sent");
            assert_eq!(expect("the upload", told.recv()).await, Some(2_000_000));
        }
        assert_eq!(origin.connections(), 1, "the connection was used again");
    });
}

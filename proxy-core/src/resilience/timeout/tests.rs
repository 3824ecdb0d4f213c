//! A silent service runs into the limit, an upload that goes on does not.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, service_fn};

use super::{Bound, TimeoutLayer};
use crate::body::Body;
use crate::fault::{Fault, Reason};

const LIMIT: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn a_silent_service_times_out_at_the_limit() {
    let mut timeout =
        TimeoutLayer::new(LIMIT, Bound::Request).layer(service_fn(|_: Request<Body>| {
            std::future::pending::<Result<(), Fault>>()
        }));
    let begun = Instant::now();
    let fault = timeout.call(Request::new(Body::empty())).await.unwrap_err();
    assert_eq!(fault.reason(), Reason::ResponseTimeout);
    assert_eq!(begun.elapsed(), LIMIT);
    assert!(fault.detail().contains("timeout.request"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn a_long_upload_is_no_timeout_and_a_stalled_one_is() {
    for (pause, ends_well) in [
        (Duration::from_secs(1), true),
        (Duration::from_secs(10), false),
    ] {
        let chunks = futures_util::stream::unfold(0, move |n| async move {
            sleep(pause).await;
            (n < 6).then(|| {
                (
                    Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))),
                    n + 1,
                )
            })
        });
        let body = Body::boxed(Box::pin(
            StreamBody::new(chunks).map_err(|never| match never {}),
        ));
        let read = service_fn(|request: Request<Body>| async {
            request.into_body().collect().await.map(|_| ())
        });
        let result = TimeoutLayer::new(LIMIT, Bound::Request)
            .layer(read)
            .call(Request::new(body))
            .await;
        assert_eq!(result.is_ok(), ends_well);
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_upload_that_is_over_does_not_double_the_limit() {
    let mut timeout = TimeoutLayer::new(LIMIT, Bound::Request).layer(service_fn(
        |request: Request<Body>| async move {
            request.into_body().collect().await?;
            std::future::pending::<Result<(), Fault>>().await
        },
    ));
    let begun = Instant::now();
    timeout
        .call(Request::new(Body::full("abc")))
        .await
        .unwrap_err();
    assert_eq!(begun.elapsed(), LIMIT);
}

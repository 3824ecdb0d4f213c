//! `traceparent` (W3C Trace Context) passes as it came, or is made when there is none or a bad one;
//! its trace id is the access log's.

use http::HeaderValue;
use remora_tests::ambassador::Ambassador;
use remora_tests::client::{get, once};
use remora_tests::origin::{Origin, ok};
use remora_tests::promise::promise;

const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What the origin got, and the trace id in the access log, for a request with this field.
async fn traced(given: Option<&'static str>) -> (String, String) {
    let origin = Origin::start(|_| async { ok("fine") });
    let ambassador = Ambassador::serving(&format!("to: http://{}", origin.address())).await;
    let mut request = get("/traced");
    if let Some(given) = given {
        request
            .headers_mut()
            .insert("traceparent", HeaderValue::from_static(given));
    }
    once(ambassador.address(), request)
        .await
        .expect("an answer");
    let recorded = origin.received(1).await.remove(0);
    let values: Vec<_> = recorded.headers.get_all("traceparent").iter().collect();
    assert_eq!(values.len(), 1, "{values:?}");
    let line = ambassador.logged("/traced").await;
    let id = line["trace_id"].as_str().unwrap_or_default().to_owned();
    (values[0].to_str().unwrap_or_default().to_owned(), id)
}

fn assert_well_formed(value: &str) {
    let parts: Vec<&str> = value.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    assert_eq!(lengths, [2, 32, 16, 2], "{value}");
    let hexadecimal = |letter: char| matches!(letter, '0'..='9' | 'a'..='f' | '-');
    assert!(
        value.starts_with("00-") && value.chars().all(hexadecimal),
        "{value}"
    );
    let nothing = |part: &str| part.chars().all(|letter| letter == '0');
    assert!(!nothing(parts[1]) && !nothing(parts[2]), "{value}");
}

#[test]
fn one_that_came_is_kept() {
    promise(async {
        let (value, id) = traced(Some(GIVEN)).await;
        assert_eq!((value.as_str(), id.as_str()), (GIVEN, &GIVEN[3..35]));
    });
}

#[test]
fn one_is_made_when_there_is_none() {
    promise(async {
        let (one, id) = traced(None).await;
        assert_well_formed(&one);
        assert_eq!(&one[3..35], id);
        let (other, _) = traced(None).await;
        assert_ne!(one, other);
    });
}

#[test]
fn a_bad_one_is_replaced() {
    promise(async {
        for bad in [
            "nonsense",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        ] {
            let (value, id) = traced(Some(bad)).await;
            assert_well_formed(&value);
            assert_eq!(&value[3..35], id);
        }
    });
}

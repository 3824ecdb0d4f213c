//! Quantities are read and written without loss.

use proptest::prelude::*;

use crate::config::{Duration, ListenAddress, Percent, Rate, RetryOn, Size, StatusRange, Url};

#[test]
fn quantities_are_written_in_their_largest_whole_unit() {
    for text in ["0s", "1ms", "1500ms", "90s", "1m", "1h", "8760h"] {
        assert_eq!(
            text.parse::<Duration>().map(|d| d.to_string()),
            Ok(text.to_owned())
        );
    }
    for text in ["0B", "1B", "1025B", "64KiB", "10MiB", "1GiB"] {
        assert_eq!(
            text.parse::<Size>().map(|s| s.to_string()),
            Ok(text.to_owned())
        );
    }
    assert_eq!("60s".parse::<Duration>(), "1m".parse());
}

#[test]
fn quantities_that_no_type_holds_are_refused() {
    for text in [
        "",
        "s",
        "-1s",
        "1.5s",
        "1 s",
        "1s2",
        "1d",
        "8761h",
        "99999999999999999999s",
        "+1s",
        "1S",
    ] {
        assert!(text.parse::<Duration>().is_err(), "{text}");
    }
    for text in ["KiB", "1KB", "1kib", "9999999999999GiB", "1"] {
        assert!(text.parse::<Size>().is_err(), "{text}");
    }
    for text in ["101%", "%", "1", "20 %", "300%"] {
        assert!(text.parse::<Percent>().is_err(), "{text}");
    }
    for text in ["1/m", "/s", "10", "4294967296/s"] {
        assert!(text.parse::<Rate>().is_err(), "{text}");
    }
    for text in ["99", "600", "6xx", "0xx", "xx", "502-", "-502", "5x", "+50"] {
        assert!(text.parse::<RetryOn>().is_err(), "{text}");
    }
}

#[test]
fn statuses_are_written_short() {
    for text in ["503", "502-504", "5xx", "400-599"] {
        assert_eq!(
            text.parse::<RetryOn>().map(|on| on.to_string()),
            Ok(text.to_owned())
        );
    }
    assert_eq!("500-599".parse::<RetryOn>(), "5xx".parse());
    assert!(
        StatusRange::new(500, 599).is_some_and(|range| range.contains(503) && !range.contains(404))
    );
}

#[test]
fn addresses_and_urls_are_written_as_they_are_read() {
    for text in ["localhost:0", "*:80", "127.0.0.1:1", "[::1]:65535"] {
        assert_eq!(
            text.parse::<ListenAddress>().map(|a| a.to_string()),
            Ok(text.to_owned())
        );
    }
    for text in [
        "http://a:80",
        "h2c://[::1]:8080",
        "tcp://a_b.c-d.:1",
        "http://1.2.3.4:1",
        "unix:/run/app.sock",
        "h2c://unix:/run/app.sock",
        "tcp://unix:/a",
    ] {
        assert_eq!(
            text.parse::<Url>().map(|url| url.to_string()),
            Ok(text.to_owned())
        );
    }
}

#[test]
fn a_socket_is_written_in_one_way_and_read_in_those_of_others() {
    for text in [
        "unix:///run/app.sock",
        "http://unix:/run/app.sock",
        "http://unix:///run/app.sock",
    ] {
        let url = text.parse::<Url>().map(|url| url.to_string());
        assert_eq!(url, Ok("unix:/run/app.sock".to_owned()), "{text}");
    }
    let long = format!("unix:/{}", "a".repeat(107));
    for (text, said) in [
        ("unix:app.sock", "does not begin with `/`"),
        ("unix:/run/", "is that of a folder"),
        ("unix:", "does not begin with `/`"),
        // As nginx has it, with the path of a request behind the socket's.
        (
            "http://unix:/run/app.sock:/users",
            "write `unix:/run/app.sock`",
        ),
        (
            "https://unix:/run/app.sock",
            "write `http://unix:/run/app.sock`",
        ),
        (
            "tls://unix:/run/app.sock",
            "write `tcp://unix:/run/app.sock`",
        ),
        // As Caddy and Docker have it.
        (
            "unix//run/app.sock",
            "`unix:/run/app.sock`, or `h2c://unix:",
        ),
        (
            "unix+h2c://run/app.sock",
            "`unix:/run/app.sock`, or `h2c://unix:",
        ),
        ("/run/app.sock", "`unix:/run/app.sock`, or `h2c://unix:"),
        (&*long, "more than 107 bytes"),
        ("unix:/run/\u{7}", "a control character"),
    ] {
        let error = text.parse::<Url>().unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
    // A host of that name stays one.
    assert!(
        "http://unix:80"
            .parse::<Url>()
            .is_ok_and(|url| url.port == 80)
    );
}

proptest! {
    #[test]
    fn what_is_written_reads_back(millis in any::<u64>(), bytes in any::<u64>(), rate in any::<u32>(), percent in any::<u8>()) {
        let duration = Duration::from_millis(millis);
        prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        let size = Size::from_bytes(bytes);
        prop_assert_eq!(size.to_string().parse(), Ok(size));
        let rate = Rate::per_second(rate);
        prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        let percent = Percent::new(percent);
        prop_assert_eq!(percent.to_string().parse(), Ok(percent));
    }

    #[test]
    fn no_text_breaks_a_value(text in any::<String>(), near in "(unix:)?[-a-z0-9:/@?#.*%\\[\\]]{0,24}") {
        for text in [text, near] {
            let _ = text.parse::<Duration>();
            let _ = text.parse::<Size>();
            let _ = text.parse::<ListenAddress>();
            if let Ok(url) = text.parse::<Url>() {
                prop_assert_eq!(url.to_string().parse(), Ok(url));
            }
            let _ = format!("http://{text}").parse::<Url>();
            let _ = text.parse::<RetryOn>();
        }
    }
}

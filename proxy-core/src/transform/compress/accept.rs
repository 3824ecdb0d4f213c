//! What a client accepts (RFC 9110, 12.5.3 and 12.4.2).

use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
    /// RFC 8878, within the window of RFC 9659.
    Zstd,
}

impl Coding {
    /// Its name in `Content-Encoding`.
    pub fn token(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn is(self, token: &str) -> bool {
        token.eq_ignore_ascii_case(self.token())
            || self == Self::Gzip && token.eq_ignore_ascii_case("x-gzip")
    }
}

/// The coding of `ours` that the client likes best; among equals the first. None where it likes none
/// better than the body as it is.
pub(super) fn choose(headers: &HeaderMap, ours: &[Coding]) -> Option<Coding> {
    let weights = |is: &dyn Fn(&str) -> bool| {
        let mut found = items(headers).filter(|(token, _)| is(token));
        found.next().map(|(_, weight)| weight)
    };
    let any = weights(&|token| token == "*");
    let identity = weights(&|token| token.eq_ignore_ascii_case("identity"));
    let mut best = None;
    for coding in ours {
        let weight = weights(&|token| coding.is(token)).or(any).unwrap_or(0);
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((*coding, weight));
        }
    }
    let (coding, weight) = best?;
    (identity.unwrap_or(0) <= weight).then_some(coding)
}

/// The names in `Accept-Encoding` with their weights in thousandths. What is no weight counts as none.
fn items(headers: &HeaderMap) -> impl Iterator<Item = (&str, u16)> {
    let lines = headers.get_all(ACCEPT_ENCODING).iter();
    let lines = lines.filter_map(|line: &HeaderValue| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|item| {
        let (token, parameter) = item.split_once(';').unwrap_or((item, "q=1"));
        (token.trim(), weight(parameter.trim()).unwrap_or(0))
    })
}

/// `q=0` to `q=1`, with up to three digits after the point.
fn weight(text: &str) -> Option<u16> {
    let text = text.strip_prefix(['q', 'Q'])?.trim_start();
    let text = text.strip_prefix('=')?.trim_start();
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{digits:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", part) => Some(part),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_coding_is_chosen() {
        use Coding::{Brotli, Gzip, Zstd};
        for (accepted, chosen) in [
            (&[][..], None),
            (&[""], None),
            (&["gzip"], Some(Gzip)),
            (&["GZip"], Some(Gzip)),
            (&["x-gzip"], Some(Gzip)),
            (&["gzip, deflate, br, zstd"], Some(Zstd)),
            (&["gzip, deflate, br"], Some(Brotli)),
            (&["gzip", "br"], Some(Brotli)),
            (&["gzip;q=1.0, br;q=0.5"], Some(Gzip)),
            (&["gzip;q=0.001"], Some(Gzip)),
            (&["gzip ; Q=0.8 ,br;q = 0.9"], Some(Brotli)),
            (&["gzip;q=0"], None),
            (&["gzip;q=0.000, br"], Some(Brotli)),
            (&["*"], Some(Zstd)),
            (&["zstd;q=0, *"], Some(Brotli)),
            (&["*;q=0"], None),
            (&["gzip, *;q=0"], Some(Gzip)),
            (&["identity"], None),
            (&["identity, gzip"], Some(Gzip)),
            (&["identity, gzip;q=0.5"], None),
            (&["identity;q=0.5, gzip"], Some(Gzip)),
            (&["identity;q=0, deflate"], None),
            (&["deflate"], None),
            (&["gzip;q=2, br;q=x"], None),
            (&["gzip;q=0.1234"], None),
            (&["gzip;q=1.001"], None),
            (&["gzip;q=+1"], None),
            (&["gzip;level=9"], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in accepted {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_static(line));
            }
            assert_eq!(
                choose(&headers, &[Zstd, Brotli, Gzip]),
                chosen,
                "{accepted:?}"
            );
        }
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("gzip, br, zstd"));
        assert_eq!(choose(&headers, &[Gzip, Zstd]), Some(Gzip));
        assert_eq!(choose(&headers, &[]), None);
    }
}

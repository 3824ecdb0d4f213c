//! The parameters of a query, as `application/x-www-form-urlencoded` has them.

/// The bytes of the first parameter of this name, decoded.
pub(super) fn first<'q>(query: &'q str, name: &str) -> Option<impl Iterator<Item = u8> + 'q> {
    let mut parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    parameters.find_map(|parameter| {
        let (own, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        decoded(own).eq(name.bytes()).then(|| decoded(value))
    })
}

/// A `+` is a space, and an escape that encodes nothing stays as it is.
fn decoded(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (first, others) = rest.split_first()?;
        rest = others;
        match (first, others) {
            (b'+', _) => Some(b' '),
            (b'%', [high, low, after @ ..]) => {
                let Some(byte) = digit(*high).zip(digit(*low)) else {
                    return Some(b'%');
                };
                rest = after;
                Some(byte.0 << 4 | byte.1)
            }
            _ => Some(*first),
        }
    })
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_parameter_of_a_name_counts() {
        for (query, name, value) in [
            ("a=1", "a", Some("1")),
            ("b=2&a=1&a=3", "a", Some("1")),
            ("a", "a", Some("")),
            ("a=", "a", Some("")),
            ("a=b=c", "a", Some("b=c")),
            ("&&a=1", "a", Some("1")),
            ("", "a", None),
            ("", "", None),
            ("=1", "", Some("1")),
            ("A=1", "a", None),
            ("a=1;b=2", "b", None),
            ("%61=%41+%2B", "a", Some("A +")),
            ("a=%zz%4", "a", Some("%zz%4")),
            ("a=%C3%A4", "a", Some("ä")),
        ] {
            let found = first(query, name).map(|bytes| String::from_utf8(bytes.collect()).unwrap());
            assert_eq!(found.as_deref(), value, "{query} {name}");
        }
    }
}

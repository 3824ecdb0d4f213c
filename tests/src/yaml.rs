//! YAML as JSON values, for files of the repository that a test reads.
//!
//! Plain `true`, `false`, `null` and whole numbers are what they look like; every other scalar is text.
//! Tags, anchors and aliases are left out.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// The documents of a file, in their order.
///
/// # Panics
///
/// When the text is not YAML, or has an alias or a key that is no scalar.
pub fn documents(text: &str) -> Vec<Value> {
    let mut events = Parser::new_from_str(text).map(|event| {
        let (event, _) = event.unwrap_or_else(|why| panic!("{why} in\n{text}"));
        event
    });
    let mut found = Vec::new();
    while let Some(event) = events.next() {
        if matches!(event, Event::DocumentStart(_)) {
            let first = events.next().expect("a document has content");
            found.push(value(first, &mut events));
        }
    }
    found
}

/// The value that begins with `event`.
fn value<'t>(event: Event<'t>, rest: &mut impl Iterator<Item = Event<'t>>) -> Value {
    match event {
        Event::Scalar(text, style, ..) => scalar(&text, style == ScalarStyle::Plain),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match rest.next().expect("the end of a list") {
                    Event::SequenceEnd => return Value::Array(items),
                    item => items.push(value(item, rest)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut map = Map::new();
            loop {
                match rest.next().expect("the end of a map") {
                    Event::MappingEnd => return Value::Object(map),
                    Event::Scalar(key, ..) => {
                        let item = rest.next().expect("a value for a key");
                        map.insert(key.into_owned(), value(item, rest));
                    }
                    other => panic!("{other:?} is no key"),
                }
            }
        }
        other => panic!("{other:?} is not read here"),
    }
}

fn scalar(text: &str, plain: bool) -> Value {
    match text {
        "" | "~" | "null" if plain => Value::Null,
        "true" | "false" if plain => Value::Bool(text == "true"),
        _ => match text.parse::<i64>() {
            Ok(number) if plain => number.into(),
            _ => text.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::documents;
    use serde_json::json;

    #[test]
    fn documents_are_told_apart_and_scalars_by_their_looks() {
        let text = "a: {b: [1, '1', 5%], c: true}\nd: |\n  x: 1\n---\n- ~\n";
        let wanted = [
            json!({"a": {"b": [1, "1", "5%"], "c": true}, "d": "x: 1\n"}),
            json!([null]),
        ];
        assert_eq!(documents(text), wanted);
    }
}

//! The JSON schema of the file, for editors and other tools.

use serde_json::Value;

use super::Config;

/// The JSON schema of the configuration file, draft 2020-12.
///
/// It knows each key with its description and default, and each unit with its pattern; a value with
/// `${NAME}` in it is always accepted. Rules that join several values are beyond it.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    schema["title"] = "Remora configuration".into();
    tidy(&mut schema);
    schema
}

/// Joins the lines of descriptions, and drops what follows from how sections are ignored.
fn tidy(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(map) => {
            map.remove("writeOnly");
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            map.values_mut().for_each(tidy);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

//! The JSON schema of the file, for editors and other tools.

/// The JSON schema of the configuration file, draft 2020-12.
///
/// It knows each key with its description and default, and each unit with its pattern; a value with
/// `${NAME}` in it is always accepted. Rules that join several values are beyond it.
///
/// It is derived from the types of this module when their tests run, and not in the program, which carries
/// nothing of what derives it.
pub fn schema() -> &'static str {
    include_str!("schema.json")
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::Value;
    use serde_json::ser::PrettyFormatter;

    use crate::config::Config;

    /// Where the schema is kept.
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/schema.json");

    #[test]
    fn the_file_holds_what_the_types_say() {
        let derived = derived();
        if std::env::var_os("REMORA_WRITE_SCHEMA").is_some() {
            std::fs::write(FILE, written(&derived)).unwrap();
            return;
        }
        assert!(
            serde_json::from_str::<Value>(super::schema()).ok() == Some(derived),
            "schema.json is not what the types say; write it anew with \
             `REMORA_WRITE_SCHEMA=1 cargo test --package proxy-core the_file_holds_what_the_types_say`"
        );
    }

    /// Indented by one space a level: programs carry the file as it is.
    fn written(schema: &Value) -> String {
        let mut bytes = Vec::new();
        let indented = PrettyFormatter::with_indent(b" ");
        let mut to = serde_json::Serializer::with_formatter(&mut bytes, indented);
        schema.serialize(&mut to).unwrap();
        String::from_utf8(bytes).unwrap() + "\n"
    }

    fn derived() -> Value {
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
}

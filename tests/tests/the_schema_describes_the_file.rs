//! `ambassador schema` prints a JSON Schema that names every key of the file.

use remora_tests::ambassador::run;
use remora_tests::promise::promise;
use serde_json::Value;

#[test]
fn the_schema_is_json_and_names_the_keys() {
    promise(async {
        let output = run(&["schema"]).await;
        assert_eq!(output.status.code(), Some(0));
        let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(schema["$schema"].is_string(), "{schema}");
        for key in [
            "admin",
            "workers",
            "access-log",
            "drain",
            "dns",
            "ambassador",
        ] {
            assert!(
                schema["properties"][key].is_object(),
                "no {key} at the top level"
            );
        }
        let text = schema.to_string();
        for key in [
            "listen",
            "to",
            "discover",
            "host",
            "timeout",
            "retry",
            "eject",
            "health",
            "balance",
            "pool",
            "tls",
            "hedge",
            "limit",
            "inject",
            "mirror",
            "paths",
            "send-proxy",
            "proxy-protocol",
        ] {
            assert!(
                text.contains(&format!("\"{key}\":{{")),
                "no {key} in an entry"
            );
        }
    });
}

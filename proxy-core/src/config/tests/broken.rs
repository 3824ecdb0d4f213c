//! Files that are not what the grammar builds on: text, YAML, one document, of a sane size.

use super::support::{assert_mistake, document, mistakes};
use crate::config::{parse_bytes, read};

#[test]
fn what_yaml_has_beyond_the_grammar_is_refused() {
    assert_mistake(
        "admin: &x off",
        "1:8 anchors are not supported | write each value out in its place",
    );
    assert_mistake(
        "admin: !!str off",
        "1:8 the tag `tag:yaml.org,2002:!str` is not supported | write the value without a tag",
    );
    assert_mistake(
        "[a]: 1\n",
        "1:1 a list or a map stands as a key | a key is a single word",
    );
    assert_mistake(
        "admin: off\n---\nadmin: off\n",
        "2:1 a second document starts here | one file holds one document",
    );
    let alias = mistakes("admin: *:9000");
    assert!(
        alias[0].starts_with("1:8 aliases are not supported | a word that starts with `*`"),
        "{alias:?}"
    );
    let deep = mistakes(&"[".repeat(100));
    assert_eq!(
        deep,
        ["1:33 more than 32 levels of lists and maps | nothing here goes so deep"]
    );
    let wide = mistakes(&format!("sidecar: [{}]", "a,".repeat(100_000)));
    assert!(wide[0].contains("more than 100000 values"), "{wide:?}");
}

#[test]
fn malformed_yaml_is_told_alone_and_located() {
    let tab = mistakes("nonsense: 1\nambassador:\n\tusers: 1\n");
    assert_eq!(tab.len(), 1);
    assert!(tab[0].starts_with("3:2 this is not YAML: "), "{tab:?}");
    assert!(
        tab[0].ends_with("| indent with spaces, not with tabs"),
        "{tab:?}"
    );
    let open = mistakes("admin: \"x\nworkers: [");
    assert_eq!(open.len(), 1);
    assert!(open[0].contains("this is not YAML: "), "{open:?}");
}

#[test]
fn a_file_without_settings_is_a_mistake() {
    for text in ["", "\n\n", "# only this\n", "---\n", "null\n", "\u{feff}"] {
        assert!(
            mistakes(text)[0].starts_with("-:- the file holds no settings | write an entry"),
            "{text:?}"
        );
    }
}

#[test]
fn files_that_are_no_text_or_not_there_are_mistakes() {
    let none = |_: &str| None;
    let error = parse_bytes(b"admin: off\nworkers: \xff", "remora.yaml", &none).unwrap_err();
    assert_eq!(
        error.iter().next().map(|e| (e.line(), e.column())),
        Some((Some(2), Some(10)))
    );
    let error = parse_bytes(&vec![b'a'; (1 << 20) + 1], "remora.yaml", &none).unwrap_err();
    assert!(error.to_string().contains("more than 1 MiB"));
    let error = read(std::path::Path::new("no/such/file.yaml"), &none).unwrap_err();
    assert!(
        error.to_string().contains("--> no/such/file.yaml"),
        "{error}"
    );
}

#[test]
fn hostile_files_are_refused_quickly() {
    let many = 1 << 18;
    for piece in [
        "[", "{", "- ", "? ", "{a: ", "[a, ", "\"", "a: ", "&a ", "!a ", "*a ", "${", "a\n", "'\n",
        "|\n ", "}",
    ] {
        let start = std::time::Instant::now();
        let _ = document(&piece.repeat(many / piece.len()));
        let took = start.elapsed();
        assert!(took.as_secs() < 5, "{piece:?} took {took:?}");
    }
}

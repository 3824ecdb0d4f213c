//! No text makes the reader panic, and what it accepts survives being written out.

use proptest::prelude::*;

use super::support::{FULL, document};
use crate::config::{Section, effective, parse_bytes};

/// Reads a text; errors must be printable, and an accepted configuration must read back equal.
fn survives(text: &str) -> Result<(), TestCaseError> {
    match document(text) {
        Err(errors) => prop_assert!(errors.to_string().contains("error")),
        Ok(first) => {
            let written = effective(&first.config);
            let again = document(&written).map(|document| document.config);
            prop_assert_eq!(again.ok(), Some(first.config), "{}", written);
        }
    }
    Ok(())
}

/// The same of another role.
fn survives_as(section: Section, text: &str) -> Result<(), TestCaseError> {
    let read = |text: &str| section.parse(text, "remora.yaml", &|_| None);
    match read(text) {
        Err(errors) => prop_assert!(errors.to_string().contains("error")),
        Ok(first) => {
            let written = effective(&first.config);
            let again = read(&written).map(|document| document.config);
            prop_assert_eq!(again.ok(), Some(first.config), "{}", written);
        }
    }
    Ok(())
}

/// An inbound file with keys of every kind.
const INBOUND: &str = "admin: off
drain: {delay: 1s}
sidecar:
  web:
    listen: :8443
    to: http://localhost:8080
    host: upstream
    forwarded: {trust: [10.0.0.0/8, '::1'], fields: [forwarded, x-forwarded]}
    retry: {attempts: 1}
    health: {path: /healthz}
    paths: {/a: {retry: {on: [connect, 503]}}}
ambassador: {users: {zzz: '${NOPE}'}}
";

/// A file of the edge role with keys of every kind.
const INGRESS: &str = "ingress:
  edge:
    listen: :8443
    tls: {folder: /certs, hosts: {a.test: {client-ca: ca.pem}}}
    hsts: {subdomains: true}
    compress: {types: [text/*]}
    errors: {'404': missing.html}
    passthrough: {deep.test: tcp://deep:443}
    routes:
      a.test: http://a
      'GET b.test=/x#b': {to: [http://b, {to: http://c, weight: 2}], rewrite: {path: /y}}
      c.test~/x: {redirect: {scheme: https, port: 8443}}
      d.test: {when: {query: {a: '~b'}}, respond: {status: 404, body: no, content-type: text/html}}
";

/// Pieces of files, right and wrong.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "ambassador",
        "users",
        "listen",
        "to",
        "retry",
        "timeout",
        "admin",
        "workers",
        "sidecar",
        "forwarded",
        ":8443",
        "10.0.0.0/8",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "\"",
        "'",
        "${PORT}",
        "${NOPE:-1}",
        "${",
        "}",
        "$$",
        "off",
        "5s",
        "5",
        "64KiB",
        "localhost:9000",
        "http://a:1",
        "&a ",
        "*a",
        "!!str ",
        "# x",
        "|\n",
        ">-\n",
        "---\n",
        "...\n",
        "\t",
        "? ",
        "\u{feff}",
        "\u{e000}",
        "%YAML 1.2\n",
        "\\",
        "é",
        "\r",
        "0x1f",
        "~",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn on_arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_bytes(&bytes, "remora.yaml", &|_| None);
    }

    #[test]
    fn on_arbitrary_text(text in any::<String>()) {
        survives(&text)?;
    }

    #[test]
    fn on_pieces_of_files(pieces in prop::collection::vec(piece(), 0..40)) {
        survives(&pieces.concat())?;
    }

    #[test]
    fn on_a_file_with_pieces_put_in(at in 0..FULL.len(), cut in 0..12_usize, new in piece()) {
        let (start, end) = (at, (at + cut).min(FULL.len()));
        prop_assume!(FULL.is_char_boundary(start) && FULL.is_char_boundary(end));
        survives(&format!("{}{new}{}", &FULL[..start], &FULL[end..]))?;
    }

    #[test]
    fn on_an_inbound_file_with_pieces_put_in(at in 0..INBOUND.len(), cut in 0..12_usize, new in piece()) {
        let (start, end) = (at, (at + cut).min(INBOUND.len()));
        survives_as(Section::Sidecar, &format!("{}{new}{}", &INBOUND[..start], &INBOUND[end..]))?;
    }

    #[test]
    fn on_an_ingress_file_with_pieces_put_in(at in 0..INGRESS.len(), cut in 0..12_usize, new in piece()) {
        let (start, end) = (at, (at + cut).min(INGRESS.len()));
        survives_as(Section::Ingress, &format!("{}{new}{}", &INGRESS[..start], &INGRESS[end..]))?;
    }
}

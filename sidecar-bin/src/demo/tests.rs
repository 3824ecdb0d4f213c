//! The demo's parts that need no clock and no socket.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use proxy_cli::demo::{Picture as _, Sum};
use proxy_core::config::Section;
use proxy_core::runtime::Loaded;

use super::caller::{self, KINDS};
use super::identities::{HOSTS, Identities, KNOWN};
use super::run::{introduction, invitation};
use super::script::{ACTS, Act, KEPT};
use super::sidecar::configuration;
use super::table::{Picture, Row};

const WIDTH: usize = 80;

const WORKLOAD: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    u16::MAX,
);

#[test]
fn what_is_kept_running_does_all_but_end() {
    assert!(ACTS.is_sorted_by_key(|(at, _)| *at));
    assert!(KEPT.iter().all(|(_, act)| *act != Act::Drain));
    assert_eq!(KEPT.len() + 1, ACTS.len());
}

#[test]
fn the_configuration_is_good_and_its_folder_goes() {
    let identities = Identities::make().unwrap();
    let folder = identities.folder().to_owned();
    let mode = folder.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let text = configuration(&identities, WORKLOAD);
    let shown = introduction(&text) + &invitation(&folder, WORKLOAD, false);
    let plain = shown.lines().filter(|line| !line.contains("remora-demo-"));
    for line in plain {
        assert!(line.len() <= WIDTH, "{line}");
    }
    let document = Section::Sidecar.parse(&text, "the demo", &|_| None);
    let document = document.unwrap_or_else(|errors| panic!("{errors}"));
    let loaded = Loaded::compile(&document).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.plan.entries.len(), 1);
    drop(identities);
    assert!(!folder.exists());
}

#[test]
fn certificates_name_those_who_have_one() {
    let identities = Identities::make().unwrap();
    for name in KNOWN {
        assert_eq!(identities.named(identities.told(name)), Some(name));
    }
    assert_eq!(identities.named("::"), None);
    assert_eq!(identities.told("guest"), "");
    assert!(KINDS.iter().all(|kind| HOSTS.contains(&kind.host)));
}

fn picture() -> Picture {
    let row = |kind: &caller::Kind| Row {
        name: kind.name,
        certificate: kind.certificate,
        host: kind.host,
        alpn: kind.alpn,
        sum: caller::Sum {
            requests: 12_345,
            refused: 1,
            connections: 7,
            resumed: 6,
        },
        told: "nobody from 127.0.0.1".to_owned(),
    };
    Picture {
        rows: KINDS.iter().map(row).collect(),
        seen: Sum {
            requests: 49_380,
            failures: 0,
            p50: Duration::from_micros(4130),
            p99: Duration::from_millis(1250),
        },
        is_well: true,
        is_ready: false,
    }
}

#[test]
fn the_table_is_aligned_and_fits_eighty_columns() {
    let text = picture().table();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().all(|line| line.len() <= WIDTH), "{text}");
    let end = |line: &str, part: &str| line.find(part).map(|start| start + part.len());
    assert_eq!(end(lines[0], "requests"), end(lines[1], "12,345"), "{text}");
    assert_eq!(lines[0].find("HTTP"), lines[2].find("1.1 "), "{text}");
    assert_eq!(
        lines[0].find("the workload"),
        lines[3].find("nobody"),
        "{text}"
    );
    assert!(lines.contains(&"connections         28"), "{text}");
    assert!(lines.contains(&"sidecar      not ready"), "{text}");
}

#[test]
fn a_line_has_its_figures_under_the_headings() {
    let text = picture().line(10);
    assert_eq!(text.len(), Picture::HEADINGS.len(), "{text}");
    assert!(text.len() <= WIDTH);
}

//! The demo's parts that need no clock.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use proxy_cli::demo::{Picture as _, Sum};
use proxy_core::config::Section;
use proxy_core::runtime::Loaded;

use super::caller::KINDS;
use super::ingress::{Counts, Files, HOSTS, configuration};
use super::run::{introduction, invitation};
use super::script::{ACTS, Act, KEPT};
use super::services::Services;
use super::table::{Picture, Row};

const WIDTH: usize = 80;

const LISTENER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), u16::MAX);

#[test]
fn what_is_kept_running_does_all_but_end() {
    assert!(ACTS.is_sorted_by_key(|(at, _)| *at));
    assert!(KEPT.iter().all(|(_, act)| *act != Act::End));
    assert_eq!(KEPT.len() + 1, ACTS.len());
}

#[test]
fn the_configuration_is_good_and_its_folder_goes() {
    let (files, services) = (Files::make().unwrap(), Services::start().unwrap());
    let folder = files.folder().to_owned();
    let mode = folder.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let text = configuration(&folder, &services, services.new_blog.address());
    let shown = introduction(&text) + &invitation(&folder, LISTENER, false);
    let plain = shown.lines().filter(|line| !line.contains("remora-demo-"));
    for line in plain {
        assert!(line.len() <= WIDTH, "{line}");
    }
    let document = Section::Ingress.parse(&text, "the demo", &|_| None);
    let document = document.unwrap_or_else(|errors| panic!("{errors}"));
    let loaded = Loaded::compile(&document).unwrap_or_else(|errors| panic!("{errors}"));
    let names = loaded.plan.entries.iter().map(|entry| entry.name.clone());
    assert_eq!(names.count(), 5, "the listener and four upstreams");
    assert!(KINDS.iter().all(|kind| HOSTS.contains(&kind.host)));
    drop(files);
    assert!(!folder.exists());
}

fn picture() -> Picture {
    let row = |kind| Row {
        kind,
        answers: [("shop-1".to_owned(), 12_345), ("shop-2".to_owned(), 345)].into(),
    };
    Picture {
        rows: KINDS.iter().map(row).collect(),
        seen: Sum {
            requests: 49_380,
            failures: 0,
            p50: Duration::from_micros(4130),
            p99: Duration::from_millis(1250),
        },
        counts: Counts {
            retries: 77,
            ejections: 1,
            reloads: 1,
        },
    }
}

#[test]
fn the_table_is_aligned_and_fits_eighty_columns() {
    let text = picture().table();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().all(|line| line.len() <= WIDTH), "{text}");
    for line in &lines[1..=KINDS.len()] {
        assert_eq!(lines[0].find("answered"), line.find("shop-1"), "{text}");
    }
    assert_eq!(lines[0].find("HTTP"), lines[2].find("1.1 "), "{text}");
    assert!(lines[3].contains("shop.demo/cart (next)"), "{text}");
    assert!(lines.contains(&"retries             77"), "{text}");
}

#[test]
fn a_line_has_its_figures_under_the_headings() {
    let text = picture().line(10);
    assert_eq!(text.len(), Picture::HEADINGS.len(), "{text}");
    assert!(text.len() <= WIDTH);
}

//! `ingress demo` leads two hosts to four services, replaces one of them and loses nothing; `--keep` keeps it for curl.

use std::path::Path;

use remora_tests::kept::{Kept, shell};
use remora_tests::needs::met;
use remora_tests::promise::promise;
use remora_tests::proxy::{INGRESS, run};

#[test]
fn it_ends_well_and_its_last_table_counts_no_failure() {
    promise(async {
        let started = std::time::Instant::now();
        let output = run(INGRESS, &["demo"]).await;
        let took = started.elapsed();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{text}\n{log}");
        assert!(
            took.as_secs() < 15,
            "the demo promises less than 15 s and took {took:?}"
        );
        let mut rest = &*text;
        for event in [
            "shop.demo/api:",
            "curl https://shop.demo:",
            "x-version: next",
            "curl https://blog.demo:",
            "shop-2 answers 20 %",
            "the file leads blog.demo to new-blog",
            "the ingress has taken over the file",
            "blog is killed",
            "the ingress drains",
            "caller  asks for",
            "failures the callers saw: 0",
        ] {
            let (_, after) = rest.split_once(event).unwrap_or_else(|| {
                panic!("no `{event}`, or not in its place:\n{text}");
            });
            rest = after;
        }
        let (_, table) = text.split_once("caller  asks for").expect("a table");
        for (caller, services) in [
            ("ann ", &["shop-1 ", "shop-2 "][..]),
            ("bob ", &["api "]),
            ("cleo ", &["next "]),
            ("dan ", &["blog ", "new-blog "]),
        ] {
            let row = table.lines().find(|row| row.starts_with(caller));
            let row = row.unwrap_or_else(|| panic!("no {caller} in\n{text}"));
            assert!(services.iter().all(|one| row.contains(one)), "{text}");
        }
        for name in ["requests", "retries", "reloads"] {
            assert!(figure(table, name) > 0, "{name}\n{text}");
        }
        assert_eq!(figure(table, "failures"), 0, "{text}");
        let wide = text.lines().filter(|line| !line.contains("remora-demo-"));
        let wide: Vec<&str> = wide.filter(|line| line.chars().count() > 90).collect();
        assert!(wide.is_empty(), "{wide:#?}");
    });
}

/// The figure of a line such as `requests   12,345`.
fn figure(table: &str, name: &str) -> u64 {
    let line = table.lines().find(|line| line.starts_with(name));
    let digits = line.map(|line| line.replace(name, "").replace(',', ""));
    let number = digits.and_then(|digits| digits.trim().parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in\n{table}"))
}

#[test]
fn what_it_shows_can_be_pasted_while_it_is_kept() {
    if !met(&[("curl", "curl")], false) {
        return;
    }
    promise(async {
        let mut kept = Kept::start(INGRESS);
        let mut shown = Vec::new();
        for _ in 0..4 {
            shown.push(kept.curl().await);
        }
        let (_, folder) = shown[0].split_once("--cacert ").expect("an authority");
        let (folder, _) = folder.split_once("/ca.pem").expect("a folder");
        let folder = folder.to_owned();
        assert!(Path::new(&folder).exists());
        let shop = shell(&shown[0]).await;
        assert!(shop.starts_with("shop-") && shop.ends_with(" answers /cart\n"));
        assert_eq!(shell(&shown[1]).await, "api answers /users\n");
        assert_eq!(shell(&shown[2]).await, "next answers /cart\n");
        kept.find("blog is killed").await;
        assert_eq!(shell(&shown[3]).await, "new-blog answers /\n");
        kept.interrupt();
        kept.find("failures the callers saw: 0").await;
        assert_eq!(kept.exit().await.code(), Some(0));
        assert!(!Path::new(&folder).exists(), "the keys are gone");
    });
}

//! `ambassador demo` kills, adds and breaks replicas, and the workload sees no failure.

use remora_tests::ambassador::run;
use remora_tests::promise::promise;

#[test]
fn the_demo_ends_well_and_its_last_table_counts_no_failure() {
    promise(async {
        let started = std::time::Instant::now();
        let output = run(&["demo"]).await;
        let took = started.elapsed();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{text}\n{log}");
        assert!(
            took.as_secs() < 15,
            "the demo promises less than 15 s and took {took:?}"
        );
        let figures: Vec<(String, u64)> = text.lines().filter_map(figure).collect();
        let last = |name: &str| {
            let named = figures.iter().rev().find(|(label, _)| label.contains(name));
            named
                .unwrap_or_else(|| panic!("no figure for {name} in\n{text}"))
                .1
        };
        assert_eq!(last("failures"), 0, "{text}");
        assert!(last("requests") > 0, "{text}");
        assert!(last("tries") >= last("requests"), "{text}");
        assert!(last("ejections") > 0, "{text}");
        assert!(text.contains("p50") && text.contains("p99"), "{text}");
    });
}

/// A line such as `requests   12,345` or `failures the workload saw: 0`.
fn figure(line: &str) -> Option<(String, u64)> {
    let start = line.find(|letter: char| letter.is_ascii_digit())?;
    let (label, rest) = line.split_at(start);
    let number = rest.split_whitespace().next()?;
    let digits: String = number
        .chars()
        .filter(|letter| *letter != ',' && *letter != '_')
        .collect();
    Some((label.trim().to_lowercase(), digits.parse().ok()?))
}

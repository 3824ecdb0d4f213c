//! What a look-up costs, and what a table takes of memory, with 10 routes and with 5,000 over 1,000 hosts.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{Method, Request};
use proxy_core::route::{Field, Head, Host, Match, Path, Table, Value};

/// Five routes a host: an exact path, prefixes, a method and a header.
fn matches(hosts: usize) -> Vec<Match> {
    let of_host = |n: usize| {
        let host: Host = match n % 10 {
            0 => format!("*.tenant-{n}.example.com"),
            _ => format!("shop-{n}.example.com"),
        }
        .parse()
        .expect("a host");
        let with = |path| Match {
            host: host.clone(),
            path,
            ..Match::default()
        };
        let version = Field {
            name: http::HeaderName::from_static("x-version"),
            value: Value::Exact("2".to_owned()),
        };
        [
            with(Path::Prefix("/".to_owned())),
            with(Path::Prefix(format!("/api/v{}", n % 7))),
            with(Path::Exact("/healthz".to_owned())),
            Match {
                method: Some(Method::POST),
                ..with(Path::Prefix("/cart".to_owned()))
            },
            Match {
                headers: vec![version],
                ..with(Path::Prefix("/cart".to_owned()))
            },
        ]
    };
    (0..hosts).flat_map(of_host).collect()
}

fn request(target: &str) -> Request<()> {
    let built = Request::builder().uri(target).header("x-version", "2");
    built.body(()).expect("a request")
}

fn look_up(criterion: &mut Criterion) {
    for (name, hosts) in [("10 routes", 2), ("5000 routes", 1000)] {
        let table = Table::build(matches(hosts)).expect("a table");
        let n = hosts - 1;
        for (what, target) in [
            (
                "prefix",
                format!("http://shop-{n}.example.com/api/v{}/users/7", n % 7),
            ),
            ("exact", format!("http://shop-{n}.example.com/healthz")),
            ("header", format!("http://shop-{n}.example.com/cart/items")),
            ("wildcard", "http://a.b.tenant-0.example.com/x".to_owned()),
            ("no host", "http://a.b.example.org/".to_owned()),
        ] {
            let request = request(&target);
            let expected = what != "no host";
            assert_eq!(
                table.find(&Head::of(&request)).is_some(),
                expected,
                "{target}"
            );
            criterion.bench_function(&format!("{name}/{what}"), |bencher| {
                bencher.iter(|| table.find(&Head::of(black_box(&request))));
            });
        }
        // Each look-up is for another host than the one before, so that the table is cold.
        let spread: Vec<_> = (0..hosts)
            .map(|n| {
                request(&format!(
                    "http://shop-{n}.example.com/api/v{}/users/7",
                    n % 7
                ))
            })
            .collect();
        let mut requests = spread.iter().cycle();
        criterion.bench_function(&format!("{name}/every host in turn"), |bencher| {
            bencher.iter(|| {
                requests
                    .next()
                    .map(|request| table.find(&Head::of(request)))
            });
        });
    }
}

fn memory(_: &mut Criterion) {
    const TABLES: usize = 20;
    let before = resident();
    let tables: Vec<Table> = (0..TABLES)
        .map(|_| Table::build(matches(1000)).expect("a table"))
        .collect();
    let taken = resident().saturating_sub(before) / TABLES;
    println!(
        "a table of {} routes takes {} KiB",
        tables[0].len(),
        taken / 1024
    );
}

/// The bytes of this process that are in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

criterion_group!(benches, memory, look_up);
criterion_main!(benches);

//! What the ambassador's command line says of itself.

use proxy_cli::{Own, Role};
use proxy_core::config::Section;

use crate::demo;

pub(crate) static ROLE: Role = Role {
    section: Section::Ambassador,
    about: "The outbound proxy: calls to localhost become calls to services",
    long_about: "\
The outbound proxy: calls to localhost become calls to services.

A workload calls http://localhost:9000; the ambassador finds the service, picks an endpoint and \
retries what may be retried, so that the workload never learns that a replica died.",
    listen: "Where the workload connects to, as localhost:9000; goes with --to, and both may be repeated",
    to: "Where that leads, as http://users.default:8080 (schemes: http, h2c, https, tcp, tls) or unix:/run/app.sock",
    request: "The request as the workload would send it, as 'GET http://localhost:9000/users'",
    pair: "--listen localhost:9000 --to http://users.default:8080",
    called: "localhost:9000",
    examples: "\
Examples:
  Watch it work, with nothing to install:
      {name} demo
  Serve a service on a local port, without a file:
      {name} {pair}
      curl {called}
  Serve what a file says, after a look whether it is right:
      {name} check -c remora.yaml
      {name} -c remora.yaml
",
    run_examples: "\
Examples:
  Two services, each --listen with its --to:
      ambassador run --listen localhost:9000 --to http://users.default:8080 \\
                     --listen localhost:9001 --to tcp://db.default:5432
  A file, and a flag on top of it:
      ambassador run -c remora.yaml --access-log all
",
    explain_examples: "\
Examples:
  Entry, path, endpoint, timeouts and retries of a request:
      ambassador explain -c remora.yaml 'GET http://localhost:9000/users'
  With the field that a hash is taken of:
      ambassador explain -c remora.yaml 'POST http://localhost:9000/users' \\
          -H 'x-user: ann'
",
    commands: &[Own {
        name: "demo",
        describe: |demo| {
            demo.about(
                "Watch it work: replicas that fail, die and appear behind a name, and a workload that notices nothing",
            )
        },
        run: |_| demo::run(),
    }],
    until: None,
};

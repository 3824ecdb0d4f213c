//! What the sidecar's command line says of itself.

use proxy_cli::{Own, Role, Until};
use proxy_core::config::Section;

use crate::{demo, drain, ending};

pub(crate) static ROLE: Role = Role {
    section: Section::Sidecar,
    about: "The inbound proxy: what calls a workload passes it first",
    long_about: "\
The inbound proxy: what calls a workload passes it first.

It listens where callers connect to, and passes requests to the workload behind, in the same pod: it \
limits them, tells the workload who called, is ready only while the workload is well, and drains before \
the workload ends.",
    listen: "Where callers connect to, as :8443 or localhost:8080; goes with --to, and both may be repeated",
    to: "The workload, as http://localhost:8080 (schemes: http, h2c, tcp) or unix:/run/app.sock",
    request: "The request as a caller would send it, as 'GET http://localhost:8443/users'",
    pair: "--listen :8443 --to http://localhost:8080",
    called: "localhost:8443",
    examples: "\
Examples:
  Watch it work, with nothing to install:
      {name} demo
  Stand before the workload on port 8080, without a file:
      {name} {pair}
      curl {called}
  The same in TLS:
      {name} {pair} \\
          --cert tls.crt --key tls.key
  Serve what a file says, after a look whether it is right:
      {name} check -c remora.yaml
      {name} -c remora.yaml
  Drain before the workload ends, from the pod's preStop hook:
      {name} drain
",
    run_examples: "\
Examples:
  Two ports, each --listen with its --to:
      sidecar run --listen :8443 --to http://localhost:8080 \\
                  --listen :9443 --to tcp://localhost:9090
  A file, and a flag on top of it:
      sidecar run -c remora.yaml --access-log all
  Beside the workload of a Job, with which it ends:
      sidecar run -c remora.yaml --exit-with tcp
      sidecar run -c remora.yaml --exit-with process:report
",
    explain_examples: "\
Examples:
  Entry, path, authority, timeouts and retries of a request:
      sidecar explain -c remora.yaml 'GET http://localhost:8443/users'
  With a field that bounds its time:
      sidecar explain -c remora.yaml 'GET http://localhost:8443/users' \\
          -H 'x-request-timeout-ms: 500'
",
    commands: &[
        Own {
            name: "demo",
            describe: demo::describe,
            run: demo::run,
        },
        Own {
            name: "drain",
            describe: drain::describe,
            run: drain::run,
        },
    ],
    until: Some(Until {
        describe: ending::describe,
        ended: ending::ended,
    }),
};

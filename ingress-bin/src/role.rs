//! What the ingress's command line says of itself.

use proxy_cli::{Own, Role};
use proxy_core::config::Section;

use crate::demo;

pub(crate) static ROLE: Role = Role {
    section: Section::Ingress,
    about: "The gateway: many hosts and paths, each led to the service behind it",
    long_about: "\
The gateway: many hosts and paths, each led to the service behind it.

It listens where clients connect to, speaks TLS to them, and finds out by host, path, method, headers and \
query which route a request is for. What a route leads to is found, balanced, retried and watched as the \
ambassador does it.",
    listen: "Where clients connect to, as :8080 or localhost:8080; goes with --to, and both may be repeated",
    to: "The service that every request goes to, as http://shop:8080 (schemes: http, h2c, https)",
    request: "The request as a client would send it, as 'GET https://shop.example.com:8443/cart'",
    pair: "--listen :8080 --to http://shop:8080",
    called: "localhost:8080",
    examples: "\
Examples:
  Watch it work, with nothing to install:
      {name} demo
  One service for every host, without a file:
      {name} {pair}
      curl {called}
  The same in TLS:
      {name} {pair} \\
          --cert tls.crt --key tls.key
  Serve what a file says, after a look whether it is right:
      {name} check -c remora.yaml
      {name} -c remora.yaml
",
    run_examples: "\
Examples:
  Two ports, each --listen with its --to:
      ingress run --listen :8080 --to http://shop:8080 \\
                  --listen :8081 --to http://blog:8080
  A file, and a flag on top of it:
      ingress run -c remora.yaml --access-log all
",
    explain_examples: "\
Examples:
  Route, upstream, timeouts and retries of a request:
      ingress explain -c remora.yaml 'GET https://shop.example.com:8443/cart'
  With fields that a route asks for:
      ingress explain -c remora.yaml 'POST http://api.example.com:8080/v1' \\
          -H 'x-version: beta'
",
    commands: &[Own {
        name: "demo",
        describe: demo::describe,
        run: demo::run,
    }],
    until: None,
};

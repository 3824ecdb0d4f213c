//! The Prometheus exposition: counters of all workers summed at the moment of the scrape.

use std::sync::atomic::Ordering::Relaxed;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use prometheus::{Encoder, TextEncoder};

use super::process;
use super::view::{EntryView, View};
use crate::telemetry::{BOUNDS, OwnLog, Totals};

/// All metrics in the text format, version 0.0.4.
pub fn exposition(view: &View) -> prometheus::Result<Vec<u8>> {
    let mut families = Families::default();
    process_families(&mut families, view);
    for entry in view.entries.load().iter() {
        entry_families(&mut families, entry);
    }
    let mut out = Vec::new();
    let filled: Vec<MetricFamily> = families
        .all
        .into_iter()
        .filter(|f| !f.get_metric().is_empty())
        .collect();
    TextEncoder::new().encode(&filled, &mut out)?;
    Ok(out)
}

fn process_families(families: &mut Families, view: &View) {
    let version = env!("CARGO_PKG_VERSION");
    families.gauge(
        "remora_build_info",
        "The role and version that run.",
        &[("role", view.role), ("version", version)],
        1.0,
    );
    let succeeded = f64::from(u8::from(view.reload_succeeded.load(Relaxed)));
    families.gauge(
        "remora_config_reload_success",
        "Whether the latest reload succeeded.",
        &[],
        succeeded,
    );
    for (result, count) in [("ok", &view.reloads), ("rejected", &view.reloads_rejected)] {
        let count = count.load(Relaxed);
        families.counter(
            "remora_config_reloads_total",
            "Reloads of the configuration.",
            &[("result", result)],
            count,
        );
    }
    let dropped = view.access_log.dropped();
    families.counter(
        "remora_access_log_dropped_total",
        "Access-log lines that their reader was too slow for.",
        &[],
        dropped,
    );
    families.counter(
        "remora_log_dropped_total",
        "Lines of the process's own log that its reader was too slow for.",
        &[],
        OwnLog::dropped(),
    );
    for (name, help, value) in process::readings() {
        if name.ends_with("_total") {
            families.add(name, help, MetricType::COUNTER, counter(value));
        } else {
            families.gauge(name, help, &[], value);
        }
    }
}

fn entry_families(families: &mut Families, entry: &EntryView) {
    let name: &str = entry.telemetry.name();
    families.sparse = entry.listens.is_empty();
    let totals = entry.telemetry.totals();
    request_families(families, name, &totals);
    retry_families(families, name, &totals);
    connection_families(families, name, &totals);
    introduction_families(families, name, &totals, entry);
    tls_families(families, name, &totals, entry);
    #[cfg(feature = "acme")]
    acme_families(families, name, entry);
    if let Some(limit) = entry.limit.as_ref().map(|limit| limit.limit()) {
        let help = "The most requests at once; an adaptive limit moves.";
        let labels = [("entry", name)];
        families.gauge("remora_in_flight_limit", help, &labels, f64::from(limit));
    }
    endpoint_families(families, name, entry);
    check_families(families, name, entry);
    discovery_families(families, name, entry);
}

fn request_families(families: &mut Families, name: &str, totals: &Totals) {
    for (code, count) in totals.codes() {
        let labels = [("entry", name), ("code", &code.to_string())];
        families.counter(
            "remora_requests_total",
            "Responses sent, by status.",
            &labels,
            count,
        );
    }
    let help = "From a request's head to the end of its response's body, in seconds.";
    families.histogram("remora_request_duration_seconds", help, name, totals);
    let in_flight = totals.in_flight.load(Relaxed) as f64;
    families.gauge(
        "remora_requests_in_flight",
        "Requests whose response has not ended.",
        &[("entry", name)],
        in_flight,
    );
    for (reason, count) in totals.faults() {
        let labels = [("entry", name), ("reason", reason.token())];
        families.counter(
            "remora_faults_total",
            "Failures that the proxy reported, by RFC 9209 error type.",
            &labels,
            count,
        );
    }
    for (direction, bytes) in [("received", &totals.received), ("sent", &totals.sent)] {
        let labels = [("entry", name), ("direction", direction)];
        families.counter(
            "remora_bytes_total",
            "Body bytes exchanged downstream.",
            &labels,
            bytes.load(Relaxed),
        );
    }
}

fn retry_families(families: &mut Families, name: &str, totals: &Totals) {
    let tries = totals.tries.load(Relaxed);
    families.counter(
        "remora_tries_total",
        "Requests sent to endpoints, retries included.",
        &[("entry", name)],
        tries,
    );
    for (reason, count) in totals.retries() {
        let labels = [("entry", name), ("reason", reason)];
        families.counter(
            "remora_retries_total",
            "Retries made, by what failed.",
            &labels,
            count,
        );
    }
    for (result, count) in totals.hedges() {
        let labels = [("entry", name), ("result", result)];
        families.counter(
            "remora_hedges_total",
            "Second tries sent beside slow ones, by whether their answer was taken.",
            &labels,
            count,
        );
    }
    for (why, count) in totals.denied() {
        let labels = [("entry", name), ("why", why.token())];
        families.counter(
            "remora_retries_denied_total",
            "Retries not made, by what forbade them.",
            &labels,
            count,
        );
    }
}

fn connection_families(families: &mut Families, name: &str, totals: &Totals) {
    let labels = [("entry", name)];
    let upstream = totals.upstream_connections.load(Relaxed) as f64;
    families.gauge(
        "remora_upstream_connections",
        "Open connections to endpoints.",
        &labels,
        upstream,
    );
    for (result, count) in [
        ("ok", &totals.connects),
        ("failed", &totals.connect_failures),
    ] {
        let labels = [("entry", name), ("result", result)];
        families.counter(
            "remora_upstream_connects_total",
            "Connections to endpoints attempted.",
            &labels,
            count.load(Relaxed),
        );
    }
    let downstream = totals.downstream_connections.load(Relaxed) as f64;
    families.gauge(
        "remora_downstream_connections",
        "Open downstream connections.",
        &labels,
        downstream,
    );
    let accepted = totals.downstream_accepted.load(Relaxed);
    families.counter(
        "remora_downstream_connections_total",
        "Downstream connections accepted.",
        &labels,
        accepted,
    );
    let errors = totals.downstream_errors.load(Relaxed);
    families.counter(
        "remora_downstream_errors_total",
        "Downstream connections that broke the protocol.",
        &labels,
        errors,
    );
}

/// How connections of an entry began that takes them with a header of the PROXY protocol alone.
fn introduction_families(families: &mut Families, name: &str, totals: &Totals, entry: &EntryView) {
    if !entry.is_introduced {
        return;
    }
    for (introduction, count) in totals.introductions.all() {
        families.counter(
            "remora_proxy_protocol_connections_total",
            "Connections that had to begin with a header of the PROXY protocol, by how they did.",
            &[("entry", name), ("result", introduction.token())],
            count,
        );
    }
}

/// What a caller of an entry with TLS meets.
fn tls_families(families: &mut Families, name: &str, totals: &Totals, entry: &EntryView) {
    if !entry.takes_tls {
        return;
    }
    for (result, count) in totals.handshakes.all() {
        families.counter(
            "remora_tls_handshakes_total",
            "TLS handshakes with callers, by how they ended.",
            &[("entry", name), ("result", result.token())],
            count,
        );
    }
    let Some(acceptor) = &entry.acceptor else {
        return;
    };
    families.gauge(
        "remora_tls_reload_success",
        "Whether what the files of certificates and keys hold is in use.",
        &[("entry", name)],
        f64::from(u8::from(acceptor.rejected().is_none())),
    );
    for certificate in acceptor.certificates() {
        let file = certificate.file.display().to_string();
        families.gauge(
            "remora_tls_certificate_expiry_timestamp_seconds",
            "When a certificate that callers are shown ends to be valid.",
            &[("entry", name), ("file", &file)],
            certificate.not_after as f64,
        );
    }
}

/// How it goes with the certificate of an entry that obtains one.
#[cfg(feature = "acme")]
fn acme_families(families: &mut Families, name: &str, entry: &EntryView) {
    let Some(status) = &entry.acme else {
        return;
    };
    for (outcome, count) in status.orders() {
        families.counter(
            "remora_tls_acme_orders_total",
            "Certificates that were ordered, by what became of it.",
            &[("entry", name), ("result", outcome.token())],
            count,
        );
    }
    let labels = [("entry", name)];
    families.gauge(
        "remora_tls_acme_failures",
        "Orders in a row that failed.",
        &labels,
        status.failures() as f64,
    );
    families.gauge(
        "remora_tls_acme_next_order_timestamp_seconds",
        "When the next certificate is ordered.",
        &labels,
        status.next() as f64,
    );
}

fn endpoint_families(families: &mut Families, name: &str, entry: &EntryView) {
    for (cause, count) in entry.endpoints.ejections_by_cause() {
        families.counter(
            "remora_ejections_total",
            "Endpoints taken out of the rotation.",
            &[("entry", name), ("cause", cause)],
            count,
        );
    }
    let endpoints = entry.endpoints.endpoints();
    let (mut ejected, mut unhealthy) = (0, 0);
    for endpoint in endpoints.iter() {
        let is_ejected = endpoint.is_ejected(entry.endpoints.eject_params());
        ejected += usize::from(is_ejected);
        unhealthy += usize::from(endpoint.is_unhealthy() && !is_ejected);
        let labels = [
            ("entry", name),
            ("endpoint", &endpoint.address().to_string()),
        ];
        let help = "Whether the endpoint is out of the rotation.";
        families.gauge(
            "remora_endpoint_ejected",
            help,
            &labels,
            f64::from(u8::from(is_ejected)),
        );
    }
    for (state, count) in [
        ("available", endpoints.len() - ejected - unhealthy),
        ("ejected", ejected),
        ("unhealthy", unhealthy),
    ] {
        let labels = [("entry", name), ("state", state)];
        families.gauge(
            "remora_endpoints",
            "Known endpoints, by state.",
            &labels,
            count as f64,
        );
    }
}

fn check_families(families: &mut Families, name: &str, entry: &EntryView) {
    let (good, bad) = entry.endpoints.checks();
    for (result, count) in [("ok", good), ("failed", bad)] {
        let labels = [("entry", name), ("result", result)];
        families.counter(
            "remora_health_checks_total",
            "Active health checks of endpoints.",
            &labels,
            count,
        );
    }
    families.gauge(
        "remora_health_checks_heeded",
        "Whether the checks count: not while more than half of the endpoints fail them.",
        &[("entry", name)],
        f64::from(u8::from(entry.endpoints.heeds_checks())),
    );
}

fn discovery_families(families: &mut Families, name: &str, entry: &EntryView) {
    let (mut succeeded, mut failed, mut stale) = (0, 0, false);
    for resolution in &entry.resolutions {
        let resolution = resolution.borrow();
        succeeded += resolution.succeeded;
        failed += resolution.failed;
        stale |= resolution.is_stale();
    }
    for (result, count) in [("ok", succeeded), ("failed", failed)] {
        let labels = [("entry", name), ("result", result)];
        families.counter(
            "remora_discovery_resolutions_total",
            "Look-ups of the entry's names.",
            &labels,
            count,
        );
    }
    let help = "Whether the endpoints are older than the latest look-up.";
    families.gauge(
        "remora_discovery_stale",
        help,
        &[("entry", name)],
        f64::from(u8::from(stale)),
    );
}

/// Families in the order of their first sample.
#[derive(Default)]
struct Families {
    all: Vec<MetricFamily>,
    /// Whether counters of several labels are left out until they count. A gateway may lead to thousands of entries,
    /// of which each would have dozens of zeros.
    sparse: bool,
}

impl Families {
    fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: u64) {
        if self.sparse && labels.len() > 1 && value == 0 {
            return;
        }
        let mut metric = counter(value as f64);
        metric.set_label(pairs(labels));
        self.add(name, help, MetricType::COUNTER, metric);
    }

    fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = Metric::default();
        metric.set_gauge(gauge);
        metric.set_label(pairs(labels));
        self.add(name, help, MetricType::GAUGE, metric);
    }

    fn histogram(&mut self, name: &str, help: &str, entry: &str, totals: &Totals) {
        let counts = totals.duration.counts();
        if self.sparse && counts.iter().all(|count| *count == 0) {
            return;
        }
        let mut below = 0;
        let buckets = BOUNDS.iter().zip(counts).map(|(bound, count)| {
            below += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound as f64 / 1e6);
            bucket.set_cumulative_count(below);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(counts.iter().sum());
        histogram.set_sample_sum(totals.duration.sum_seconds());
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        metric.set_label(pairs(&[("entry", entry)]));
        self.add(name, help, MetricType::HISTOGRAM, metric);
    }

    fn add(&mut self, name: &str, help: &str, kind: MetricType, metric: Metric) {
        if let Some(family) = self.all.iter_mut().find(|family| family.name() == name) {
            family.mut_metric().push(metric);
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(vec![metric]);
        self.all.push(family);
    }
}

fn counter(value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = Metric::default();
    metric.set_counter(counter);
    metric
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

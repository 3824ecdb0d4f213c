//! The figures that a run yields, how they are shown, and which way is better.

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    H1Cpu,
    H1Rate,
    BodyCpu,
    BodyRate,
    UploadCpu,
    UploadRate,
    RateCpu,
    RateP50,
    RateP99,
    H2cCpu,
    H2cRate,
    TlsH1Cpu,
    TlsH1Rate,
    HandshakeCpu,
    HandshakeRate,
    ResumeCpu,
    ResumeRate,
    DefaultCpu,
    DefaultRate,
    TlsBodyCpu,
    TlsBodyRate,
    TlsH2Cpu,
    TlsH2Rate,
    Memory,
    Idle,
    TlsIdle,
    Start,
    Size,
}

/// How a figure is named and shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// Its key in the JSON file.
    pub(crate) key: &'static str,
    /// Its name in tables and charts, with the unit.
    pub(crate) title: &'static str,
    /// Digits after the point.
    pub(crate) digits: usize,
    /// Whether less is better; the chart shows only such figures.
    pub(crate) less_is_better: bool,
}

impl Metric {
    /// All figures in the order of the tables.
    pub(crate) const ALL: [Self; 28] = [
        Self::H1Cpu,
        Self::H1Rate,
        Self::BodyCpu,
        Self::BodyRate,
        Self::UploadCpu,
        Self::UploadRate,
        Self::H2cCpu,
        Self::H2cRate,
        Self::RateCpu,
        Self::RateP50,
        Self::RateP99,
        Self::TlsH1Cpu,
        Self::TlsH1Rate,
        Self::HandshakeCpu,
        Self::HandshakeRate,
        Self::ResumeCpu,
        Self::ResumeRate,
        Self::DefaultCpu,
        Self::DefaultRate,
        Self::TlsBodyCpu,
        Self::TlsBodyRate,
        Self::TlsH2Cpu,
        Self::TlsH2Rate,
        Self::Memory,
        Self::Idle,
        Self::TlsIdle,
        Self::Start,
        Self::Size,
    ];

    /// How this figure is named and shown.
    pub(crate) const fn shown(self) -> Shown {
        let (key, title, digits) = match self {
            Self::H1Cpu => ("h1_cpu_us", "HTTP/1.1, 1 KiB: CPU us a request", 1),
            Self::H1Rate => ("h1_rate", "HTTP/1.1, 1 KiB: requests/s", 0),
            Self::BodyCpu => ("body_cpu_us", "1 MiB answers: CPU us a request", 0),
            Self::BodyRate => ("body_rate", "1 MiB answers: requests/s", 0),
            Self::UploadCpu => ("upload_cpu_us", "1 MiB uploads: CPU us a request", 0),
            Self::UploadRate => ("upload_rate", "1 MiB uploads: requests/s", 0),
            Self::H2cCpu => ("h2c_cpu_us", "HTTP/2, 1 KiB: CPU us a request", 1),
            Self::H2cRate => ("h2c_rate", "HTTP/2, 1 KiB: requests/s", 0),
            Self::RateCpu => ("paced_cpu_us", "at a fixed rate: CPU us a request", 1),
            Self::RateP50 => ("paced_p50_us", "at a fixed rate: added p50, us", 0),
            Self::RateP99 => ("paced_p99_us", "at a fixed rate: added p99, us", 0),
            Self::TlsH1Cpu => ("tls_h1_cpu_us", "HTTP/1.1, 1 KiB: CPU us a request", 1),
            Self::TlsH1Rate => ("tls_h1_rate", "HTTP/1.1, 1 KiB: requests/s", 0),
            Self::HandshakeCpu => ("tls_handshake_cpu_us", "full handshakes: CPU us each", 0),
            Self::HandshakeRate => ("tls_handshake_rate", "full handshakes/s", 0),
            Self::ResumeCpu => ("tls_resume_cpu_us", "resumed handshakes: CPU us each", 0),
            Self::ResumeRate => ("tls_resume_rate", "resumed handshakes/s", 0),
            Self::DefaultCpu => ("tls_default_cpu_us", "default exchange: CPU us each", 0),
            Self::DefaultRate => ("tls_default_rate", "default exchange: handshakes/s", 0),
            Self::TlsBodyCpu => ("tls_body_cpu_us", "1 MiB answers: CPU us a request", 0),
            Self::TlsBodyRate => ("tls_body_rate", "1 MiB answers: requests/s", 0),
            Self::TlsH2Cpu => ("tls_h2_cpu_us", "HTTP/2, 1 KiB: CPU us a request", 1),
            Self::TlsH2Rate => ("tls_h2_rate", "HTTP/2, 1 KiB: requests/s", 0),
            Self::Memory => ("memory_mib", "memory at start, MiB", 1),
            Self::Idle => ("idle_bytes", "an idle connection, bytes", 0),
            Self::TlsIdle => ("tls_idle_bytes", "an idle one inside TLS, bytes", 0),
            Self::Start => ("start_ms", "start to the first 200, ms", 1),
            Self::Size => ("size_mib", "size of the program file, MiB", 1),
        };
        Shown {
            key,
            title,
            digits,
            less_is_better: !self.is_rate(),
        }
    }

    const fn is_rate(self) -> bool {
        matches!(
            self,
            Self::H1Rate
                | Self::BodyRate
                | Self::UploadRate
                | Self::H2cRate
                | Self::TlsH1Rate
                | Self::HandshakeRate
                | Self::ResumeRate
                | Self::DefaultRate
                | Self::TlsBodyRate
                | Self::TlsH2Rate
        )
    }

    /// The figure as text, without its unit.
    pub(crate) fn text(self, value: f64) -> String {
        format!("{value:.*}", self.shown().digits)
    }
}

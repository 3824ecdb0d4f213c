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
    Memory,
    Idle,
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
    pub(crate) const ALL: [Self; 15] = [
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
        Self::Memory,
        Self::Idle,
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
            Self::Memory => ("memory_mib", "memory at start, MiB", 1),
            Self::Idle => ("idle_bytes", "an idle connection, bytes", 0),
            Self::Start => ("start_ms", "start to the first 200, ms", 1),
            Self::Size => ("size_mib", "size of the program file, MiB", 1),
        };
        let less_is_better = !matches!(
            self,
            Self::H1Rate | Self::BodyRate | Self::UploadRate | Self::H2cRate
        );
        Shown {
            key,
            title,
            digits,
            less_is_better,
        }
    }

    /// The figure as text, without its unit.
    pub(crate) fn text(self, value: f64) -> String {
        format!("{value:.*}", self.shown().digits)
    }
}

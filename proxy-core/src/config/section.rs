//! The sections of the file: one a role, each read by its own binary and passed over by the others.

use std::fmt;

use super::{Duration, ListenAddress};

/// The section of a role that this version has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Section {
    /// The outbound role's.
    #[default]
    Ambassador,
    /// The inbound role's.
    Sidecar,
    /// The edge role's.
    Ingress,
}

/// Every section that a file may hold, those of roles to come included.
const ALL: [&str; 4] = ["ambassador", "sidecar", "adapter", "ingress"];

impl Section {
    /// The key in the file, which is the name of the role.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ambassador => "ambassador",
            Self::Sidecar => "sidecar",
            Self::Ingress => "ingress",
        }
    }

    /// Whether the role takes requests to workloads, rather than those that a workload makes.
    pub const fn is_inbound(self) -> bool {
        matches!(self, Self::Sidecar | Self::Ingress)
    }

    /// Where the admin interface listens unless the file says otherwise.
    pub const fn admin(self) -> ListenAddress {
        ListenAddress::localhost(match self {
            Self::Ambassador => 15000,
            Self::Sidecar => 15010,
            Self::Ingress => 15030,
        })
    }

    /// `drain.delay` unless the file says otherwise: callers from elsewhere go on coming until they
    /// have heard that this replica is gone, a workload of the same pod is asked whether it is done.
    pub const fn drain_delay(self) -> Duration {
        match self {
            Self::Ambassador => Duration::ZERO,
            Self::Sidecar | Self::Ingress => Duration::from_secs(5),
        }
    }

    /// Whether a key at the root of the file is another role's section.
    pub(crate) fn is_foreign(self, key: &str) -> bool {
        ALL.contains(&key) && key != self.as_str()
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

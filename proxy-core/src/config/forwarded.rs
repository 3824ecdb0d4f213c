//! What a workload is told of who called: `X-Forwarded-*` and `Forwarded`.

use serde::{Deserialize, Serialize};

use super::Network;

/// What the workload is told of who called, and whom that is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    default,
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a map or `off`"
)]
pub struct Forwarded {
    /// Peers that may say who called them: addresses and ranges of addresses. What comes from others
    /// is replaced. Default: `[]`, nobody.
    pub trust: Vec<Network>,
    /// What is set: `x-forwarded` is `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`,
    /// `forwarded` is `Forwarded` (RFC 7239). Default: `[x-forwarded]`.
    pub fields: Vec<ForwardedField>,
}

/// The fields that say who called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedField {
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl Default for Forwarded {
    fn default() -> Self {
        Self {
            trust: Vec::new(),
            fields: vec![ForwardedField::XForwarded],
        }
    }
}

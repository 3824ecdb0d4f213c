//! What becomes of `mirror`: an entry of its own that listens nowhere and gets the copies.
//!
//! So a mirror has discovery, pools, ejection, metrics and a record of its own, as any entry has. What it does
//! not have is whatever would send a copy again, make a fault of it, or ask the mirror anything else.

use super::{EntryPlan, MirrorPlan, ServicePlan};
use crate::config::{Count, Duration, Entry, InFlight, Limit, Mirror, OrOff, Timeouts};
use crate::http::Allowed;
use crate::resilience::mirror::Params;

/// Copies at once, over all workers: what is more is not sent. A mirror that is stuck holds no more than that.
const IN_FLIGHT: u32 = 1000;

/// How long a copy may wait for its answer where requests may wait for ever: it must not hold its place for ever.
const LONGEST: Duration = Duration::from_secs(30);

/// A mirror as the file has it.
pub(super) struct Written {
    /// The name of the entry that it becomes. No name in the file holds a `/`.
    pub(super) name: String,
    /// Where it stands below its entry.
    pub(super) at: Vec<String>,
    /// That entry, as if it were in the file.
    pub(super) entry: Entry,
}

impl Written {
    /// What its entry becomes.
    pub(super) fn hidden(mut plan: EntryPlan) -> EntryPlan {
        plan.listen.clear();
        plan.is_mirror = true;
        if let ServicePlan::Http(http) = &mut plan.service {
            http.explain = Allowed::Nobody;
        }
        plan
    }
}

/// Where the copies of requests go: those below `path`, or with an empty one those of the whole entry.
pub(super) fn of(entry: &str, path: &str, mirror: &Mirror) -> MirrorPlan {
    MirrorPlan {
        entry: name(entry, path).into(),
        params: Params {
            share: mirror.share.fraction(),
        },
    }
}

/// All mirrors of an entry.
pub(super) fn all(name: &str, entry: &Entry) -> Vec<Written> {
    let own = entry.mirror.on();
    let own = own.map(|mirror| written(name, "", &entry.timeout, entry, mirror));
    let of_paths = entry.paths.iter().filter_map(|(path, policy)| {
        let mirror = policy.mirror.as_ref()?.on()?;
        let mut timeout = entry.timeout.clone();
        timeout.request = policy.timeout.request.unwrap_or(timeout.request);
        timeout.r#try = policy.timeout.r#try.unwrap_or(timeout.r#try);
        Some(written(name, path, &timeout, entry, mirror))
    });
    own.into_iter().chain(of_paths).collect()
}

fn name(entry: &str, path: &str) -> String {
    format!("{entry}/mirror{path}")
}

fn written(name: &str, path: &str, timeout: &Timeouts, entry: &Entry, mirror: &Mirror) -> Written {
    let mut timeout = timeout.clone();
    if timeout.request == OrOff::Off {
        timeout.request = OrOff::On(LONGEST);
    }
    let at: &[&str] = match path {
        "" => &["mirror"],
        path => &["paths", path, "mirror"],
    };
    Written {
        name: self::name(name, path),
        at: at.iter().map(ToString::to_string).collect(),
        entry: Entry {
            discover: mirror.discover.clone(),
            tls: mirror.tls.clone(),
            timeout,
            retry: OrOff::Off,
            limit: Limit {
                in_flight: InFlight::Fixed(Count::clamped(IN_FLIGHT)),
            },
            host: entry.host,
            subset: entry.subset,
            eject: entry.eject.clone(),
            balance: entry.balance.clone(),
            pool: entry.pool.clone(),
            max_headers: entry.max_headers,
            ..Entry::new(entry.listen, mirror.to.clone())
        },
    }
}

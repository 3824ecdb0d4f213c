//! What the configuration says of requests: for an entry, and for its paths.

use http::StatusCode;

use super::compile::duration;
use super::{HedgePlan, RequestPlan, RetryPlan, mirror};
use crate::config::{self, Entry, OrOff, RetryOn};
use crate::resilience::retry::{self, Backoff, Condition};
use crate::resilience::{hedge, inject};

/// The policy of all requests but those of [`of_paths`].
pub(super) fn of_entry(name: &str, entry: &Entry) -> RequestPlan {
    RequestPlan {
        request_timeout: duration(&entry.timeout.request),
        try_timeout: duration(&entry.timeout.r#try),
        retry: entry.retry.on().map(compile_retry),
        hedge: compile_hedge(&entry.hedge, &entry.retry),
        inject: entry.inject.on().map(compile_inject),
        mirror: entry.mirror.on().map(|on| mirror::of(name, "", on)),
    }
}

/// The policies of paths: what they do not say is the entry's.
pub(super) fn of_paths(name: &str, entry: &Entry) -> Vec<(String, RequestPlan)> {
    let merged = |(path, policy): (&String, &config::PathPolicy)| {
        let mut own = entry.clone();
        let timeout = &policy.timeout;
        own.timeout.request = timeout.request.unwrap_or(own.timeout.request);
        own.timeout.r#try = timeout.r#try.unwrap_or(own.timeout.r#try);
        own.retry = policy.retry.clone().unwrap_or(own.retry);
        own.hedge = policy.hedge.clone().unwrap_or(own.hedge);
        own.inject = policy.inject.clone().unwrap_or(own.inject);
        let mut plan = of_entry(name, &own);
        if let Some(own) = &policy.mirror {
            plan.mirror = own.on().map(|on| mirror::of(name, path, on));
        }
        (path.clone(), plan)
    };
    entry.paths.iter().map(merged).collect()
}

/// What a retry after a reset repeats, whatever the path.
pub(super) fn repeatable(entry: &Entry) -> Vec<http::Method> {
    let of_paths = entry.paths.values();
    let all = of_paths.filter_map(|policy| policy.retry.as_ref());
    let mut methods = entry.retry.on().map_or_else(Vec::new, of_retry);
    for retry in all {
        // A connection is any request's: what one path does not repeat must not meet a stale one.
        let own = retry.on().map_or_else(Vec::new, of_retry);
        methods.retain(|method| own.contains(method));
    }
    methods
}

fn of_retry(retry: &config::Retry) -> Vec<http::Method> {
    if retry.attempts.value() == 0 || !retry.on.contains(&RetryOn::Reset) {
        return Vec::new();
    }
    retry
        .methods
        .iter()
        .map(|method| method.0.clone())
        .collect()
}

fn compile_retry(retry: &config::Retry) -> RetryPlan {
    let condition = |on: &RetryOn| match on {
        RetryOn::Connect => Condition::Connect,
        RetryOn::Reset => Condition::Reset,
        RetryOn::Timeout => Condition::Timeout,
        RetryOn::Unavailable => Condition::Unavailable,
        RetryOn::Status(range) => Condition::Status(range.first()..=range.last()),
    };
    RetryPlan {
        params: retry::Params {
            attempts: retry.attempts.value(),
            on: retry.on.iter().map(condition).collect(),
            methods: retry
                .methods
                .iter()
                .map(|method| method.0.clone())
                .collect(),
            body: retry.body.len(),
            backoff: Backoff {
                base: retry.backoff.std(),
                max: retry.max_backoff.std(),
            },
            after: duration(&retry.after),
        },
        budget: retry.budget.fraction(),
        floor: retry.floor.in_a_second(),
    }
}

/// What may be sent twice is what may be repeated.
fn compile_hedge(hedge: &OrOff<config::Hedge>, retry: &OrOff<config::Retry>) -> Option<HedgePlan> {
    let hedge = hedge.on()?;
    let methods = match retry {
        OrOff::On(retry) => retry.methods.clone(),
        OrOff::Off => config::Retry::default().methods,
    };
    Some(HedgePlan {
        params: hedge::Params {
            after: hedge.after.std(),
            methods: methods.into_iter().map(|method| method.0).collect(),
        },
        budget: hedge.budget.fraction(),
    })
}

fn compile_inject(inject: &config::Inject) -> inject::Params {
    let delay = inject.delay.as_ref();
    let abort = inject.abort.as_ref().map(|abort| {
        let status = StatusCode::from_u16(abort.status.value() as u16);
        (
            abort.share.fraction(),
            status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
        )
    });
    inject::Params {
        delay: delay.map(|delay| (delay.share.fraction(), delay.r#for.std())),
        abort,
    }
}

/// Whether `path` is `prefix` or begins with all of its segments.
pub fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::is_below;

    #[test]
    fn paths_match_by_whole_segments() {
        for (path, prefix) in [
            ("/a", "/a"),
            ("/a/b", "/a"),
            ("/a/", "/a"),
            ("/a", "/a/"),
            ("/b", "/"),
        ] {
            assert!(is_below(path, prefix), "{path} {prefix}");
        }
        for (path, prefix) in [("/ab", "/a"), ("/", "/a"), ("/b/a", "/a")] {
            assert!(!is_below(path, prefix), "{path} {prefix}");
        }
    }
}

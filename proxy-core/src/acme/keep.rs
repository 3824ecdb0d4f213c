//! Sees to it that the folder always has a certificate that is good for a while yet.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{sleep, timeout};

use super::account::{account, forget};
use super::advice::{Advice, identifier};
use super::client::Client;
use super::failure::Failure;
use super::kept::{self, Kept};
use super::order::obtain;
use super::params::Params;
use super::pause::{self, Pause};
use super::renewal;
use super::status::{Outcome, Status};
use crate::discovery::Resolver;

/// How often the folder is looked at: another replica may have changed what is due.
const LOOK: Duration = Duration::from_secs(60);

/// How long whoever is ordering is left alone before it is looked again what has become of it.
const BUSY: Duration = Duration::from_secs(2);

/// How long a whole order may take.
const ORDER: Duration = Duration::from_secs(10 * 60);

/// For so long after a renewal that was advised no advice makes another one due, in seconds.
const DEAF: i64 = 60 * 60;

/// Between two orders is so much time at least, in seconds, whatever the folder says.
const APART: i64 = 3;

/// Keeps the certificate for as long as it is polled.
pub async fn keep(params: Params, resolver: Resolver, status: Arc<Status>) {
    let mut keeper = Keeper {
        params,
        resolver,
        status,
        pause: None,
        rest: 0,
        advice: None,
        deaf: 0,
    };
    loop {
        let rest = keeper.round().await;
        sleep(rest).await;
    }
}

struct Keeper {
    params: Params,
    resolver: Resolver,
    status: Arc<Status>,
    /// The pause of this process, where the folder could not keep it.
    pause: Option<Pause>,
    /// No order is made before, in seconds since 1970.
    rest: i64,
    /// What the authority says of the certificate that is there.
    advice: Option<Advice>,
    /// Before that nothing is due for an advice, in seconds since 1970.
    deaf: i64,
}

impl Keeper {
    /// Orders if that is due, and says how long nothing is.
    async fn round(&mut self) -> Duration {
        self.consult().await;
        let left = self.left();
        if left > Duration::ZERO {
            return left.min(LOOK);
        }
        let lock = match kept::lock(&self.params) {
            Ok(Some(lock)) => lock,
            Ok(None) => return BUSY.mul_f64(0.5 + fastrand::f64()),
            Err(failure) => {
                self.failed(&failure, None);
                return self.left().clamp(BUSY, LOOK);
            }
        };
        // Whoever had it before may have done what is to be done.
        if self.left() > Duration::ZERO {
            return Duration::ZERO;
        }
        let kept = self.usable(now());
        let advised = kept.and_then(|kept| self.advised(&kept)).is_some();
        let (result, put_off) = self.order(advised).await;
        self.rest = now().saturating_add(APART);
        match result {
            Ok(()) => self.succeeded(advised),
            Err(failure) => self.failed(&failure, put_off),
        }
        drop(lock);
        Duration::ZERO
    }

    /// Hears when the authority wants the certificate renewed that is there.
    async fn consult(&mut self) {
        let (params, now) = (&self.params, now());
        let Some(kept) = self.usable(now) else {
            return;
        };
        if let Some(advice) = &self.advice
            && advice.holds(&kept, now)
        {
            return;
        }
        // Whoever is trusted may be in a file that cannot be read now: an order tells.
        if let Ok(client) = Client::new(params, self.resolver.clone()) {
            let before = self.advice.as_ref();
            self.advice = Some(Advice::ask(params, &client, &kept, before, now).await);
        }
    }

    /// The certificate that is there and is what is asked for.
    fn usable(&self, now: i64) -> Option<Kept> {
        let kept = Kept::read(&self.params)?;
        (kept.suits(&self.params) && kept.certificate.is_valid(now)).then_some(kept)
    }

    /// When it is due as the authority wants it.
    fn advised(&self, kept: &Kept) -> Option<i64> {
        let due = self.advice.as_ref()?.due(kept)?;
        Some(due.max(self.deaf))
    }

    /// How long it is until the next order is due.
    fn left(&self) -> Duration {
        let now = now();
        let due = self.usable(now).map_or(now, |kept| {
            let advised = self.advised(&kept);
            advised.unwrap_or_else(|| renewal::due(&kept.certificate))
        });
        let pause = Pause::read(&self.params, now).or_else(|| self.pause.clone());
        let paused = pause.as_ref().map_or(now, |pause| pause.until);
        let next = due.max(paused).max(self.rest);
        let failures = pause.map_or(0, |pause| pause.failures);
        self.status.note(failures, next);
        let left = u64::try_from(next.saturating_sub(now)).unwrap_or(0);
        Duration::from_secs(left)
    }

    /// Makes an order; with what is known then of how long the authority wants to be left alone.
    async fn order(&self, advised: bool) -> (Result<(), Failure>, Option<Duration>) {
        let client = match Client::new(&self.params, self.resolver.clone()) {
            Ok(client) => client,
            Err(unusable) => {
                let failure = Failure::new(Outcome::Unreachable, unusable);
                return (Err(failure), None);
            }
        };
        let ordered = timeout(ORDER, self.order_with(&client, advised)).await;
        let late = || format!("the order was not over within {ORDER:?}");
        let result = ordered.unwrap_or_else(|_| Err(Failure::new(Outcome::Refused, late())));
        (result, client.put_off())
    }

    async fn order_with(&self, client: &Client, advised: bool) -> Result<(), Failure> {
        let params = &self.params;
        let replaces = advised.then(|| identifier(params).ok()).flatten();
        let known = account(params, client).await?;
        let issued = match obtain(params, &known, replaces.as_ref()).await {
            Err(failure) if failure.is_of_account() => {
                // The authority has forgotten it, as test servers do at their end.
                forget(params);
                obtain(params, &account(params, client).await?, None).await?
            }
            issued => issued?,
        };
        kept::keep(params, &issued.chain, &issued.key, now())
    }

    fn succeeded(&mut self, advised: bool) {
        if advised {
            // An authority that wants everything renewed at once, always, gets that once in a while.
            self.deaf = now().saturating_add(DEAF);
        }
        self.status.count(Outcome::Obtained);
        Pause::end(&self.params);
        self.pause = None;
        let names = self.params.names.join(", ");
        tracing::info!(
            entry = &*self.params.entry,
            names,
            "a certificate was obtained"
        );
    }

    fn failed(&mut self, failure: &Failure, put_off: Option<Duration>) {
        self.status.count(failure.outcome);
        let params = &self.params;
        let former = Pause::read(params, now()).or_else(|| self.pause.take());
        let pause = Pause::after(failure, former.as_ref(), put_off, params, now());
        let seconds = pause.until.saturating_sub(now());
        let (entry, reason) = (&*params.entry, failure.outcome.token());
        let names = params.names.join(", ");
        tracing::error!(entry, names, reason, detail = %failure, seconds, "a certificate could not be obtained; the next order is made after a pause");
        if let Err(error) = pause.write(params) {
            let file = pause::file(params).display().to_string();
            tracing::warn!(entry, file, %error, "the pause cannot be kept");
            self.pause = Some(pause);
        }
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::renewal::tests::params;
    use super::*;
    use crate::discovery::ResolverParams;

    fn keeper(folder: &std::path::Path) -> Keeper {
        let issuer = rcgen::generate_simple_self_signed(["ca".to_owned()]).unwrap();
        let ca = folder.join("ca.pem");
        fs::write(&ca, issuer.cert.pem()).unwrap();
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = nobody.local_addr().unwrap();
        let resolver = ResolverParams {
            servers: vec![nobody],
            timeout: Duration::from_secs(1),
            attempts: 1,
        };
        Keeper {
            params: Params {
                directory: format!("https://{nobody}/dir"),
                ca: Some(ca),
                ..params(folder)
            },
            resolver: Resolver::new(&resolver).unwrap(),
            status: Arc::default(),
            pause: None,
            rest: 0,
            advice: None,
            deaf: 0,
        }
    }

    fn count(keeper: &Keeper, wanted: Outcome) -> u64 {
        let orders = keeper.status.orders();
        orders
            .filter(|(outcome, _)| *outcome == wanted)
            .map(|(_, count)| count)
            .sum()
    }

    /// Rounds until one says that nothing is due for a while.
    async fn rest(keeper: &mut Keeper) -> Duration {
        loop {
            let left = keeper.round().await;
            if left > Duration::ZERO {
                return left;
            }
        }
    }

    #[tokio::test]
    async fn a_pause_holds_also_where_the_folder_cannot_keep_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = keeper(folder.path());
        fs::create_dir(pause::file(&keeper.params)).unwrap();
        for _ in 0..3 {
            assert!(rest(&mut keeper).await >= Duration::from_secs(3));
            assert_eq!(count(&keeper, Outcome::Unreachable), 1);
        }
        assert_eq!(keeper.status.failures(), 1);
    }

    #[tokio::test]
    async fn a_folder_without_a_lock_orders_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = keeper(folder.path());
        fs::create_dir(folder.path().join("lock")).unwrap();
        for _ in 0..3 {
            assert!(rest(&mut keeper).await >= BUSY);
            assert_eq!(count(&keeper, Outcome::Storage), 1);
        }
        assert_eq!(count(&keeper, Outcome::Unreachable), 0);
    }

    #[tokio::test]
    async fn who_finds_the_lock_taken_waits() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = keeper(folder.path());
        let lock = kept::lock(&keeper.params).unwrap().unwrap();
        let left = rest(&mut keeper).await;
        assert!(left >= BUSY / 2 && left <= BUSY * 2, "{left:?}");
        assert_eq!(
            keeper.status.orders().map(|(_, count)| count).sum::<u64>(),
            0
        );
        drop(lock);
        rest(&mut keeper).await;
        assert_eq!(count(&keeper, Outcome::Unreachable), 1);
    }
}

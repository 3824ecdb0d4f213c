//! Keeps an [`EndpointSet`] at what sources of endpoints know.

use std::sync::Arc;

use futures_util::future::select_all;
use http::uri::Authority;
use tokio::sync::watch;

use super::{EndpointSet, Target};
use crate::discovery::Resolution;

/// One source of endpoints, and how these are spoken of.
#[derive(Debug, Clone)]
pub struct Feed {
    /// What the source knows.
    pub resolution: watch::Receiver<Resolution>,
    /// What its endpoints are called in `Host` and `:authority`.
    pub authority: Authority,
    /// What the weight of each of its endpoints is multiplied by, at least 1.
    pub weight: u32,
}

impl Feed {
    /// A source whose endpoints are called `authority` and keep the weights that it gives them.
    pub fn new(resolution: watch::Receiver<Resolution>, authority: Authority) -> Self {
        Self {
            resolution,
            authority,
            weight: 1,
        }
    }
}

/// Brings `set` to what `feeds` know, now and at each change. It never ends: drop it to stop. A source
/// whose sender is gone leaves what it knew last.
pub async fn feed(set: Arc<EndpointSet>, mut feeds: Vec<Feed>) {
    loop {
        // Whatever changed until now, once: ten thousand names answer at about the same time.
        for feed in &mut feeds {
            feed.resolution.mark_unchanged();
        }
        refresh(&set, &feeds);
        if feeds.is_empty() {
            return std::future::pending().await;
        }
        let changes = feeds
            .iter_mut()
            .map(|feed| Box::pin(changed(&mut feed.resolution)));
        select_all(changes).await;
    }
}

/// Brings `set` to what `feeds` know at this moment.
pub fn refresh(set: &EndpointSet, feeds: &[Feed]) {
    let mut all = Vec::new();
    let mut failure = None;
    let mut settled = true;
    for feed in feeds {
        let resolution = feed.resolution.borrow();
        settled &= resolution.is_settled();
        failure = failure.or_else(|| resolution.failure.clone());
        all.extend(resolution.found.iter().map(|found| Target {
            address: found.address.clone(),
            authority: feed.authority.clone(),
            weight: feed.weight.saturating_mul(found.weight),
            tier: found.tier,
        }));
    }
    // Before every source has answered once, what there is already serves; nothing is no answer yet.
    if settled || !all.is_empty() {
        set.update(all, failure);
    }
}

/// The next change; never, where there will be none.
async fn changed(resolution: &mut watch::Receiver<Resolution>) {
    if resolution.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[tokio::test]
    async fn the_set_follows_its_sources() {
        let (sender, resolution) = watch::channel(Resolution::default());
        let authority = Authority::from_static("users");
        let mut feeds = vec![Feed::new(resolution, authority.clone())];
        let fixed = crate::discovery::fixed([address(1)]);
        feeds.push(Feed {
            weight: 3,
            ..Feed::new(fixed, authority)
        });
        let set = Arc::new(EndpointSet::new(None));
        let feeding = tokio::spawn(feed(Arc::clone(&set), feeds));
        set.settled().await;
        let ports = |set: &EndpointSet| -> Vec<(u16, u32)> {
            let endpoints = set.endpoints();
            let each = endpoints
                .iter()
                .map(|e| (e.address().tcp().unwrap().port(), e.weight()));
            each.collect()
        };
        assert_eq!(ports(&set), [(1, 3)]);
        let before = set.version();
        sender.send_modify(|known| known.accept("users", vec![address(2).into()], None));
        while set.version() == before {
            tokio::task::yield_now().await;
        }
        assert_eq!(ports(&set), [(2, 1), (1, 3)]);
        drop(sender);
        tokio::task::yield_now().await;
        assert_eq!(ports(&set), [(2, 1), (1, 3)]);
        feeding.abort();
    }

    #[tokio::test]
    async fn without_a_source_there_is_no_endpoint() {
        let set = Arc::new(EndpointSet::new(None));
        let feeding = tokio::spawn(feed(Arc::clone(&set), Vec::new()));
        set.settled().await;
        assert!(set.endpoints().is_empty());
        feeding.abort();
    }
}

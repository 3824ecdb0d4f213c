//! Listening sockets that were passed to the process when it was started, as systemd does (`sd_listen_fds(3)`).
//!
//! Such a socket is not ours alone: what is queued in it outlives us, and another process that has it too accepts
//! what we do not. Each is kept open, so that a reload can take it up again.

use std::env;
use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use socket2::SockRef;

/// The sockets, none of which need be used.
#[derive(Debug, Default)]
pub(super) struct Inherited(Vec<Passed>);

#[derive(Debug)]
struct Passed {
    address: SocketAddr,
    /// Whether an unspecified IPv6 address stands for IPv4 as well.
    dual: bool,
    listener: TcpListener,
}

impl Inherited {
    /// Those that `LISTEN_FDS` tells of, where `LISTEN_PID` says that it is meant for this process.
    ///
    /// # Errors
    /// When one of them is no listening TCP socket.
    pub(super) fn from_env() -> io::Result<Self> {
        if env::var_os("LISTEN_PID").is_none_or(|process| process.is_empty()) {
            return Ok(Self::default());
        }
        let mut passed = ListenFd::from_env();
        let all = (0..passed.len()).map(|index| {
            let listener = passed.take_tcp_listener(index)?;
            listener.map(Passed::new).transpose()
        });
        let all: Vec<Option<Passed>> = all.collect::<io::Result<_>>()?;
        Ok(Self(all.into_iter().flatten().collect()))
    }

    /// A socket at `address` for each of `count` workers, if there is any.
    ///
    /// # Errors
    /// When there are more than workers: nobody would accept from some.
    pub(super) fn sockets(
        &self,
        address: SocketAddr,
        count: usize,
    ) -> io::Result<Option<Vec<TcpListener>>> {
        let here = self.0.iter().filter(|passed| passed.address == address);
        let here: Vec<&Passed> = here.collect();
        if here.len() > count {
            let text = format!(
                "{} sockets were passed for it, and there are {count} workers: pass one, or one a worker",
                here.len()
            );
            return Err(io::Error::other(text));
        }
        let clones = here.iter().cycle().take(count);
        let clones = clones.map(|passed| passed.listener.try_clone());
        let clones = clones.collect::<io::Result<Vec<_>>>()?;
        Ok(Some(clones).filter(|clones| !clones.is_empty()))
    }

    /// Whether a socket of an IPv6 address, which is among `listen` too, serves this IPv4 address as well.
    pub(super) fn covers(&self, address: SocketAddr, listen: &[SocketAddr]) -> bool {
        let wide = SocketAddr::from(([0u16; 8], address.port()));
        let is_any = address.is_ipv4() && address.ip().is_unspecified() && address.port() > 0;
        let is_wanted = is_any && listen.contains(&wide);
        is_wanted
            && self
                .0
                .iter()
                .any(|passed| passed.dual && passed.address == wide)
    }

    /// Warns of those that none of `bound` is.
    pub(super) fn warn_of_others(&self, bound: impl Iterator<Item = SocketAddr> + Clone) {
        for Passed { address, .. } in &self.0 {
            if !bound.clone().any(|own| own == *address) {
                tracing::warn!(%address, "a socket was passed that no entry listens on");
            }
        }
    }
}

impl Passed {
    fn new(listener: TcpListener) -> io::Result<Self> {
        let socket = SockRef::from(&listener);
        if !socket.is_listener()? {
            return Err(io::Error::other("it does not listen"));
        }
        socket.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let dual = address.is_ipv6() && !socket.only_v6()?;
        Ok(Self {
            address,
            dual,
            listener,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(addresses: &[&str]) -> Inherited {
        let listeners = addresses.iter().map(|address| {
            let listener = TcpListener::bind(address).unwrap();
            Passed::new(listener).unwrap()
        });
        Inherited(listeners.collect())
    }

    #[test]
    fn one_socket_is_shared_by_all_workers() {
        let all = passed(&["127.0.0.1:0"]);
        let address = all.0[0].address;
        let sockets = all.sockets(address, 3).unwrap().unwrap();
        assert_eq!(sockets.len(), 3);
        assert!(
            sockets
                .iter()
                .all(|own| own.local_addr().unwrap() == address)
        );
        // And again, as after a reload that left it out for a while.
        assert!(all.sockets(address, 1).unwrap().is_some());
        assert!(
            all.sockets("127.0.0.1:9".parse().unwrap(), 3)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn more_sockets_than_workers_are_a_mistake() {
        let mut all = passed(&["127.0.0.1:0"]);
        let again = Passed::new(all.0[0].listener.try_clone().unwrap()).unwrap();
        all.0.push(again);
        let address = all.0[0].address;
        assert_eq!(all.sockets(address, 2).unwrap().unwrap().len(), 2);
        let refused = all.sockets(address, 1).unwrap_err();
        assert!(refused.to_string().starts_with("2 sockets"), "{refused}");
    }

    #[test]
    fn a_socket_for_both_families_serves_ipv4() {
        let all = passed(&["[::]:0"]);
        let port = all.0[0].address.port();
        let of = |text: &str| format!("{text}:{port}").parse().unwrap();
        let both = [of("0.0.0.0"), of("[::]")];
        assert_eq!(all.covers(both[0], &both), all.0[0].dual);
        assert!(!all.covers(both[0], &both[..1]));
        assert!(!all.covers(of("127.0.0.1"), &both));
        assert!(!all.covers(both[1], &both));
    }
}

//! Sockets: listening, connecting, the byte stream under HTTP, tunnels, and the book of open connections.
//!
//! Nothing here knows HTTP. Timers are kept a connection, never a request: see [`Watchdog`].

mod connect;
mod connections;
mod listener;
mod network;
pub mod proxy_protocol;
mod secured;
mod stream;
mod tunnel;
mod watchdog;

pub use connect::{connect, connect_unix};
pub use connections::{Connection, Connections};
pub use listener::{Acceptor, bind};
pub use network::Network;
pub use secured::{PolicyId, Secured};
pub use stream::{Failure, Stream};
pub use tunnel::{Tunnelled, tunnel};
pub use watchdog::{Expired, Watchdog};

//! The one body type of every request and response, and the watchers that see it end.

mod stream;
mod watch;
mod withheld;

pub use stream::{Body, Duplex};
pub use watch::{End, Watch};
pub use withheld::withhold;

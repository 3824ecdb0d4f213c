//! The one body type of every request and response, and the watchers that see it end.

mod stream;
mod watch;

pub use stream::Body;
pub use watch::{End, Watch};

//! The one body type of every request and response, and the watchers that see it end.

mod pipe;
mod stream;
mod watch;
mod withheld;

pub use pipe::Pipe;
pub use stream::{Body, Spliced, Streamed};
pub use watch::{End, Watch};
pub use withheld::withhold;

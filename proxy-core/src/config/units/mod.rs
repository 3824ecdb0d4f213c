//! Quantities with their units: durations, sizes, shares and rates.

mod duration;
mod percent;
mod quantity;
mod rate;
mod size;

pub use duration::Duration;
pub use percent::Percent;
pub use rate::Rate;
pub use size::Size;

//! An HTTP upstream in a process of its own: `origin` prints its address and answers every request.

use std::io::Write as _;
use std::time::Duration;

use remora_tests::origin::{Origin, slow};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let milliseconds = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let origin = Origin::start(move |_| slow(Duration::from_millis(milliseconds)));
    let mut out = std::io::stdout();
    let said = writeln!(out, "{}", origin.address()).and_then(|()| out.flush());
    if said.is_ok() {
        std::future::pending::<()>().await;
    }
}

//! Endpoints from the lines of a file, which is watched.
//!
//! A line is `ADDRESS:PORT`, optionally with `weight=1..1000` and `tier=0..65535` behind it; `#` begins
//! a comment. A file that is missing, malformed or empty changes nothing: the last good set stays.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Found, LookupError, Resolution};
use crate::fault::Reason;
use crate::files::{Changes, next_look};

/// How often the file is looked at although no change was told: not every file system tells them.
const LOOK: Duration = Duration::from_secs(5);

/// No more than this is read.
const MOST_BYTES: u64 = 16 << 20;

/// Follows the file until every receiver is gone; `known` are its endpoints until it was read.
/// Must be called within a tokio runtime.
pub fn watch_file(path: PathBuf, known: Arc<[Found]>) -> watch::Receiver<Resolution> {
    let (sender, receiver) = watch::channel(Resolution {
        found: known,
        ..Resolution::default()
    });
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            () = follow(&path, &sender) => {}
        }
    });
    receiver
}

async fn follow(path: &Path, sender: &watch::Sender<Resolution>) {
    let mut changes = Changes::of(&[path]).ok();
    let name = path.display().to_string();
    let mut last = None;
    loop {
        let read = read(path);
        if last.as_ref() != Some(&read) {
            match &read {
                Ok(found) => {
                    let found = found.clone();
                    sender.send_modify(|resolution| resolution.accept(&name, found, None));
                }
                Err(failure) => {
                    tracing::warn!("{failure}; the last good endpoints are kept");
                    sender.send_modify(|resolution| resolution.reject(failure.clone()));
                }
            }
            last = Some(read);
        }
        next_look(&mut changes, LOOK).await;
    }
}

fn read(path: &Path) -> Result<Vec<Found>, LookupError> {
    let failed = |text: String| LookupError {
        reason: Reason::DestinationUnavailable,
        text: format!("{}: {text}", path.display()),
    };
    let size = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if size.len() > MOST_BYTES {
        return Err(failed("the file has more than 16 MiB".to_owned()));
    }
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    parse(&text).map_err(failed)
}

/// The endpoints of a file's text, or what is wrong with it, with the line.
fn parse(text: &str) -> Result<Vec<Found>, String> {
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let Some(address) = words.next() else {
            continue;
        };
        let wrong = |what: &str, help: &str| format!("line {}: `{what}` {help}", number + 1);
        let address: SocketAddr = address
            .parse()
            .map_err(|_| wrong(address, "is not an address and a port, like `10.0.0.1:80`"))?;
        let mut found = Found::from(address);
        for word in words {
            let bad = || wrong(word, "is neither `weight=1..1000` nor `tier=0..65535`");
            match word.split_once('=') {
                Some(("weight", value)) => {
                    let weight = value
                        .parse()
                        .ok()
                        .filter(|weight| (1..=1000).contains(weight));
                    found.weight = weight.ok_or_else(bad)?;
                }
                Some(("tier", value)) => found.tier = value.parse().map_err(|_| bad())?,
                _ => return Err(bad()),
            }
        }
        all.push(found);
    }
    if all.is_empty() {
        return Err("the file holds no endpoint".to_owned());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_endpoints() {
        let text = "# two\n10.0.0.1:80\n\n  [::1]:81 weight=5 tier=2 # the other\n";
        let found = parse(text).unwrap();
        assert_eq!(found[0], Found::from(SocketAddr::from(([10, 0, 0, 1], 80))));
        let other = (found[1].address.to_string(), found[1].weight, found[1].tier);
        assert_eq!(other, ("[::1]:81".to_owned(), 5, 2));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, place) in [
            (
                "10.0.0.1:80\nusers:80\n",
                "line 2: `users:80` is not an address",
            ),
            ("10.0.0.1:80 weight=0\n", "line 1: `weight=0` is neither"),
            ("10.0.0.1:80 heavy\n", "line 1: `heavy` is neither"),
            ("# nothing\n", "no endpoint"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(place), "{error}");
        }
    }
}

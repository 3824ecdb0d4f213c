//! What the kernel shows of a pod below `/proc`: who listens, and which processes run.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// The state of a listening socket in `/proc/net/tcp` (`TCP_LISTEN`).
const LISTEN: &str = "0A";

/// The longest name that the kernel keeps of a process (`TASK_COMM_LEN`, less the closing zero).
const LONGEST: usize = 15;

/// The most of a command line that is read: the program is its first word.
const WORDS: u64 = 4096;

/// A port that somebody may listen on, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) at: At,
    pub(crate) port: u16,
}

/// Where somebody listens who can be reached there; whoever listens on every address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// At this address.
    Address(IpAddr),
    /// At any of the loopback addresses.
    Loopback,
    /// At any address at all.
    Any,
}

impl Wanted {
    fn is_met_by(self, (ip, port): (IpAddr, u16)) -> bool {
        let reaches = match self.at {
            At::Address(address) => ip == address,
            At::Loopback => ip.is_loopback(),
            At::Any => true,
        };
        port == self.port && (reaches || ip.is_unspecified())
    }
}

/// Whether somebody in this network namespace, which is the pod's, listens where one of these is met.
pub(crate) fn listens(wanted: &[Wanted]) -> io::Result<bool> {
    let of_ipv4 = listens_in(Path::new("/proc/self/net/tcp"), wanted)?;
    match of_ipv4 {
        true => Ok(true),
        false => match listens_in(Path::new("/proc/self/net/tcp6"), wanted) {
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            listens => listens,
        },
    }
}

fn listens_in(table: &Path, wanted: &[Wanted]) -> io::Result<bool> {
    // Those who listen stand first, so that little of a long table is read.
    for line in BufReader::new(File::open(table)?).lines() {
        let listener = listener(&line?);
        if listener.is_some_and(|own| wanted.iter().any(|wanted| wanted.is_met_by(own))) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The local address of a line, if somebody listens on it.
fn listener(line: &str) -> Option<(IpAddr, u16)> {
    let mut columns = line.split_ascii_whitespace();
    let (address, port) = columns.nth(1)?.split_once(':')?;
    if columns.nth(1)? != LISTEN {
        return None;
    }
    Some((ip(address)?, u16::from_str_radix(port, 16).ok()?))
}

/// An address as words of 32 bits, each in the machine's order of bytes.
fn ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = hex.get(at..at + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (index, quarter) in bytes.chunks_mut(4).enumerate() {
                quarter.copy_from_slice(&word(index * 8)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

/// Whether another process that can be seen has this name: the kernel's, or that of its program.
pub(crate) fn runs(name: &str) -> io::Result<bool> {
    let own = std::process::id().to_string();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let file = entry.file_name();
        let Some(number) = file
            .to_str()
            .filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
        else {
            continue;
        };
        if number != own && is_called(&entry.path(), name) && !has_ended(&entry.path()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_called(process: &Path, name: &str) -> bool {
    let kept = fs::read(process.join("comm")).unwrap_or_default();
    let bytes = name.as_bytes();
    if kept.trim_ascii_end() == &bytes[..bytes.len().min(LONGEST)] && bytes.len() <= LONGEST {
        return true;
    }
    let mut words = Vec::new();
    let read = File::open(process.join("cmdline"))
        .and_then(|line| line.take(WORDS).read_to_end(&mut words));
    let program = words.split(|byte| *byte == 0).next().unwrap_or_default();
    read.is_ok() && program.rsplit(|byte| *byte == b'/').next() == Some(bytes)
}

/// Whether it is only waiting for its parent to take note of its end, or is gone by now.
fn has_ended(process: &Path) -> bool {
    let Ok(stat) = fs::read(process.join("stat")) else {
        return true;
    };
    // Its name may hold brackets and blanks: the state follows the last bracket.
    let state = stat
        .iter()
        .rposition(|byte| *byte == b')')
        .and_then(|at| stat.get(at + 2));
    matches!(state, None | Some(b'Z' | b'X'))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;

    /// Looks for a listener while it is open. Whether it was still seen afterwards.
    fn is_left_over(socket: TcpListener) -> bool {
        let own = socket.local_addr().unwrap();
        let port = own.port();
        let at = |at| Wanted { at, port };
        let other = Wanted {
            at: At::Any,
            port: 1,
        };
        for wanted in [at(At::Any), at(At::Loopback), at(At::Address(own.ip()))] {
            assert!(listens(&[other, wanted]).unwrap(), "{own} {wanted:?}");
        }
        let elsewhere = at(At::Address([192, 0, 2, 7].into()));
        let everywhere = own.ip().is_unspecified();
        assert_eq!(listens(&[elsewhere]).unwrap(), everywhere, "{own}");
        drop(socket);
        listens(&[at(At::Any)]).unwrap()
    }

    #[test]
    fn a_listener_is_seen_while_it_is_open() {
        for host in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"] {
            if TcpListener::bind(host).is_err() {
                continue;
            }
            // Another process may be given the port that has just become free: not each time.
            let always = (0..10).all(|_| is_left_over(TcpListener::bind(host).unwrap()));
            assert!(!always, "{host}");
        }
    }

    #[test]
    fn lines_of_the_table_are_read() {
        let line =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1";
        #[cfg(target_endian = "little")]
        assert_eq!(listener(line), Some(("127.0.0.1".parse().unwrap(), 8080)));
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None);
        for wrong in [
            "",
            "  sl  local_address rem_address   st",
            "0: 01:1 0:0 0A",
            "0: \u{e9}1234567:1 0:0 0A",
        ] {
            assert_eq!(listener(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_process_is_seen_until_it_has_ended_even_if_nobody_takes_note() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Path::new("/proc").join(child.id().to_string());
        while !is_called(&process, "sleep") {
            std::thread::yield_now();
        }
        assert!(runs("sleep").unwrap() && !has_ended(&process));
        child.kill().unwrap();
        // Nobody has waited for it: it stays as a zombie.
        while !has_ended(&process) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(has_ended(&process));
        assert!(!runs("no process has such a name").unwrap());
    }
}

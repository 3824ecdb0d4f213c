//! Programs from outside that tests and measurements use: which they are, and how they are installed.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::{is_ci, step};

/// A program and the Debian package that carries it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    name: &'static str,
    package: &'static str,
}

/// What the black-box tests start.
pub(crate) const FOR_TESTS: [Program; 11] = [
    Program {
        name: "chromium",
        package: "chromium",
    },
    Program {
        name: "nginx",
        package: "nginx",
    },
    Program {
        name: "haproxy",
        package: "haproxy",
    },
    Program {
        name: "curl",
        package: "curl",
    },
    Program {
        name: "dnsmasq",
        package: "dnsmasq-base",
    },
    Program {
        name: "ip",
        package: "iproute2",
    },
    Program {
        name: "buildah",
        package: "buildah",
    },
    Program {
        name: "pebble",
        package: "pebble",
    },
    Program {
        name: "openssl",
        package: "openssl",
    },
    Program {
        name: "nghttp",
        package: "nghttp2-client",
    },
    Program {
        name: "testssl",
        package: "testssl.sh",
    },
];

/// What the bench measures and measures with, besides Envoy.
pub(crate) const FOR_BENCH: [Program; 3] = [
    Program {
        name: "nginx",
        package: "nginx",
    },
    Program {
        name: "haproxy",
        package: "haproxy",
    },
    Program {
        name: "chrt",
        package: "util-linux",
    },
];

/// Installs the programs that are missing where that is possible, and names those that stay missing.
///
/// Missing programs are an error under CI and a remark elsewhere.
pub(crate) fn ensure(programs: &[Program]) -> Result<()> {
    let missing = missing(programs);
    if missing.is_empty() {
        return Ok(());
    }
    offer(&missing)?;
    let missing = self::missing(programs).join(" ");
    if missing.is_empty() {
        return Ok(());
    }
    if is_ci() {
        bail!("missing packages: {missing}");
    }
    eprintln!("==> missing: what needs them is left out; install the packages {missing}");
    Ok(())
}

fn missing(programs: &[Program]) -> Vec<&'static str> {
    programs
        .iter()
        .filter(|program| find(program.name).is_none())
        .map(|program| program.package)
        .collect()
}

/// Installs packages where that is possible.
pub(crate) fn offer(packages: &[&str]) -> Result<()> {
    if is_root() && find("apt-get").is_some() {
        install(packages)?;
    }
    Ok(())
}

/// Installs packages without starting the services that they bring.
fn install(packages: &[&str]) -> Result<()> {
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    let words = [
        &["install", "-y", "-q", "--no-install-recommends"],
        packages,
    ]
    .concat();
    let what = format!("install {}", packages.join(" "));
    if step::run(&what, &mut apt(&words)).is_ok() {
        return Ok(());
    }
    // The package lists may be old or absent.
    let refreshed = step::run("refresh the package lists", &mut apt(&["update", "-q"]));
    if let Err(error) = refreshed.and_then(|()| step::run(&what, &mut apt(&words))) {
        eprintln!("==> {error}");
    }
    Ok(())
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Looks for a program in `PATH` and in the folders where distributions put servers.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(servers)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

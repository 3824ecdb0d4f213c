//! Decides what happens when a machine lacks something: a skip that says so, or a failure in CI.

use std::path::PathBuf;

/// Whether every named program is installed and, with `root`, this process may make namespaces.
///
/// Prints what is missing and which package has it.
///
/// # Panics
///
/// When something is missing and `CI` is `true`: a run that must mean something skips nothing.
pub fn met(programs: &[(&str, &str)], root: bool) -> bool {
    let mut missing: Vec<String> = programs
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(program, package)| format!("{program} (package {package})"))
        .collect();
    if root && !rustix::process::geteuid().is_root() {
        missing.push("the rights of root".to_owned());
    }
    if missing.is_empty() {
        return true;
    }
    let message = format!("skipped, missing here: {}", missing.join(", "));
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
    eprintln!("{message}");
    false
}

/// Where the program is, looked up in `PATH`, in the directories for administrators, and in `target/tools`, where
/// `cargo xtask test` builds what no package has.
pub fn find(program: &str) -> Option<PathBuf> {
    let built = crate::proxy::built_beside();
    let tools = built.parent().map(|target| target.join("tools"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(administrators)
        .chain(tools)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

//! Reads what the kernel says about a process's memory.

/// Memory of one process, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident, with pages shared with other processes counted by share.
    pub proportional: u64,
    /// Resident.
    pub resident: u64,
}

impl Memory {
    /// Reads the memory of the process with this number.
    ///
    /// # Panics
    ///
    /// When there is no such process.
    pub fn of(pid: i32) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .expect("the process runs and is ours");
        Self {
            proportional: field(&text, "Pss:"),
            resident: field(&text, "Rss:"),
        }
    }
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number
        .and_then(|number| number.parse::<u64>().ok())
        .expect("a figure in KiB")
        * 1024
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn this_process_has_memory() {
        let memory = Memory::of(std::process::id().cast_signed());
        assert!(memory.resident > 100_000 && memory.proportional <= memory.resident);
    }
}

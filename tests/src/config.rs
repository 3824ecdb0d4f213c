//! Writes the YAML of a configuration file: ephemeral ports, two workers, everything logged.

use crate::proxy::{AMBASSADOR, INGRESS, SIDECAR};

/// A configuration file in the making; the default has no entry yet.
#[derive(Clone, Debug, Default)]
pub struct Config {
    role: Option<&'static str>,
    top: Vec<String>,
    entries: Vec<(String, String)>,
}

impl Config {
    /// One entry named `users` that listens on an ephemeral port; `settings` is its other lines.
    pub fn of(settings: &str) -> Self {
        Self::default().and("users", settings)
    }

    /// The same of the sidecar: one entry named `web`.
    pub fn of_sidecar(settings: &str) -> Self {
        Self::for_role(SIDECAR).and("web", settings)
    }

    /// A file of a role, without an entry yet.
    pub fn for_role(role: &'static str) -> Self {
        Self {
            role: Some(role),
            ..Self::default()
        }
    }

    /// The same of the ingress: one entry named `edge`.
    pub fn of_ingress(settings: &str) -> Self {
        let role = Some(INGRESS);
        Self {
            role,
            ..Self::default()
        }
        .and("edge", settings)
    }

    /// The role whose section the entries stand in.
    pub fn role(&self) -> &'static str {
        self.role.unwrap_or(AMBASSADOR)
    }

    /// Adds an entry.
    pub fn and(mut self, name: &str, settings: &str) -> Self {
        self.entries.push((name.to_owned(), settings.to_owned()));
        self
    }

    /// Adds a line at the top level of the file, which replaces the same key of the defaults here.
    pub fn with(mut self, line: &str) -> Self {
        self.top.push(line.to_owned());
        self
    }

    /// The names of its entries.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for default in ["admin: 127.0.0.1:0", "workers: 2", "access-log: all"] {
            let key = default.split(':').next().unwrap_or(default);
            if !self
                .top
                .iter()
                .any(|line| line.starts_with(&format!("{key}:")))
            {
                text += &format!("{default}\n");
            }
        }
        for line in &self.top {
            text += &format!("{line}\n");
        }
        text += &format!("{}:\n", self.role());
        for (name, settings) in &self.entries {
            text += &format!("  {name}:\n");
            if !settings.contains("listen:") {
                text += "    listen: 127.0.0.1:0\n";
            }
            for line in settings.lines().filter(|line| !line.trim().is_empty()) {
                text += &format!("    {}\n", line.trim());
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn the_text_has_defaults_that_a_line_can_replace() {
        let text = Config::of("to: http://a:1")
            .with("workers: 1")
            .and("b", "to: tcp://c:2")
            .text();
        assert_eq!(
            text,
            "admin: 127.0.0.1:0\naccess-log: all\nworkers: 1\nambassador:\n  users:\n    \
             listen: 127.0.0.1:0\n    to: http://a:1\n  b:\n    listen: 127.0.0.1:0\n    \
             to: tcp://c:2\n"
        );
    }
}

//! A configuration together with the places of its values.

use super::{
    Config, Error, Mirror, OrOff, Scheme,
    errors::{Place, Spot},
    tree::Source,
};

/// A valid configuration, and where each of its values was written.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// The configuration with every default filled in.
    pub config: Config,
    /// The file, unless flags alone made the configuration.
    pub(crate) source: Option<Source>,
    /// The flags that made a value: the value's path, and the flag as it was written.
    pub(crate) flags: Vec<(Vec<String>, String)>,
}

impl Document {
    /// An error at the place of a value, or of the nearest part around it that was written.
    ///
    /// The path names the keys from the root, as in `["ambassador", "users", "to"]`; an item of a
    /// list is named by its number from 0.
    pub fn error_at(
        &self,
        path: &[&str],
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Error {
        Error::new(message, help, self.place(path))
    }

    /// The name of the file that the configuration was read from, if any.
    pub fn file(&self) -> Option<&str> {
        self.source.as_ref().map(Source::file)
    }

    /// Fills in the defaults that depend on other values.
    pub(crate) fn complete(&mut self) {
        for entry in self.config.ambassador.values_mut() {
            entry.discover = Some(entry.discovery());
            if entry.to.scheme().is_some_and(Scheme::is_tls) {
                entry.tls.get_or_insert_default();
            }
            let of_paths = entry.paths.values_mut();
            let of_paths = of_paths.filter_map(|policy| policy.mirror.as_mut());
            for mirror in std::iter::once(&mut entry.mirror).chain(of_paths) {
                if let OrOff::On(mirror) = mirror {
                    complete_mirror(mirror);
                }
            }
        }
    }

    /// Whether a value was written with a mistake that was reported already, so that what stands
    /// in the configuration for it means nothing.
    pub(crate) fn is_wrong(&self, path: &[&str]) -> bool {
        self.flag(path).is_none()
            && self
                .source
                .as_ref()
                .is_some_and(|source| source.has_cuts(path))
    }

    /// The spot in the file of a value, or of the nearest part around it; none where a flag made it.
    pub(crate) fn spot(&self, path: &[&str]) -> Option<Spot> {
        match (self.flag(path), &self.source) {
            (None, Some(source)) => source.spot(path),
            _ => None,
        }
    }

    fn place(&self, path: &[&str]) -> Place {
        match (self.flag(path), &self.source) {
            (Some(flag), _) => Place::Flag {
                flag: flag.to_owned(),
            },
            (None, Some(source)) => source.place(path),
            (None, None) => Place::Whole {
                file: "the command line".to_owned(),
            },
        }
    }

    /// The flag that made the value, or the nearest part around it.
    fn flag(&self, path: &[&str]) -> Option<&str> {
        let covers = |made: &[String]| {
            made.len() <= path.len() && made.iter().zip(path).all(|(a, b)| a == b)
        };
        let nearest = self
            .flags
            .iter()
            .filter(|(made, _)| covers(made))
            .max_by_key(|(made, _)| made.len());
        nearest.map(|(_, flag)| flag.as_str())
    }
}

fn complete_mirror(mirror: &mut Mirror) {
    mirror.discover = Some(mirror.to.discovery(mirror.discover.as_ref()));
    if mirror.to.scheme().is_some_and(Scheme::is_tls) {
        mirror.tls.get_or_insert_default();
    }
}

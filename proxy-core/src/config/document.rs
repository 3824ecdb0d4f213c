//! A configuration together with the places of its values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{
    Config, Entry, EntryName, Error, Inbound, ListenAddress, Mirror, OrOff, PathPolicy, Retry,
    Scheme, Section,
    errors::{Place, Spot},
    tree::Source,
};
#[cfg(feature = "gateway")]
use super::{Lead, Route};

/// A valid configuration, and where each of its values was written.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// The configuration with every default filled in.
    pub config: Config,
    /// The section that was read; those of other roles are empty in the configuration.
    pub(crate) section: Section,
    /// The file, unless flags alone made the configuration.
    pub(crate) source: Option<Source>,
    /// The flags that made a value: the value's path, and the flag as it was written.
    pub(crate) flags: Vec<(Vec<String>, String)>,
}

impl Document {
    /// A document of the role's defaults, without an entry.
    pub(crate) fn of(section: Section) -> Self {
        Self {
            config: Config::of(section),
            section,
            ..Self::default()
        }
    }

    /// The role that it is for.
    pub fn section(&self) -> Section {
        self.section
    }

    /// The entries of its section by name; an inbound one is the outbound one that does the same. The edge
    /// role has none of this kind.
    pub fn entries(&self) -> Vec<(&EntryName, Cow<'_, Entry>)> {
        match self.section {
            Section::Ambassador => {
                let all = self.config.ambassador.iter();
                all.map(|(name, entry)| (name, Cow::Borrowed(entry)))
                    .collect()
            }
            Section::Sidecar => {
                let all = self.config.sidecar.iter();
                all.map(|(name, entry)| (name, Cow::Owned(entry.entry())))
                    .collect()
            }
            Section::Ingress => Vec::new(),
        }
    }

    /// Where the entries of its section listen, by name.
    pub fn listeners(&self) -> Vec<(&EntryName, ListenAddress)> {
        #[cfg(feature = "gateway")]
        if self.section == Section::Ingress {
            let all = self.config.ingress.iter();
            return all
                .map(|(name, gateway)| (name, gateway.listen.0))
                .collect();
        }
        let all = self.entries().into_iter();
        all.map(|(name, entry)| (name, entry.listen)).collect()
    }

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
            complete_mirrors(&mut entry.mirror, &mut entry.paths);
        }
        for entry in self.config.sidecar.values_mut() {
            complete_mirrors(&mut entry.mirror, &mut entry.paths);
        }
        #[cfg(feature = "gateway")]
        for Lead(route) in self
            .config
            .ingress
            .values_mut()
            .flat_map(|gateway| gateway.routes.values_mut())
        {
            complete_route(route);
        }
    }

    /// Gives what the file does not say the defaults of its role, where these differ from those of the
    /// types.
    pub(crate) fn fill_in(&mut self) {
        let (section, Some(source)) = (self.section, &self.source) else {
            return;
        };
        let defaults = Config::of(section);
        if !source.has(&["admin"]) {
            self.config.admin = defaults.admin;
        }
        if !source.has(&["drain", "delay"]) {
            self.config.drain.delay = defaults.drain.delay;
        }
        for (name, entry) in &mut self.config.sidecar {
            let at = [section.as_str(), name.as_str()];
            let of_paths = entry.paths.iter_mut().filter_map(|(path, policy)| {
                Some((vec!["paths", path.as_str()], policy.retry.as_mut()?))
            });
            for (below, retry) in std::iter::once((vec![], &mut entry.retry)).chain(of_paths) {
                let on = [&at[..], &below, &["retry", "on"]].concat();
                if let OrOff::On(Retry { on: retried, .. }) = retry
                    && !source.has(&on)
                {
                    *retried = Inbound::retried();
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

#[cfg(feature = "gateway")]
fn complete_route(route: &mut Route) {
    if let Some(to) = &route.to {
        route.discover = Some(to.discovery(route.discover.as_ref()));
        if to.scheme().is_some_and(Scheme::is_tls) {
            route.tls.get_or_insert_default();
        }
    }
    if let OrOff::On(mirror) = &mut route.mirror {
        complete_mirror(mirror);
    }
}

fn complete_mirrors(own: &mut OrOff<Mirror>, paths: &mut BTreeMap<String, PathPolicy>) {
    let of_paths = paths.values_mut();
    let of_paths = of_paths.filter_map(|policy| policy.mirror.as_mut());
    for mirror in std::iter::once(own).chain(of_paths) {
        if let OrOff::On(mirror) = mirror {
            complete_mirror(mirror);
        }
    }
}

fn complete_mirror(mirror: &mut Mirror) {
    mirror.discover = Some(mirror.to.discovery(mirror.discover.as_ref()));
    if mirror.to.scheme().is_some_and(Scheme::is_tls) {
        mirror.tls.get_or_insert_default();
    }
}

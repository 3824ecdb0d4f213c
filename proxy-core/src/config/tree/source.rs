//! A file: its text, its tree, and the places in it.

use serde::de::DeserializeOwned;

use super::{
    build::{Mistake, build},
    cursor::Cursor,
    failure::{Failure, What},
    interpolate::{Env, interpolate},
    node::{NodeId, Tree},
    text::Text,
};
use crate::config::{
    Error, Section,
    errors::{MOST_ERRORS, Place, Spot},
};

/// The start of the names that replace wrong ones: fit for an entry, and unlikely in a file.
const STAND_IN: &str = "wrong-name-";

/// A file that was read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The section that is read; none where there are no sections.
    section: Option<Section>,
    file: String,
    text: Text,
    tree: Tree,
}

impl Source {
    /// Reads the tree of a text; mistakes that leave the rest readable go to `errors`.
    ///
    /// # Errors
    /// The text is not YAML; it is the only error then.
    pub(crate) fn new(
        file: &str,
        text: &str,
        env: Env<'_>,
        errors: &mut Vec<Error>,
    ) -> Result<Self, Error> {
        Self::of(None, file, text, env, errors)
    }

    /// The same; of a role's file the sections of other roles are not read.
    ///
    /// # Errors
    /// The text is not YAML; it is the only error then.
    pub(crate) fn of(
        section: Option<Section>,
        file: &str,
        text: &str,
        env: Env<'_>,
        errors: &mut Vec<Error>,
    ) -> Result<Self, Error> {
        let mut source = Self {
            section,
            file: file.to_owned(),
            text: Text::new(text),
            tree: Tree::default(),
        };
        let mut mistakes = Vec::new();
        match build(source.text.as_str(), &mut mistakes) {
            Ok(tree) => source.tree = tree,
            Err(mistake) => return Err(source.error(mistake)),
        }
        source.leave_out();
        interpolate(&mut source.tree, &source.text, env, &mut mistakes);
        errors.extend(
            mistakes
                .into_iter()
                .take(MOST_ERRORS)
                .map(|mistake| source.error(mistake)),
        );
        Ok(source)
    }

    /// The name of the file.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Cuts off the sections of other roles.
    fn leave_out(&mut self) {
        let (Some(section), Some(root)) = (self.section, self.tree.root()) else {
            return;
        };
        let is_foreign = |key| {
            self.tree
                .text(key)
                .is_some_and(|key| section.is_foreign(key))
        };
        let entries = self.tree.entries(root).iter();
        let left_out = entries.filter(|(key, _)| is_foreign(*key));
        let left_out: Vec<NodeId> = left_out.map(|(_, value)| *value).collect();
        left_out
            .into_iter()
            .for_each(|value| self.tree.prune(value));
    }

    /// Whether nothing but comments stands in the file.
    pub(crate) fn is_empty(&self) -> bool {
        match self.tree.root() {
            Some(root) => matches!(self.tree.text(root), Some("" | "~" | "null")),
            None => true,
        }
    }

    /// Reads a value from the tree, cutting off whatever does not fit and reading again until the
    /// rest does; `None` where no rest does.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, errors: &mut Vec<Error>) -> Option<T> {
        let root = self.tree.root()?;
        while errors.len() < MOST_ERRORS && !self.tree.node(root).pruned {
            match T::deserialize(Cursor {
                tree: &self.tree,
                id: root,
            }) {
                Ok(value) => return Some(value),
                Err(failure) => {
                    self.cut(failure, root, errors);
                    // A wrong key may have been taken for one of them.
                    self.leave_out();
                }
            }
        }
        None
    }

    /// The place of a value, or of the nearest part around it that was written.
    pub(crate) fn place(&self, path: &[&str]) -> Place {
        match self.spot(path) {
            Some(spot) => self.place_of(spot),
            None => Place::Whole {
                file: self.file.clone(),
            },
        }
    }

    /// The spot of a value, or of the nearest part around it that was written; none in an empty file.
    pub(crate) fn spot(&self, path: &[&str]) -> Option<Spot> {
        self.find(path).map(|id| self.tree.spot(id))
    }

    /// Whether a value was written.
    pub(crate) fn has(&self, path: &[&str]) -> bool {
        self.exact(path).is_some()
    }

    /// Whether a value was written and a part of it was found wrong.
    pub(crate) fn has_cuts(&self, path: &[&str]) -> bool {
        self.exact(path).is_some_and(|id| self.tree.has_cuts(id))
    }

    fn exact(&self, path: &[&str]) -> Option<NodeId> {
        let mut names = path.iter();
        names.try_fold(self.tree.root()?, |id, name| self.tree.child(id, name))
    }

    /// The node of the longest part of a path that was written.
    fn find(&self, path: &[&str]) -> Option<NodeId> {
        let mut found = self.tree.root()?;
        for name in path {
            let child = self.tree.child(found, name);
            match child.or_else(|| self.tree.child_in_any_case(found, name)) {
                Some(child) => found = child,
                None => break,
            }
        }
        Some(found)
    }

    /// Records a failure and takes its cause out of the tree.
    fn cut(&mut self, failure: Failure, root: NodeId, errors: &mut Vec<Error>) {
        let id = failure.at.unwrap_or(root);
        let known = match failure.what {
            What::MissingKey { key } => {
                let lost = |entry| self.tree.is_cut(entry) && self.tree.text(entry.0) == Some(key);
                self.tree.entries(id).iter().any(|entry| lost(*entry))
            }
            What::UnknownKey { .. } | What::Value { .. } => false,
        };
        if !known {
            let (message, help) = failure.texts();
            errors.push(self.error(Mistake::new(self.tree.spot(id), message, help)));
        }
        let name = match failure.what {
            What::UnknownKey { .. } => failure.meant().map(str::to_owned),
            What::Value { .. } => Some(format!("{STAND_IN}{}", errors.len())),
            What::MissingKey { .. } => None,
        };
        let renamed = name.is_some_and(|name| {
            let again = self
                .tree
                .text(id)
                .is_some_and(|text| text.starts_with(STAND_IN));
            !again && self.tree.rename(id, &name)
        });
        if !renamed {
            self.tree.prune(id);
        }
    }

    fn error(&self, mistake: Mistake) -> Error {
        Error::new(mistake.message, mistake.help, self.place_of(mistake.spot))
    }

    fn place_of(&self, spot: Spot) -> Place {
        Place::File {
            file: self.file.clone(),
            spot,
            text: self.text.line(spot.line).to_owned(),
        }
    }
}

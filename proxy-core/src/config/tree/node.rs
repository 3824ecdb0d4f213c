//! The nodes of a tree, in one arena.

use std::collections::HashMap;

use crate::config::errors::Spot;

/// The number of a node in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(usize);

/// A value of the file.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) spot: Spot,
    /// The key that the value belongs to, when it is a value of a map.
    pub(super) key: Option<NodeId>,
    /// The map that the node is a key of.
    pub(super) holder: Option<NodeId>,
    /// Whether the node was found wrong, reported and cut off.
    pub(super) pruned: bool,
    pub(super) kind: Kind,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A scalar; `plain` tells that it stands without quotes and so may be a number.
    Scalar { text: String, plain: bool },
    /// The items of a list.
    List(Vec<NodeId>),
    /// The keys and values of a map.
    Map(Entries),
}

/// The entries of a map.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries {
    /// Keys and values in the order of the file.
    pub(super) all: Vec<(NodeId, NodeId)>,
    /// The first entry of each name, as its number in `all`.
    pub(super) names: HashMap<String, usize>,
}

/// A document as nodes; the first one is the root.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    pub(super) fn push(&mut self, spot: Spot, kind: Kind) -> NodeId {
        self.nodes.push(Node {
            spot,
            key: None,
            holder: None,
            pruned: false,
            kind,
        });
        NodeId(self.nodes.len() - 1)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn root(&self) -> Option<NodeId> {
        if self.nodes.is_empty() {
            None
        } else {
            Some(NodeId(0))
        }
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0]
    }

    pub(super) fn prune(&mut self, id: NodeId) {
        self.node_mut(id).pruned = true;
    }

    /// Gives a wrong key the name that it takes part under from here on, so that its value is
    /// still checked; `false` where the node is no key, or the name is taken.
    pub(super) fn rename(&mut self, id: NodeId, name: &str) -> bool {
        let Some(holder) = self.node(id).holder else {
            return false;
        };
        if self.child(holder, name).is_some() {
            return false;
        }
        let former = std::mem::replace(
            &mut self.node_mut(id).kind,
            Kind::Scalar {
                text: name.to_owned(),
                plain: false,
            },
        );
        if let (Kind::Scalar { text, .. }, Kind::Map(entries)) =
            (former, &mut self.node_mut(holder).kind)
            && let Some(number) = entries.names.remove(&text)
        {
            entries.names.insert(name.to_owned(), number);
        }
        true
    }

    /// The text of a scalar.
    pub(super) fn text(&self, id: NodeId) -> Option<&str> {
        match &self.node(id).kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The entries of a map, pruned ones included; none where the node is no map.
    pub(super) fn entries(&self, id: NodeId) -> &[(NodeId, NodeId)] {
        match &self.node(id).kind {
            Kind::Map(entries) => &entries.all,
            Kind::Scalar { .. } | Kind::List(_) => &[],
        }
    }

    /// Whether an entry of a map is cut off.
    pub(super) fn is_cut(&self, (key, value): (NodeId, NodeId)) -> bool {
        self.node(key).pruned || self.node(value).pruned
    }

    /// The value of a key in a map, or the item of a list by its number.
    pub(super) fn child(&self, id: NodeId, name: &str) -> Option<NodeId> {
        match &self.node(id).kind {
            Kind::Scalar { .. } => None,
            Kind::List(items) => name
                .parse::<usize>()
                .ok()
                .and_then(|at| items.get(at))
                .copied(),
            Kind::Map(entries) => {
                let number = entries.names.get(name)?;
                entries.all.get(*number).map(|(_, value)| *value)
            }
        }
    }

    /// A child by its key in any case, as the names of header fields are written.
    pub(super) fn child_in_any_case(&self, id: NodeId, name: &str) -> Option<NodeId> {
        let Kind::Map(entries) = &self.node(id).kind else {
            return None;
        };
        let is_it = |written: &NodeId| {
            let written = self.text(*written);
            written.is_some_and(|written| written.eq_ignore_ascii_case(name))
        };
        let mut all = entries.all.iter();
        all.find(|(key, _)| is_it(key)).map(|(_, value)| *value)
    }

    /// Whether a part of the node, or the node, is cut off.
    pub(super) fn has_cuts(&self, id: NodeId) -> bool {
        let node = self.node(id);
        node.pruned
            || match &node.kind {
                Kind::Scalar { .. } => false,
                Kind::List(items) => items.iter().any(|item| self.has_cuts(*item)),
                Kind::Map(entries) => entries
                    .all
                    .iter()
                    .any(|(key, value)| self.node(*key).pruned || self.has_cuts(*value)),
            }
    }

    /// Where to point for a node: at a scalar itself; at the key of a map, a list or nothing.
    pub(super) fn spot(&self, id: NodeId) -> Spot {
        let node = self.node(id);
        let visible =
            matches!(&node.kind, Kind::Scalar { text, plain } if !(text.is_empty() && *plain));
        match node.key {
            Some(key) if !visible => self.node(key).spot,
            _ => node.spot,
        }
    }
}

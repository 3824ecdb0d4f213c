//! A tree of path segments: one walk finds the exact path and every prefix.
//!
//! Segments are what stands between slashes, empty ones included. A node is an exact path, a prefix, or
//! both: `/a/` is the node of the empty segment below `a`. A walk costs a binary search for each segment
//! that the tree knows, and remembers nothing: the way back up is the list of prefixes, longest first.

/// The place of a node.
pub(super) type NodeId = u32;

/// Many trees, one for each root.
#[derive(Debug, Default)]
pub(super) struct Forest {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Itself, for a root.
    parent: NodeId,
    /// Sorted by segment.
    children: Vec<(Box<str>, NodeId)>,
    exact: Vec<u32>,
    prefix: Vec<u32>,
}

/// How far a path leads down a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    deepest: NodeId,
    whole: bool,
}

impl Forest {
    /// A tree without a path.
    pub(super) fn root(&mut self) -> NodeId {
        self.add(None)
    }

    fn add(&mut self, parent: Option<NodeId>) -> NodeId {
        let id = NodeId::try_from(self.nodes.len()).unwrap_or(NodeId::MAX);
        let parent = parent.unwrap_or(id);
        self.nodes.push(Node {
            parent,
            ..Node::default()
        });
        id
    }

    /// Puts a rule at an exact path.
    pub(super) fn put_exact(&mut self, root: NodeId, path: &str, rule: u32) {
        let node = self.grow(root, segments(path));
        self.at_mut(node, |node| node.exact.push(rule));
    }

    /// Puts a rule at a prefix; its trailing slash is ignored.
    pub(super) fn put_prefix(&mut self, root: NodeId, path: &str, rule: u32) {
        let path = path.strip_suffix('/').unwrap_or(path);
        let node = match path.is_empty() {
            true => root,
            false => self.grow(root, segments(path)),
        };
        self.at_mut(node, |node| node.prefix.push(rule));
    }

    fn grow<'p>(&mut self, root: NodeId, path: impl Iterator<Item = &'p str>) -> NodeId {
        let mut at = root;
        for segment in path {
            let found = self.child(at, segment);
            at = match found {
                Ok(child) => child,
                Err(place) => {
                    let child = self.add(Some(at));
                    self.at_mut(at, |node| {
                        node.children.insert(place, (segment.into(), child))
                    });
                    child
                }
            };
        }
        at
    }

    /// Orders the rules of each path by `rank` and gives back what building took too much.
    pub(super) fn finish<K: Ord>(&mut self, rank: impl Fn(&u32) -> K) {
        for node in &mut self.nodes {
            node.exact.sort_by_key(&rank);
            node.prefix.sort_by_key(&rank);
            node.exact.shrink_to_fit();
            node.prefix.shrink_to_fit();
            node.children.shrink_to_fit();
        }
        self.nodes.shrink_to_fit();
    }

    /// Follows `path` down from `root`.
    pub(super) fn walk(&self, root: NodeId, path: &str) -> Walk {
        let mut deepest = root;
        if !path.starts_with('/') {
            return Walk {
                deepest,
                whole: false,
            };
        }
        for segment in segments(path) {
            match self.child(deepest, segment) {
                Ok(child) => deepest = child,
                Err(_) => {
                    return Walk {
                        deepest,
                        whole: false,
                    };
                }
            }
        }
        Walk {
            deepest,
            whole: true,
        }
    }

    /// The rules of the exact path.
    pub(super) fn exact(&self, walk: Walk) -> &[u32] {
        let node = self.nodes.get(walk.deepest as usize).filter(|_| walk.whole);
        node.map_or(&[], |node| &node.exact)
    }

    /// The rules of each prefix, the longest first.
    pub(super) fn prefixes(&self, walk: Walk) -> impl Iterator<Item = &[u32]> {
        let mut next = Some(walk.deepest);
        std::iter::from_fn(move || {
            let at = next?;
            let node = self.nodes.get(at as usize)?;
            next = Some(node.parent).filter(|parent| *parent != at);
            Some(node.prefix.as_slice())
        })
    }

    fn child(&self, at: NodeId, segment: &str) -> Result<NodeId, usize> {
        let children = self
            .nodes
            .get(at as usize)
            .map_or(&[][..], |node| &node.children);
        let found = children.binary_search_by(|(own, _)| (**own).cmp(segment))?;
        children.get(found).map(|(_, child)| *child).ok_or(found)
    }

    fn at_mut(&mut self, at: NodeId, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(at as usize) {
            change(node);
        }
    }
}

/// The segments of an absolute path: those of `/a/` are `a` and an empty one.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

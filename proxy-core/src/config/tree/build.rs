//! Builds a tree from the events of the YAML parser, and refuses what this grammar leaves out.
//!
//! Left out are anchors, aliases, tags, keys that are no scalars, duplicate keys and further
//! documents. Size, depth and number of nodes are bounded, so that no file can exhaust memory.

use std::borrow::Cow;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{
    mask::{mask, unmask},
    node::{Entries, Kind, NodeId, Tree},
};
use crate::config::errors::Spot;

/// The most levels of lists and maps within each other.
const DEEPEST: usize = 32;

/// The most values and keys in a file.
const MOST_NODES: usize = 100_000;

/// A mistake at a spot, before it is joined with its file.
pub(super) struct Mistake {
    pub(super) spot: Spot,
    pub(super) message: String,
    pub(super) help: String,
}

impl Mistake {
    pub(super) fn new(spot: Spot, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            spot,
            message: message.into(),
            help: help.into(),
        }
    }
}

/// Builds the tree of the first document; what is wrong but can be cut off goes to `mistakes`.
///
/// # Errors
/// The text is not YAML, or is too deep or too large; the rest of it stays unread.
pub(super) fn build(text: &str, mistakes: &mut Vec<Mistake>) -> Result<Tree, Mistake> {
    let mut builder = Builder {
        tree: Tree::default(),
        open: Vec::new(),
        mistakes,
        masked: false,
    };
    let mut documents = 0;
    let masked = mask(text);
    builder.masked = masked.is_some();
    for event in Parser::new_from_str(masked.as_deref().unwrap_or(text)) {
        let (event, span) = event.map_err(|error| syntax(&error, text))?;
        if let Event::DocumentStart(_) = event {
            documents += 1;
            if documents > 1 {
                let help = "one file holds one document";
                let mistake = Mistake::new(spot_of(span), "a second document starts here", help);
                builder.mistakes.push(mistake);
                break;
            }
        }
        builder.take(event, span)?;
    }
    Ok(builder.tree)
}

/// A list or a map whose end has not come yet.
struct Open {
    id: NodeId,
    /// The key whose value comes next.
    key: Option<NodeId>,
}

struct Builder<'m> {
    tree: Tree,
    open: Vec<Open>,
    mistakes: &'m mut Vec<Mistake>,
    /// Whether the braces of references are hidden.
    masked: bool,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Mistake> {
        let spot = spot_of(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let text = if self.masked {
                    unmask(&text)
                } else {
                    text.into_owned()
                };
                let id = self.add(spot, Kind::Scalar { text, plain })?;
                self.refuse_extras(id, anchor, tag);
            }
            Event::SequenceStart(anchor, tag) => {
                let id = self.add(spot, Kind::List(Vec::new()))?;
                self.refuse_extras(id, anchor, tag);
                self.enter(id)?;
            }
            Event::MappingStart(anchor, tag) => {
                let id = self.add(spot, Kind::Map(Entries::default()))?;
                self.refuse_extras(id, anchor, tag);
                self.enter(id)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
            }
            Event::Alias(_) => {
                let id = self.add(
                    spot,
                    Kind::Scalar {
                        text: String::new(),
                        plain: true,
                    },
                )?;
                self.refuse(id, "aliases are not supported", ALIAS_HELP);
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn enter(&mut self, id: NodeId) -> Result<(), Mistake> {
        if self.open.len() == DEEPEST {
            return Err(too_deep(self.tree.node(id).spot));
        }
        self.open.push(Open { id, key: None });
        Ok(())
    }

    /// Adds a node to the list or map that is open.
    fn add(&mut self, spot: Spot, kind: Kind) -> Result<NodeId, Mistake> {
        if self.tree.len() == MOST_NODES {
            let message = format!("more than {MOST_NODES} values in one file");
            return Err(Mistake::new(spot, message, "split the file"));
        }
        let id = self.tree.push(spot, kind);
        let Some(open) = self.open.last_mut() else {
            return Ok(id);
        };
        match (&mut self.tree.node_mut(open.id).kind, open.key.take()) {
            (Kind::List(items), _) => items.push(id),
            (Kind::Map(entries), Some(key)) => {
                entries.all.push((key, id));
                self.tree.node_mut(id).key = Some(key);
            }
            (Kind::Map(_), None) => {
                open.key = Some(id);
                self.check_key(id);
            }
            (Kind::Scalar { .. }, _) => {}
        }
        Ok(id)
    }

    fn check_key(&mut self, id: NodeId) {
        let Some(text) = self.tree.text(id).map(str::to_owned) else {
            return self.refuse(
                id,
                "a list or a map stands as a key",
                "a key is a single word",
            );
        };
        let Some(open) = self.open.last() else {
            return;
        };
        self.tree.node_mut(id).holder = Some(open.id);
        let Kind::Map(entries) = &mut self.tree.node_mut(open.id).kind else {
            return;
        };
        let next = entries.all.len();
        let first = *entries.names.entry(text.clone()).or_insert(next);
        if let Some((key, _)) = entries.all.get(first).copied() {
            let line = self.tree.node(key).spot.line;
            let help = format!("it already stands on line {line}");
            self.refuse(id, format!("duplicate key `{text}`"), help);
        }
    }

    fn refuse_extras(&mut self, id: NodeId, anchor: usize, tag: Option<Cow<'_, Tag>>) {
        if let Some(tag) = tag {
            self.refuse(
                id,
                format!("the tag `{tag}` is not supported"),
                "write the value without a tag",
            );
        } else if anchor > 0 {
            self.refuse(
                id,
                "anchors are not supported",
                "write each value out in its place",
            );
        }
    }

    fn refuse(&mut self, id: NodeId, message: impl Into<String>, help: impl Into<String>) {
        self.mistakes
            .push(Mistake::new(self.tree.node(id).spot, message, help));
        self.tree.prune(id);
    }
}

const ALIAS_HELP: &str =
    "a word that starts with `*` is an alias: put it in quotes, like `\"*:9000\"`";

fn spot_of(span: Span) -> Spot {
    let width = if span.start.line() == span.end.line() {
        span.end.col().saturating_sub(span.start.col())
    } else {
        usize::MAX
    };
    Spot {
        line: span.start.line().max(1),
        column: span.start.col() + 1,
        width: width.max(1),
    }
}

fn too_deep(spot: Spot) -> Mistake {
    let message = format!("more than {DEEPEST} levels of lists and maps");
    Mistake::new(spot, message, "nothing here goes so deep")
}

/// A mistake in the YAML itself.
fn syntax(error: &ScanError, text: &str) -> Mistake {
    let marker = error.marker();
    let spot = Spot {
        line: marker.line().max(1),
        column: marker.col() + 1,
        width: 1,
    };
    if error.info().contains("recursion limit") {
        return too_deep(spot);
    }
    if error.info().contains("unknown anchor") {
        return Mistake::new(spot, "aliases are not supported", ALIAS_HELP);
    }
    let line = text.lines().nth(spot.line - 1).unwrap_or_default();
    let indentation = line.len() - line.trim_start().len();
    let help = if line[..indentation].contains('\t') {
        "indent with spaces, not with tabs"
    } else if error.info().contains("simple key expected ':'")
        || error.info().contains("expected ':'")
    {
        "is a `:` missing, or a space after it?"
    } else {
        "check the indentation, the quotes and the brackets up to here"
    };
    Mistake::new(spot, format!("this is not YAML: {}", error.info()), help)
}

//! Lets serde read a tree. Every error leaves with the innermost node that it arose in.

use serde::{
    Deserializer,
    de::{
        DeserializeSeed, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
        value::StrDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{
    failure::Failure,
    node::{Kind, NodeId, Tree},
    scalar::{Scalar, resolve},
};

/// A node that serde reads from.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t> {
    pub(super) tree: &'t Tree,
    pub(super) id: NodeId,
}

impl<'t> Cursor<'t> {
    /// The scalar at the node; `None` where it is a list or a map.
    fn scalar(self) -> Option<Scalar<'t>> {
        match &self.tree.node(self.id).kind {
            Kind::Scalar { text, plain: true } => Some(resolve(text)),
            Kind::Scalar { text, plain: false } => Some(Scalar::Text(text)),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// What the node holds, in serde's words.
    fn found(self) -> Unexpected<'t> {
        match (&self.tree.node(self.id).kind, self.scalar()) {
            (Kind::List(_), _) => Unexpected::Seq,
            (Kind::Map(_), _) => Unexpected::Map,
            (_, Some(Scalar::Bool(value))) => Unexpected::Bool(value),
            (_, Some(Scalar::Unsigned(number))) => Unexpected::Unsigned(number),
            (_, Some(Scalar::Signed(number))) => Unexpected::Signed(number),
            (_, Some(Scalar::Float(number))) => Unexpected::Float(number),
            (_, Some(Scalar::Text(text))) => Unexpected::Str(text),
            (_, Some(Scalar::Null) | None) => Unexpected::Unit,
        }
    }

    fn misfit<'de, V: Visitor<'de>>(self, visitor: &V) -> Failure {
        Failure::invalid_type(self.found(), visitor).at(self.id)
    }

    fn visit<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Failure> {
        match (&self.tree.node(self.id).kind, self.scalar()) {
            (Kind::List(items), _) => visitor.visit_seq(Items {
                tree: self.tree,
                rest: items.iter(),
            }),
            (Kind::Map(entries), _) => visitor.visit_map(Entries {
                tree: self.tree,
                rest: entries.all.iter(),
                value: None,
            }),
            (_, Some(Scalar::Bool(value))) => visitor.visit_bool(value),
            (_, Some(Scalar::Unsigned(number))) => visitor.visit_u64(number),
            (_, Some(Scalar::Signed(number))) => visitor.visit_i64(number),
            (_, Some(Scalar::Float(number))) => visitor.visit_f64(number),
            (_, Some(Scalar::Text(text))) => visitor.visit_borrowed_str(text),
            (_, Some(Scalar::Null) | None) => visitor.visit_unit(),
        }
    }
}

impl<'de> Deserializer<'de> for Cursor<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.visit(visitor).map_err(|failure| failure.at(self.id))
    }

    /// A scalar as it is written, whatever its type would be.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match (self.scalar(), self.tree.text(self.id)) {
            (Some(Scalar::Null) | None, _) | (_, None) => Err(self.misfit(&visitor)),
            (Some(_), Some(text)) => visitor
                .visit_borrowed_str(text)
                .map_err(|failure: Failure| failure.at(self.id)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    /// A map only: a list could fill a struct by position, and nobody could read that.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match self.tree.node(self.id).kind {
            Kind::Map(_) => self.deserialize_any(visitor),
            Kind::List(_) | Kind::Scalar { .. } => Err(self.misfit(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match (self.scalar(), self.tree.text(self.id)) {
            (Some(Scalar::Null) | None, _) | (_, None) => {
                let expected = crate::config::errors::listing(variants, "or");
                Err(Failure::invalid_type(self.found(), &expected.as_str()).at(self.id))
            }
            (Some(_), Some(text)) => {
                let variant: StrDeserializer<'_, Failure> = text.into_deserializer();
                visitor
                    .visit_enum(variant)
                    .map_err(|failure| failure.at(self.id))
            }
        }
    }

    /// A key that is there has a value: nothing is a mistake, not an absence.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier
    }
}

/// The items of a list that are not cut off.
struct Items<'t> {
    tree: &'t Tree,
    rest: std::slice::Iter<'t, NodeId>,
}

impl<'t> SeqAccess<'t> for Items<'t> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        match self.rest.find(|item| !self.tree.node(**item).pruned) {
            Some(id) => seed
                .deserialize(Cursor {
                    tree: self.tree,
                    id: *id,
                })
                .map(Some),
            None => Ok(None),
        }
    }
}

/// The entries of a map that are not cut off.
struct Entries<'t> {
    tree: &'t Tree,
    rest: std::slice::Iter<'t, (NodeId, NodeId)>,
    value: Option<NodeId>,
}

impl<'t> MapAccess<'t> for Entries<'t> {
    type Error = Failure;

    fn next_key_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        let Some((key, value)) = self.rest.find(|entry| !self.tree.is_cut(**entry)) else {
            return Ok(None);
        };
        self.value = Some(*value);
        let text: StrDeserializer<'t, Failure> =
            self.tree.text(*key).unwrap_or_default().into_deserializer();
        seed.deserialize(text)
            .map(Some)
            .map_err(|failure| failure.at(*key))
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        match self.value.take() {
            Some(id) => seed.deserialize(Cursor {
                tree: self.tree,
                id,
            }),
            None => Err(Failure::custom("a value was asked for before its key")),
        }
    }
}

//! Writes a value as the lines of YAML that follow its key: maps on lines of their own, all else on the line that is begun.

use serde::ser::{
    Error as _, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple,
};
use serde::{Serialize, Serializer};
use serde_json::value::Serializer as Values;
use serde_json::{Error, Value};

use super::effective::{write_inline, write_text};

type List = <Values as Serializer>::SerializeSeq;

/// What follows a key.
pub(super) struct Behind<'o> {
    out: &'o mut String,
    /// How deep a map would stand.
    depth: usize,
    /// Whether there is a key.
    has_key: bool,
}

impl<'o> Behind<'o> {
    /// A whole document: a map without a key.
    pub(super) fn nothing(out: &'o mut String) -> Self {
        Self {
            out,
            depth: 0,
            has_key: false,
        }
    }

    fn inline<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        let value = value.serialize(Values)?;
        self.out.push(' ');
        write_inline(self.out, &value);
        self.out.push('\n');
        Ok(())
    }

    /// The commonest value of all, without a detour.
    fn text(self, text: &str) -> Result<(), Error> {
        self.out.push(' ');
        write_text(self.out, text, true);
        self.out.push('\n');
        Ok(())
    }

    fn map(self) -> Entries<'o> {
        Entries {
            is_begun: !self.has_key,
            out: self.out,
            depth: self.depth,
            key: String::new(),
        }
    }

    fn list(self, length: Option<usize>) -> Result<Items<'o>, Error> {
        let list = Values.serialize_seq(length)?;
        Ok(Items { behind: self, list })
    }
}

/// The entries of a map, each on its lines; `{}` if there is none.
pub(super) struct Entries<'o> {
    out: &'o mut String,
    depth: usize,
    is_begun: bool,
    /// The key whose value comes next.
    key: String,
}

impl Entries<'_> {
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.is_begun, true) {
            self.out.push('\n');
        }
        for _ in 0..self.depth {
            self.out.push_str("  ");
        }
    }

    /// The value of the key that was just written.
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.out.push(':');
        value.serialize(Behind {
            out: self.out,
            depth: self.depth + 1,
            has_key: true,
        })
    }

    fn close(self) {
        if !self.is_begun {
            self.out.push_str(" {}\n");
        }
    }
}

impl SerializeStruct for Entries<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        // The grammar's own keys need no quotes.
        self.begin();
        self.out.push_str(key);
        self.value(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

impl SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        match key.serialize(Values)? {
            Value::String(key) => self.key = key,
            other => return Err(Error::custom(format!("{other} is no key"))),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.begin();
        write_text(self.out, &self.key, false);
        self.value(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

/// The items of a list, which stands on one line.
pub(super) struct Items<'o> {
    behind: Behind<'o>,
    list: List,
}

impl SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        SerializeSeq::serialize_element(&mut self.list, value)
    }

    fn end(self) -> Result<(), Error> {
        let list = SerializeSeq::end(self.list)?;
        self.behind.inline(&list)
    }
}

impl SerializeTuple for Items<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), Error> {
        SerializeSeq::end(self)
    }
}

/// Scalars stand on the line as they are.
macro_rules! inline {
    ($($method:ident: $kind:ty,)*) => {
        $(fn $method(self, value: $kind) -> Result<(), Error> {
            self.inline(&value)
        })*
    };
}

impl<'o> Serializer for Behind<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Items<'o>;
    type SerializeTuple = Items<'o>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Entries<'o>;
    type SerializeStruct = Entries<'o>;
    type SerializeStructVariant = Impossible<(), Error>;

    inline! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char,
        serialize_bytes: &[u8],
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.text(value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.inline(&())
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.inline(&())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.inline(&())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.text(variant)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        SerializeStruct::serialize_field(&mut self.map(), variant, value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items<'o>, Error> {
        self.list(length)
    }

    fn serialize_tuple(self, length: usize) -> Result<Items<'o>, Error> {
        self.list(Some(length))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'o>, Error> {
        Ok(self.map())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries<'o>, Error> {
        Ok(self.map())
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        Err(beyond(name))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(beyond(name))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(beyond(name))
    }
}

/// The grammar has maps, lists and scalars; what a type of another kind would look like is said by nobody.
fn beyond(name: &str) -> Error {
    Error::custom(format!("{name} has no form in the file"))
}

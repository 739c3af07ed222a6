//! A value as it is serialized, except that what JSON would lose is an error: a number that is not finite, a `Some` that would
//! be written as the null of a `None`, and a map whose keys are text and numbers, which JSON makes text.

use std::fmt::Display;
use std::io;

use serde::ser::{self, Error, Serialize, Serializer};

/// Serializes a value without loss.
pub(super) struct Lossless<'a, T: ?Sized> {
    value: &'a T,
    /// Whether the value is the content of a `Some`.
    in_some: bool,
}

impl<'a, T: ?Sized> Lossless<'a, T> {
    pub(super) fn new(value: &'a T) -> Self {
        let in_some = false;
        Self { value, in_some }
    }
}

impl<T: Serialize + ?Sized> Serialize for Lossless<'_, T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        let in_some = self.in_some;
        self.value.serialize(Checking { inner, in_some })
    }
}

/// Passes everything on to another serializer, except what would be lost.
struct Checking<S> {
    inner: S,
    in_some: bool,
}

impl<S: Serializer> Checking<S> {
    /// Writes a null.
    fn null(self, write: impl FnOnce(S) -> Result<S::Ok, S::Error>) -> Result<S::Ok, S::Error> {
        if self.in_some {
            return Err(Error::custom("JSON writes this `Some` as it writes `None`"));
        }
        write(self.inner)
    }

    fn content<'a, T: ?Sized>(&self, value: &'a T, in_some: bool) -> Lossless<'a, T> {
        Lossless { value, in_some }
    }
}

fn finite<E: Error>(number: f64) -> Result<(), E> {
    if number.is_finite() {
        return Ok(());
    }
    Err(E::custom("JSON has no number that is not finite"))
}

macro_rules! pass_on {
    ($($method:ident($type:ty),)+) => {
        $(
            fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
                self.inner.$method(value)
            }
        )+
    };
}

impl<S: Serializer> Serializer for Checking<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<S::SerializeSeq>;
    type SerializeTuple = Parts<S::SerializeTuple>;
    type SerializeTupleStruct = Parts<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<S::SerializeTupleVariant>;
    type SerializeMap = Entries<S::SerializeMap>;
    type SerializeStruct = Parts<S::SerializeStruct>;
    type SerializeStructVariant = Parts<S::SerializeStructVariant>;

    pass_on! {
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_i128(i128),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_u128(u128),
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
    }

    fn serialize_f32(self, number: f32) -> Result<S::Ok, S::Error> {
        finite(number.into())?;
        self.inner.serialize_f32(number)
    }

    fn serialize_f64(self, number: f64) -> Result<S::Ok, S::Error> {
        finite(number)?;
        self.inner.serialize_f64(number)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.null(S::serialize_none)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.content(value, true);
        self.inner.serialize_some(&value)
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.null(S::serialize_unit)
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.null(|inner| inner.serialize_unit_struct(name))
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        // JSON writes the content alone.
        let value = self.content(value, self.in_some);
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.content(value, false);
        self.inner
            .serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.inner.serialize_seq(len).map(Parts)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.inner.serialize_tuple(len).map(Parts)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.inner.serialize_tuple_struct(name, len).map(Parts)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let inner = self.inner;
        let parts = inner.serialize_tuple_variant(name, index, variant, len);
        parts.map(Parts)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        let inner = self.inner.serialize_map(len)?;
        let are_text = None;
        Ok(Entries { inner, are_text })
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        self.inner.serialize_struct(name, len).map(Parts)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let inner = self.inner;
        let parts = inner.serialize_struct_variant(name, index, variant, len);
        parts.map(Parts)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// The parts of a sequence, a tuple or a struct.
struct Parts<C>(C);

macro_rules! parts {
    ($($kind:ident: $method:ident($($name:ident)?),)+) => {
        $(
            impl<C: ser::$kind> ser::$kind for Parts<C> {
                type Ok = C::Ok;
                type Error = C::Error;

                fn $method<T: Serialize + ?Sized>(
                    &mut self,
                    $($name: &'static str,)?
                    value: &T,
                ) -> Result<(), C::Error> {
                    self.0.$method($($name,)? &Lossless::new(value))
                }

                fn end(self) -> Result<C::Ok, C::Error> {
                    self.0.end()
                }
            }
        )+
    };
}

parts! {
    SerializeSeq: serialize_element(),
    SerializeTuple: serialize_element(),
    SerializeTupleStruct: serialize_field(),
    SerializeTupleVariant: serialize_field(),
    SerializeStruct: serialize_field(name),
    SerializeStructVariant: serialize_field(name),
}

/// The entries of a map.
struct Entries<C> {
    inner: C,
    /// Whether the keys are text, once there is one.
    are_text: Option<bool>,
}

impl<C: ser::SerializeMap> Entries<C> {
    /// Checks that a key is text if the others are. The map of a flattened field is written into the one of its struct, whose
    /// keys are text, and keys that were numbers are not read as numbers from there.
    fn check_key<K: Serialize + ?Sized>(&mut self, key: &K) -> Result<(), C::Error> {
        let mut first = FirstByte(None);
        let is_text = serde_json::to_writer(&mut first, key).is_ok() && first.0 == Some(b'"');
        match *self.are_text.get_or_insert(is_text) == is_text {
            true => Ok(()),
            false => Err(Error::custom("JSON makes all keys of a map text")),
        }
    }
}

impl<C: ser::SerializeMap> ser::SerializeMap for Entries<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<K: Serialize + ?Sized>(&mut self, key: &K) -> Result<(), C::Error> {
        self.check_key(key)?;
        self.inner.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.inner.serialize_value(&Lossless::new(value))
    }

    fn serialize_entry<K: Serialize + ?Sized, T: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &T,
    ) -> Result<(), C::Error> {
        self.check_key(key)?;
        self.inner.serialize_entry(key, &Lossless::new(value))
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

/// The first byte that is written.
struct FirstByte(Option<u8>);

impl io::Write for FirstByte {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.or(bytes.first().copied());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

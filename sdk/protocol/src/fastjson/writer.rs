//! A serializer for both dialects.

use std::fmt::{self, Display};

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::ser::{self, Impossible, Serialize, Serializer};

use super::{Keys, quote};
use crate::encode::put_i64;

/// Why something cannot be written. None of this crate's types gives a reason.
#[derive(Debug)]
pub(super) struct Unwritable;

impl Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value cannot be written as JSON")
    }
}

impl std::error::Error for Unwritable {}

impl ser::Error for Unwritable {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

pub(super) fn write<T: Serialize + ?Sized>(value: &T, keys: Keys) -> Bytes {
    let mut writer = Writer { out: BytesMut::with_capacity(256), keys };
    // What cannot be written at all becomes an empty body, which every reader refuses.
    if value.serialize(&mut writer).is_err() {
        return Bytes::new();
    }
    writer.out.freeze()
}

struct Writer {
    out: BytesMut,
    keys: Keys,
}

impl Writer {
    fn nested(&mut self, open: u8, close: u8) -> Nested<'_> {
        self.out.put_u8(open);
        Nested { writer: self, close, any: false, member: 0 }
    }
}

type Written = Result<(), Unwritable>;

macro_rules! signed {
    ($($name:ident: $ty:ty),*) => {$(
        fn $name(self, value: $ty) -> Written {
            put_i64(&mut self.out, i64::from(value));
            Ok(())
        }
    )*};
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Nested<'a>;
    type SerializeTuple = Nested<'a>;
    type SerializeTupleStruct = Nested<'a>;
    type SerializeTupleVariant = Impossible<(), Unwritable>;
    type SerializeMap = Nested<'a>;
    type SerializeStruct = Nested<'a>;
    type SerializeStructVariant = Impossible<(), Unwritable>;

    signed!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64);
    signed!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32);

    fn serialize_u64(self, value: u64) -> Written {
        self.out.put_slice(value.to_string().as_bytes());
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Written {
        self.out.put_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Written {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Written {
        if !value.is_finite() {
            return self.serialize_unit();
        }
        // As Java, with at least one digit after the point.
        self.out.put_slice(format!("{value:?}").as_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Written {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Written {
        quote(&mut self.out, value);
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Written {
        Err(Unwritable)
    }

    fn serialize_none(self) -> Written {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        self.out.put_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Written {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Written {
        Err(Unwritable)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Nested<'a>, Unwritable> {
        Ok(self.nested(b'[', b']'))
    }

    fn serialize_tuple(self, _: usize) -> Result<Nested<'a>, Unwritable> {
        Ok(self.nested(b'[', b']'))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Nested<'a>, Unwritable> {
        Ok(self.nested(b'[', b']'))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unwritable> {
        Err(Unwritable)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Nested<'a>, Unwritable> {
        Ok(self.nested(b'{', b'}'))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Nested<'a>, Unwritable> {
        Ok(self.nested(b'{', b'}'))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unwritable> {
        Err(Unwritable)
    }
}

/// A list or object that is being written.
struct Nested<'a> {
    writer: &'a mut Writer,
    close: u8,
    any: bool,
    /// Where the member that is being written starts, its comma included.
    member: usize,
}

impl Nested<'_> {
    fn separate(&mut self) {
        self.member = self.writer.out.len();
        if self.any {
            self.writer.out.put_u8(b',');
        }
        self.any = true;
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.separate();
        value.serialize(&mut *self.writer)
    }

    /// Bare keys are what the value is; else all but texts is put in quotes.
    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        self.separate();
        let start = self.writer.out.len();
        key.serialize(&mut *self.writer)?;
        let out = &mut self.writer.out;
        if self.writer.keys == Keys::Quoted && out.get(start) != Some(&b'"') {
            let bare = out.split_off(start);
            quote(out, std::str::from_utf8(&bare).map_err(|_| Unwritable)?);
        }
        Ok(())
    }

    /// The value of the key before; null takes the member away.
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        let out = &mut self.writer.out;
        out.put_u8(b':');
        let start = out.len();
        value.serialize(&mut *self.writer)?;
        let out = &mut self.writer.out;
        if out.get(start..) == Some(b"null") {
            self.any = self.member > 0 && out.get(self.member - 1) != Some(&b'{');
            out.truncate(self.member);
        }
        Ok(())
    }

    fn finish(self) {
        self.writer.out.put_u8(self.close);
    }
}

macro_rules! list {
    ($($kind:ident: $method:ident),*) => {$(
        impl ser::$kind for Nested<'_> {
            type Ok = ();
            type Error = Unwritable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
                self.element(value)
            }

            fn end(self) -> Written {
                self.finish();
                Ok(())
            }
        }
    )*};
}

list!(SerializeSeq: serialize_element, SerializeTuple: serialize_element,
      SerializeTupleStruct: serialize_field);

impl ser::SerializeMap for Nested<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.value(value)
    }

    fn end(self) -> Written {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeStruct for Nested<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        self.key(key)?;
        self.value(value)
    }

    fn end(self) -> Written {
        self.finish();
        Ok(())
    }
}

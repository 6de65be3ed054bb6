//! How a field's text becomes a value and back.

use crate::encode::ExtWriter;
use crate::error::{FieldError, Problem};
use crate::ext::ExtFields;
use crate::text_scan::parse_i64;

/// A value that a header field can hold. `Option` is a field that may be absent.
pub trait Field<'a>: Sized {
    /// The value of the field called `name`.
    ///
    /// # Errors
    /// It is missing or malformed.
    fn read(ext: &'a ExtFields, name: &'static str) -> Result<Self, FieldError>;

    /// Appends the field.
    fn write(&self, name: &'static str, out: &mut ExtWriter<'_>);
}

/// From text to value and back, for one type.
pub(crate) trait Value<'a>: Sized {
    fn from_text(text: &'a str) -> Result<Self, Problem>;
    fn put(&self, name: &'static str, out: &mut ExtWriter<'_>);
}

impl<'a> Value<'a> for &'a str {
    #[inline]
    fn from_text(text: &'a str) -> Result<Self, Problem> {
        Ok(text)
    }

    fn put(&self, name: &'static str, out: &mut ExtWriter<'_>) {
        out.text(name, self);
    }
}

impl Value<'_> for i64 {
    fn from_text(text: &str) -> Result<Self, Problem> {
        parse_i64(text.as_bytes()).ok_or(Problem::NotANumber)
    }

    fn put(&self, name: &'static str, out: &mut ExtWriter<'_>) {
        out.number(name, *self);
    }
}

impl Value<'_> for i32 {
    fn from_text(text: &str) -> Result<Self, Problem> {
        parse_i64(text.as_bytes()).and_then(|n| Self::try_from(n).ok()).ok_or(Problem::NotANumber)
    }

    fn put(&self, name: &'static str, out: &mut ExtWriter<'_>) {
        out.number(name, i64::from(*self));
    }
}

/// Java's `Boolean.parseBoolean`: whatever is not `true` in some case is false.
impl Value<'_> for bool {
    fn from_text(text: &str) -> Result<Self, Problem> {
        Ok(text.eq_ignore_ascii_case("true"))
    }

    fn put(&self, name: &'static str, out: &mut ExtWriter<'_>) {
        out.boolean(name, *self);
    }
}

macro_rules! fields {
    ($($ty:ty),*) => {$(
        impl<'a> Field<'a> for $ty {
            fn read(ext: &'a ExtFields, name: &'static str) -> Result<Self, FieldError> {
                ext.get(name)
                    .ok_or(Problem::Missing)
                    .and_then(<$ty>::from_text)
                    .map_err(|problem| FieldError { field: name, problem })
            }

            fn write(&self, name: &'static str, out: &mut ExtWriter<'_>) {
                self.put(name, out);
            }
        }

        impl<'a> Field<'a> for Option<$ty> {
            fn read(ext: &'a ExtFields, name: &'static str) -> Result<Self, FieldError> {
                ext.get(name)
                    .map(<$ty>::from_text)
                    .transpose()
                    .map_err(|problem| FieldError { field: name, problem })
            }

            fn write(&self, name: &'static str, out: &mut ExtWriter<'_>) {
                if let Some(value) = self {
                    value.put(name, out);
                }
            }
        }
    )*};
}

fields!(&'a str, i32, i64, bool);

/// Reads a required value that was already looked up.
#[inline]
pub(crate) fn required<'a, T: Value<'a>>(
    text: Option<&'a str>,
    field: &'static str,
) -> Result<T, FieldError> {
    text.ok_or(Problem::Missing)
        .and_then(T::from_text)
        .map_err(|problem| FieldError { field, problem })
}

/// Reads a value that may be absent and was already looked up.
#[inline]
pub(crate) fn optional<'a, T: Value<'a>>(
    text: Option<&'a str>,
    field: &'static str,
) -> Result<Option<T>, FieldError> {
    text.map(T::from_text).transpose().map_err(|problem| FieldError { field, problem })
}

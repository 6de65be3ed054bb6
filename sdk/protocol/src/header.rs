//! The typed headers of requests and responses, borrowed from the command they are read from.
//!
//! Each is declared by [`headers!`](self): fields, their names on the wire (Java's), and whether
//! they may be absent. All can be read and written.

pub mod acl;
pub mod client;
mod field;
pub mod group;
pub mod message;
pub mod namesrv;
pub mod offset;
pub mod pull;
pub mod send;
pub mod stats;
pub mod topic;
pub mod user;

pub use field::Field;

/// Declares header structs with `parse` and `write`.
macro_rules! headers {
    ($(
        $(#[$doc:meta])*
        $name:ident $(<$lt:lifetime>)? {
            $( $field:ident : $ty:ty = $wire:literal $(or $default:expr)? ; $about:literal )*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name $(<$lt>)? {
            $( #[doc = concat!("`", $wire, "`: ", $about)] pub $field: $ty, )*
        }

        impl $(<$lt>)? $name $(<$lt>)? {
            /// Reads the header from a command's fields.
            ///
            /// # Errors
            /// The first field that is missing or malformed.
            pub fn parse(
                ext: &$($lt)? $crate::ext::ExtFields,
            ) -> Result<Self, $crate::error::FieldError> {
                Ok(Self { $( $field: headers!(@read ext, $ty, $wire $(, $default)?), )* })
            }

            /// Writes the header into a command's fields; what is `None` is left out.
            pub fn write(&self, out: &mut $crate::encode::ExtWriter<'_>) {
                $( $crate::header::Field::write(&self.$field, $wire, out); )*
            }
        }
    )*};
    (@read $ext:ident, $ty:ty, $wire:literal) => {
        <$ty as $crate::header::Field<'_>>::read($ext, $wire)?
    };
    (@read $ext:ident, $ty:ty, $wire:literal, $default:expr) => {
        <Option<$ty> as $crate::header::Field<'_>>::read($ext, $wire)?.unwrap_or($default)
    };
}
pub(crate) use headers;

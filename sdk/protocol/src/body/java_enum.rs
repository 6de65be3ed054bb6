//! Java's enums: written by name, read by name or by place.

/// Declares an enum that is a name in JSON. Unknown names are read as the first.
macro_rules! java_enum {
    ($(
        $(#[$doc:meta])*
        $name:ident { $( $(#[$vdoc:meta])* $variant:ident = $wire:literal ),* $(,)? }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[$vdoc])* $variant, )* }

        impl $name {
            /// All values, in Java's order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $wire,)* }
            }

            /// The value of a name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($wire => Some(Self::$variant),)* _ => None }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let named = $crate::body::java_enum::Named::deserialize(from)?;
                Ok(named.pick(Self::from_name, Self::ALL))
            }
        }
    )*};
}
pub(crate) use java_enum;

/// What stands for an enum's value: some non-Java clients write the place.
#[derive(serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum Named {
    /// Its name.
    Name(String),
    /// Its place.
    Place(i64),
}

impl Named {
    /// The value that is meant; the default if there is none such.
    pub(crate) fn pick<T: Copy + Default>(&self, named: fn(&str) -> Option<T>, all: &[T]) -> T {
        let found = match self {
            Self::Name(name) => named(name),
            Self::Place(at) => usize::try_from(*at).ok().and_then(|at| all.get(at)).copied(),
        };
        found.unwrap_or_default()
    }
}

//! A request or response as it came off the wire.

use bytes::Bytes;

use crate::ext::{ExtFields, Span};

/// Set in `flag` of a response.
pub const FLAG_RESPONSE: i32 = 1;
/// Set in `flag` of a request that nobody waits for an answer to.
pub const FLAG_ONE_WAY: i32 = 1 << 1;

/// How a header is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SerializeType {
    /// A JSON object.
    #[default]
    Json,
    /// RocketMQ's own binary form. Its code and version are 16 bits wide.
    RocketMq,
}

impl SerializeType {
    /// The number on the wire.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::RocketMq => 1,
        }
    }

    /// The type of a number on the wire.
    #[must_use]
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::Json),
            1 => Some(Self::RocketMq),
            _ => None,
        }
    }
}

/// The language a peer says it is written in. Numbers we have no name for are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LanguageCode(pub u8);

const LANGUAGES: [&str; 14] = [
    "JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO", "PHP",
    "OMS", "RUST", "NODE_JS",
];

impl LanguageCode {
    /// Java, what servers say.
    pub const JAVA: Self = Self(0);
    /// None of those that have a number.
    pub const OTHER: Self = Self(7);
    /// Go.
    pub const GO: Self = Self(9);
    /// Rust. RocketMQ clients before 4.5 do not know this name.
    pub const RUST: Self = Self(12);

    /// The name in JSON headers.
    #[must_use]
    pub fn name(self) -> &'static str {
        LANGUAGES.get(usize::from(self.0)).copied().unwrap_or("OTHER")
    }

    /// The language of a name; unknown ones are [`Self::OTHER`].
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self::from_raw(name.as_bytes())
    }

    pub(crate) fn from_raw(name: &[u8]) -> Self {
        let at = LANGUAGES.iter().position(|l| l.as_bytes() == name);
        at.and_then(|at| u8::try_from(at).ok()).map_or(Self::OTHER, Self)
    }
}

impl std::fmt::Display for LanguageCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A request or response.
#[derive(Clone, Debug, Default)]
pub struct RemotingCommand {
    /// What is asked ([`crate::codes::request_code`]) or how it went
    /// ([`crate::codes::response_code`]).
    pub code: i32,
    /// What the sender is written in.
    pub language: LanguageCode,
    /// The sender's version, see [`crate::codes::version`].
    pub version: i32,
    /// Ties a response to its request.
    pub opaque: i32,
    /// [`FLAG_RESPONSE`] and [`FLAG_ONE_WAY`].
    pub flag: i32,
    /// How the header was written.
    pub serialize: SerializeType,
    /// The custom fields.
    pub ext: ExtFields,
    /// What follows the header, a slice of the frame.
    pub body: Bytes,
    /// A range of the text that `ext` holds.
    pub(crate) remark: Option<Span>,
}

impl RemotingCommand {
    /// A command that did not come off a wire, with the current version, for tests and callers
    /// that hand commands on within the process.
    #[must_use]
    pub fn new(code: i32, ext: ExtFields, body: Bytes) -> Self {
        Self { code, ext, body, version: crate::codes::version::CURRENT, ..Self::default() }
    }

    /// Whether this answers a request.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// Whether this is a request that must not be answered.
    #[must_use]
    pub const fn is_one_way(&self) -> bool {
        self.flag & FLAG_ONE_WAY != 0
    }

    /// The free text of a response.
    #[must_use]
    pub fn remark(&self) -> Option<&str> {
        self.remark.map(|span| span.of(self.ext.text()))
    }
}

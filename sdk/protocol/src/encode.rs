//! Writing frames straight into a buffer, without a map of fields in between.

use bytes::{BufMut as _, BytesMut};

use crate::codes::version;
use crate::command::{FLAG_ONE_WAY, FLAG_RESPONSE, LanguageCode, SerializeType};

/// What a response says besides its fields.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The request's `opaque`.
    pub opaque: i32,
    /// How it went.
    pub code: i32,
    /// Free text.
    pub remark: Option<&'a str>,
    /// What we are written in.
    pub language: LanguageCode,
    /// Our version.
    pub version: i32,
}

impl<'a> ResponseHead<'a> {
    /// An answer with code `code` to the request `opaque`.
    #[must_use]
    pub const fn new(opaque: i32, code: i32, remark: Option<&'a str>) -> Self {
        // Clients read the language's name into an enum that in old versions has no RUST.
        Self { opaque, code, remark, language: LanguageCode::JAVA, version: version::CURRENT }
    }
}

/// What a request says besides its fields.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead {
    /// What is asked.
    pub code: i32,
    /// Ties the response to this request.
    pub opaque: i32,
    /// Whether nobody waits for an answer.
    pub one_way: bool,
    /// How to write the header.
    pub serialize: SerializeType,
    /// What we are written in.
    pub language: LanguageCode,
    /// Our version; servers treat clients differently by it.
    pub version: i32,
}

impl RequestHead {
    /// A request in JSON that is to be answered.
    #[must_use]
    pub const fn new(code: i32, opaque: i32) -> Self {
        Self {
            code,
            opaque,
            one_way: false,
            serialize: SerializeType::Json,
            language: LanguageCode::JAVA,
            version: version::CURRENT,
        }
    }

    /// The same, to be left unanswered.
    #[must_use]
    pub const fn one_way(code: i32, opaque: i32) -> Self {
        Self { one_way: true, ..Self::new(code, opaque) }
    }
}

/// Appends a response's frame up to its body; the caller sends `body_len` bytes after it.
pub fn response(
    out: &mut BytesMut,
    head: &ResponseHead<'_>,
    ext: impl FnOnce(&mut ExtWriter<'_>),
    body_len: usize,
) {
    let head = Head {
        code: head.code,
        language: head.language,
        version: head.version,
        opaque: head.opaque,
        flag: FLAG_RESPONSE,
        remark: head.remark,
    };
    json(out, &head, ext, body_len);
}

/// Appends a request's frame with its body.
pub fn request(
    out: &mut BytesMut,
    head: &RequestHead,
    ext: impl FnOnce(&mut ExtWriter<'_>),
    body: &[u8],
) {
    let plain = Head {
        code: head.code,
        language: head.language,
        version: head.version,
        opaque: head.opaque,
        flag: if head.one_way { FLAG_ONE_WAY } else { 0 },
        remark: None,
    };
    frame(out, head.serialize, &plain, ext, body.len());
    out.put_slice(body);
}

/// Appends any frame up to its body, in either encoding. A code or version that has no place in
/// the binary form's 16 bits is written in JSON.
pub fn frame(
    out: &mut BytesMut,
    serialize: SerializeType,
    head: &Head<'_>,
    ext: impl FnOnce(&mut ExtWriter<'_>),
    body_len: usize,
) {
    match (serialize, i16::try_from(head.code), i16::try_from(head.version)) {
        (SerializeType::RocketMq, Ok(code), Ok(version)) => {
            binary(out, (code, version), head, ext, body_len);
        }
        _ => json(out, head, ext, body_len),
    }
}

/// All of a header but its fields.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Request or response code.
    pub code: i32,
    /// What the sender is written in.
    pub language: LanguageCode,
    /// The sender's version.
    pub version: i32,
    /// Ties request and response.
    pub opaque: i32,
    /// [`FLAG_RESPONSE`] and [`FLAG_ONE_WAY`].
    pub flag: i32,
    /// Free text.
    pub remark: Option<&'a str>,
}

fn json(
    out: &mut BytesMut,
    head: &Head<'_>,
    ext: impl FnOnce(&mut ExtWriter<'_>),
    body_len: usize,
) {
    out.reserve(512);
    let start = out.len();
    // RocketMQ writes the members in the order of their names.
    out.put_slice(b"\0\0\0\0\0\0\0\0{\"code\":");
    put_i64(out, head.code.into());
    let mut writer = ExtWriter { out, serialize: SerializeType::Json, any: false };
    ext(&mut writer);
    let any = writer.any;
    out.put_slice(if any { b"},\"flag\":" } else { b",\"flag\":" });
    put_i64(out, head.flag.into());
    out.put_slice(b",\"language\":\"");
    out.put_slice(head.language.name().as_bytes());
    out.put_slice(b"\",\"opaque\":");
    put_i64(out, head.opaque.into());
    if let Some(remark) = head.remark {
        out.put_slice(b",\"remark\":\"");
        put_escaped(out, remark);
        out.put_u8(b'"');
    }
    out.put_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    put_i64(out, head.version.into());
    out.put_u8(b'}');
    announce(out, start, SerializeType::Json, body_len);
}

fn binary(
    out: &mut BytesMut,
    (code, version): (i16, i16),
    head: &Head<'_>,
    ext: impl FnOnce(&mut ExtWriter<'_>),
    body_len: usize,
) {
    out.reserve(512);
    let start = out.len();
    out.put_slice(&[0; 8]);
    out.put_i16(code);
    out.put_u8(head.language.0);
    out.put_i16(version);
    out.put_i32(head.opaque);
    out.put_i32(head.flag);
    let remark = head.remark.unwrap_or_default();
    out.put_u32(len_u32(remark.len()));
    out.put_slice(remark.as_bytes());
    let fields = out.len();
    out.put_u32(0);
    ext(&mut ExtWriter { out, serialize: SerializeType::RocketMq, any: false });
    let len = len_u32(out.len() - fields - 4);
    patch(out, fields, len);
    announce(out, start, SerializeType::RocketMq, body_len);
}

/// Appends fields alone, in the binary form.
pub(crate) fn binary_fields(out: &mut BytesMut, ext: impl FnOnce(&mut ExtWriter<'_>)) {
    ext(&mut ExtWriter { out, serialize: SerializeType::RocketMq, any: false });
}

/// Fills in the frame's length and header mark once the header is written.
fn announce(out: &mut BytesMut, start: usize, serialize: SerializeType, body_len: usize) {
    let header = out.len() - start - 8;
    patch(out, start, len_u32(header + 4 + body_len));
    patch(out, start + 4, len_u32(header) & 0x00FF_FFFF | u32::from(serialize.id()) << 24);
}

fn patch(out: &mut BytesMut, at: usize, value: u32) {
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// Lengths of what we write ourselves are far below this limit.
fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Appends custom fields to a header that is being written.
#[derive(Debug)]
pub struct ExtWriter<'a> {
    out: &'a mut BytesMut,
    serialize: SerializeType,
    any: bool,
}

impl ExtWriter<'_> {
    /// A field with a name that needs no escapes (all of RocketMQ's own).
    pub fn text(&mut self, name: &'static str, value: &str) {
        match self.serialize {
            SerializeType::Json => {
                self.open(name);
                put_escaped(self.out, value);
                self.out.put_u8(b'"');
            }
            SerializeType::RocketMq => self.binary(name, value.as_bytes()),
        }
    }

    /// A number.
    pub fn number(&mut self, name: &'static str, value: i64) {
        match self.serialize {
            SerializeType::Json => {
                self.open(name);
                put_i64(self.out, value);
                self.out.put_u8(b'"');
            }
            SerializeType::RocketMq => {
                let mut digits = Digits::default();
                let digits = digits.of(value);
                self.binary(name, digits);
            }
        }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &'static str, value: bool) {
        self.text(name, if value { "true" } else { "false" });
    }

    /// A field with any name, e.g. one that is handed on.
    pub fn pair(&mut self, name: &str, value: &str) {
        match self.serialize {
            SerializeType::Json => {
                self.separate();
                put_escaped(self.out, name);
                self.out.put_slice(b"\":\"");
                put_escaped(self.out, value);
                self.out.put_u8(b'"');
            }
            SerializeType::RocketMq => self.binary(name, value.as_bytes()),
        }
    }

    fn separate(&mut self) {
        let before: &[u8] = if self.any { b",\"" } else { b",\"extFields\":{\"" };
        self.any = true;
        self.out.put_slice(before);
    }

    fn open(&mut self, name: &'static str) {
        self.separate();
        self.out.put_slice(name.as_bytes());
        self.out.put_slice(b"\":\"");
    }

    /// Names longer than their 16-bit length field are not written.
    fn binary(&mut self, name: &str, value: &[u8]) {
        let Ok(name_len) = i16::try_from(name.len()) else { return };
        self.out.put_i16(name_len);
        self.out.put_slice(name.as_bytes());
        self.out.put_u32(len_u32(value.len()));
        self.out.put_slice(value);
    }
}

/// The decimal digits of a number.
#[derive(Default)]
struct Digits([u8; 20]);

impl Digits {
    fn of(&mut self, value: i64) -> &[u8] {
        let mut left = value.unsigned_abs();
        let mut start = self.0.len();
        for place in self.0.iter_mut().rev() {
            *place = b'0' + u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
            start -= 1;
            if left == 0 {
                break;
            }
        }
        // 19 digits at most, so there is a place left for the sign.
        if value < 0 {
            start -= 1;
            if let Some(place) = self.0.get_mut(start) {
                *place = b'-';
            }
        }
        self.0.get(start..).unwrap_or_default()
    }
}

/// Appends a number's decimal digits.
pub(crate) fn put_i64(out: &mut BytesMut, value: i64) {
    out.put_slice(Digits::default().of(value));
}

/// Appends a text as it stands inside JSON quotes.
pub(crate) fn put_escaped(out: &mut BytesMut, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|b| *b < 0x20 || matches!(b, b'"' | b'\\')) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.put_slice(plain);
        let Some((byte, after)) = special.split_first() else { return };
        put_escape(out, *byte);
        rest = after;
    }
    out.put_slice(rest);
}

fn put_escape(out: &mut BytesMut, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        _ => {
            let digit = |half: u8| HEX.get(usize::from(half)).copied().unwrap_or(b'0');
            out.put_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    out.put_slice(&[b'\\', short]);
}

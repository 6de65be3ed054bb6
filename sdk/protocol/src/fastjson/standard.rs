//! From Java's dialect to strict JSON.

use crate::error::BodyError;

const DEPTH_MAX: usize = 64;

/// Rewrites a text in either dialect to strict JSON: bare keys get quotes, object keys become texts
/// that hold the object, members that are null go.
///
/// Only the structure is looked at: numbers, words and escapes are for the reader that follows.
///
/// # Errors
/// The text's structure is not JSON's, or it nests deeper than 64.
pub fn standard(text: &[u8]) -> Result<Vec<u8>, BodyError> {
    let mut scan = Scan { text, at: 0, out: Vec::with_capacity(text.len() + 64) };
    scan.values()?;
    match scan.peek() {
        None => Ok(scan.out),
        Some(_) => Err(scan.bad("something follows the value")),
    }
}

/// An open container.
struct Open {
    object: bool,
    /// Where the member that is being read starts in the output, its comma included.
    member: usize,
    /// Whether a member was kept.
    any: bool,
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    out: Vec<u8>,
}

impl Scan<'_> {
    #[cold]
    fn bad(&self, what: &'static str) -> BodyError {
        BodyError::Text { at: self.at, what }
    }

    /// The next byte that is not white space, not yet taken.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at).copied() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    fn take_if(&mut self, wanted: u8) -> bool {
        let is = self.peek() == Some(wanted);
        self.at += usize::from(is);
        is
    }

    fn values(&mut self) -> Result<(), BodyError> {
        let mut stack: Vec<Open> = Vec::new();
        loop {
            if let Some(open @ (b'{' | b'[')) = self.peek() {
                if stack.len() == DEPTH_MAX {
                    return Err(self.bad("values nest too deeply"));
                }
                self.at += 1;
                self.out.push(open);
                let object = open == b'{';
                stack.push(Open { object, member: self.out.len(), any: false });
                if !self.take_if(if object { b'}' } else { b']' }) {
                    self.member(&mut stack)?;
                    continue;
                }
                self.close(&mut stack);
            } else {
                self.scalar(&mut stack)?;
            }
            loop {
                let Some(open) = stack.last() else { return Ok(()) };
                let end = if open.object { b'}' } else { b']' };
                if self.take_if(b',') {
                    self.member(&mut stack)?;
                    break;
                }
                if !self.take_if(end) {
                    return Err(self.bad("a comma or the value's end was expected"));
                }
                self.close(&mut stack);
            }
        }
    }

    fn close(&mut self, stack: &mut Vec<Open>) {
        let Some(open) = stack.pop() else { return };
        self.out.push(if open.object { b'}' } else { b']' });
    }

    /// Before a member of the innermost container: its comma, and its key if it has one.
    fn member(&mut self, stack: &mut [Open]) -> Result<(), BodyError> {
        let Some(open) = stack.last_mut() else { return Ok(()) };
        open.member = self.out.len();
        if open.any {
            self.out.push(b',');
        }
        open.any = true;
        if open.object { self.key() } else { Ok(()) }
    }

    fn key(&mut self) -> Result<(), BodyError> {
        match self.peek() {
            Some(b'"') => self.text()?,
            Some(b'{') => self.object_key()?,
            _ => {
                self.out.push(b'"');
                self.word()?;
                self.out.push(b'"');
            }
        }
        if !self.take_if(b':') {
            return Err(self.bad("a colon was expected"));
        }
        self.out.push(b':');
        Ok(())
    }

    /// An object that stands for a key; it has no objects in turn.
    fn object_key(&mut self) -> Result<(), BodyError> {
        let start = self.at;
        self.at += 1;
        self.out.push(b'"');
        let kept = self.out.len();
        loop {
            match self.peek() {
                Some(b'"') => self.text()?,
                Some(b'}') => break,
                Some(b'{' | b'[') | None => return Err(self.bad("a key does not end")),
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        // `text` has checked the quotes only; what is quoted is the object as it was written.
        self.out.truncate(kept);
        for &byte in self.text.get(start..self.at).unwrap_or_default() {
            match byte {
                b'"' | b'\\' => self.out.extend([b'\\', byte]),
                b'\n' | b'\r' | b'\t' => self.out.push(b' '),
                _ => self.out.push(byte),
            }
        }
        self.out.push(b'"');
        Ok(())
    }

    /// A text with its quotes.
    fn text(&mut self) -> Result<(), BodyError> {
        let start = self.at;
        let mut escaped = false;
        for byte in self.text.get(start + 1..).unwrap_or_default() {
            self.at += 1;
            match byte {
                b'"' if !escaped => {
                    self.at += 1;
                    self.out.extend_from_slice(self.text.get(start..self.at).unwrap_or_default());
                    return Ok(());
                }
                _ => escaped = *byte == b'\\' && !escaped,
            }
        }
        Err(self.bad("a text does not end"))
    }

    /// A number or word.
    fn word(&mut self) -> Result<&[u8], BodyError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || b"+-._$".contains(b);
        let word = rest.get(..rest.iter().take_while(|b| is_word(b)).count()).unwrap_or_default();
        if word.is_empty() {
            return Err(self.bad("a value was expected"));
        }
        self.at += word.len();
        self.out.extend_from_slice(word);
        Ok(word)
    }

    fn scalar(&mut self, stack: &mut [Open]) -> Result<(), BodyError> {
        if self.peek() == Some(b'"') {
            return self.text();
        }
        let null = self.word()? == b"null";
        if let Some(open) = stack.last_mut().filter(|open| open.object && null) {
            self.out.truncate(open.member);
            open.any = self.out.last() != Some(&b'{');
        }
        Ok(())
    }
}

//! The one place where native code is taken into the process.
#![expect(unsafe_code, reason = "the engine cannot check that native code is harmless")]

use bytes::Bytes;
use wasmtime::component::Component;

/// Native code that this node's own compiler made of a component.
pub(crate) struct Code(Bytes);

impl Code {
    /// The caller vouches for `bytes`: they are what the compiler answered just now, or what the
    /// cache kept of it and found whole by its keyed checksum. Nothing else becomes `Code`.
    pub(crate) const fn made_here(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Makes a component of it. The bytes are copied: those of a file could change after their check.
pub(crate) fn load(engine: &wasmtime::Engine, code: &Code) -> wasmtime::Result<Component> {
    // SAFETY: `Code` is only made of what this node's compiler answered, see `Code::made_here`. That
    // it was made for an engine like this one is checked by the engine.
    unsafe { Component::deserialize(engine, code.bytes()) }
}

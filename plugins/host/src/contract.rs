//! What `wasmtime` makes of the WIT: types and calls, by interface.

#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    dead_code,
    unused_qualifications,
    elided_lifetimes_in_paths,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    path: "../wit/0.1.0",
    world: "plugin",
    ownership: Borrowing { duplicate_if_necessary: true },
    with: { "blockhouse:plugin/message-bodies.lent-bodies": crate::state::LentBodies },
});

pub(crate) use blockhouse::plugin as imported;
pub(crate) use exports::blockhouse::plugin as exported;

//! Real components in the real host. The guests are compiled by the tests; a machine that cannot
//! compile for WASM fails them with a sentence that says what to install.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; a failure is a failed test"
)]

mod beside;
mod deploy;
mod faults;
mod guard;
mod health;
mod load;
mod noted;
mod observed;
mod outside;
mod policy;
mod rig;
mod same;
mod starting;
mod stopping;
mod told;
mod traced;
mod trust;

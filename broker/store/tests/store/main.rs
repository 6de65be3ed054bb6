//! The store as its users see it.
#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is a failed test")]

mod append;
mod arbitrary;
mod crash;
mod damage;
mod examine;
mod faults;
mod golden;
mod log_lines;
mod query;
mod queue_table;
mod read;
mod real;
mod remade;
mod restart;
mod retention;
mod rig;
mod torn;

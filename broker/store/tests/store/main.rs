//! The store as its users see it.

mod append;
mod golden;
mod query;
mod read;
mod restart;
mod retention;
mod rig;

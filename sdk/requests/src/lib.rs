//! What is counted, recorded and logged of requests when they are answered: the same for all adapters, so that
//! the broker and the name server have one flight recorder, one set of metrics and one kind of line.
//!
//! | module | holds |
//! |---|---|
//! | `answers` | [`Answers`]: the answers to a burst, and how long they took |
//! | [`codes`] | the answers of who administers users and ACLs |
//! | `log` | requests that took long or were refused, as lines of the log |
//! | `stranger` | [`stranger`](fn@stranger): who sent what nobody looks into |
//! | [`subject`] | what requests are about: names as numbers |
//! | `traced` | requests that are refused unseen, as spans |

#![forbid(unsafe_code)]

mod answers;
pub mod codes;
mod log;
mod stranger;
pub mod subject;
mod traced;

pub use answers::{Answered, Answers, Asked};
pub use stranger::stranger;

//! Dialogues with a scripted cluster on loopback sockets.

mod consuming;
mod fake;
mod sending;

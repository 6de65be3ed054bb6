//! Dialogues with a connection, over pipes and loopback sockets.

mod bounds;
mod dialogue;
mod proxied;
mod serving;
mod support;
mod tls;
mod unproven;

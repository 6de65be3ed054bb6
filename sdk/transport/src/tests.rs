//! Dialogues with a connection, over pipes and loopback sockets.

mod bounds;
mod dialogue;
mod serving;
mod support;
mod tls;

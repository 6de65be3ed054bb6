//! The broker through its remoting port: real frames over loopback, files in memory.

mod bad_input;
mod consuming;
mod hooks;
mod sending;
mod support;

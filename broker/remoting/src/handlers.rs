//! One file per group of requests: parse, call the core, render.

pub(crate) mod pull_message;
pub(crate) mod send_message;

pub(crate) mod acls;
pub(crate) mod admin_queue;
pub(crate) mod admin_topic;
pub(crate) mod broker_info;
pub(crate) mod client_relay;
pub(crate) mod connections;
pub(crate) mod consumer_group;
pub(crate) mod heartbeat;
pub(crate) mod lock_queues;
pub(crate) mod offset;
pub(crate) mod offset_admin;
pub(crate) mod progress;
pub(crate) mod query_message;
pub(crate) mod send_back;
pub(crate) mod stats;
pub(crate) mod users;

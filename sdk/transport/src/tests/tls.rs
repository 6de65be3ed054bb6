//! TLS: modes, certificates, changes, hostile beginnings.

mod authority;
mod bursts;
mod changes;
mod clients;
mod hostile;
mod modes;
mod scene;

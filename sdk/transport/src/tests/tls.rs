//! TLS: modes, certificates, changes, hostile beginnings.

mod authority;
mod changes;
mod clients;
mod hostile;
mod modes;
mod scene;

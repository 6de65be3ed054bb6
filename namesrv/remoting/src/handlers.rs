//! One file per group of requests.

pub(crate) mod acls;
pub(crate) mod cluster;
pub(crate) mod get_route;
pub(crate) mod kv_config;
pub(crate) mod liveness;
pub(crate) mod namesrv_config;
pub(crate) mod register_broker;
pub(crate) mod topic_lists;
pub(crate) mod topics;
pub(crate) mod users;
pub(crate) mod write_perm;

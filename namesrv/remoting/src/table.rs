//! The request codes of the name server.

use blockhouse_hook::AdminCommand;
use blockhouse_model::{Access, Action, Resource};
use blockhouse_protocol::codes::request_code as code;
use blockhouse_protocol::header::Field;
use blockhouse_protocol::{ExtFields, FieldError};

use crate::NameService;
use crate::handlers::{
    acls, cluster, get_route, kv_config, liveness, namesrv_config, register_broker, topic_lists,
    topics, users, write_perm,
};
use crate::reply::Outcome;
use crate::request::Request;

/// Everything about one request code.
pub struct Row {
    /// The code.
    pub code: i32,
    /// What a caller must be allowed to do.
    pub access: Needs,
    /// Longest body, in bytes.
    pub body_len_max: usize,
    /// Whether the administrative hook is asked.
    pub admin: Admin,
    pub(crate) handle: fn(&NameService, &Request<'_>) -> Outcome,
}

/// What a caller must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// To do this to the cluster.
    Cluster(Action),
    /// The same, to administer users: where no policies say who does, only Super users do.
    User(Action),
    /// To do this to the policies of this node.
    Policy(Action),
    /// To do this to the topic that a header field names.
    Topic(Action, &'static str),
}

/// Whether a request is an administrative command, and what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// It is not.
    No,
    /// About the name server itself.
    Node,
    /// About what a header field names.
    About(&'static str),
}

impl Needs {
    /// The access that a request with these fields needs.
    ///
    /// # Errors
    /// The field that names the resource is missing.
    pub fn of<'a>(&self, ext: &'a ExtFields) -> Result<Access<'a>, FieldError> {
        Ok(match *self {
            Self::Cluster(action) | Self::User(action) => {
                Access { action, resource: Resource::Cluster }
            }
            Self::Policy(action) => Access { action, resource: Resource::Policy },
            Self::Topic(action, field) => {
                Access { action, resource: Resource::Topic(<&str>::read(ext, field)?) }
            }
        })
    }
}

impl Row {
    /// Whether it changes something.
    pub(crate) const fn changes(&self) -> bool {
        let (Needs::Cluster(action)
        | Needs::User(action)
        | Needs::Policy(action)
        | Needs::Topic(action, _)) = self.access;
        matches!(action, Action::Create | Action::Update | Action::Delete)
    }

    /// The administrative command that a request with these fields is.
    pub(crate) fn command<'a>(&self, ext: &'a ExtFields) -> Option<AdminCommand<'a>> {
        let target = match self.admin {
            Admin::No => return None,
            Admin::Node => "",
            Admin::About(field) => ext.get(field).unwrap_or_default(),
        };
        Some(AdminCommand { name: code::name(self.code), target })
    }
}

/// Requests whose body is not looked at may carry this much nonetheless.
const NO_BODY: usize = 1 << 10;
/// Small JSON or properties.
const SMALL: usize = 1 << 20;
/// Whatever a frame holds.
const LARGE: usize = 16 << 20;

const GET: Needs = Needs::Cluster(Action::Get);
const LIST: Needs = Needs::Cluster(Action::List);
const UPDATE: Needs = Needs::Cluster(Action::Update);
const GET_USER: Needs = Needs::User(Action::Get);
const UPDATE_USER: Needs = Needs::User(Action::Update);

type Handler = fn(&NameService, &Request<'_>) -> Outcome;

const fn row(code: i32, access: Needs, body_len_max: usize, admin: Admin, handle: Handler) -> Row {
    Row { code, access, body_len_max, admin, handle }
}

/// All request codes that are answered.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    // what clients ask
    row(code::GET_ROUTEINFO_BY_TOPIC, Needs::Topic(Action::Get, "topic"), NO_BODY, Admin::No, get_route::get_route),
    // what brokers say
    row(code::REGISTER_BROKER, UPDATE, LARGE, Admin::No, register_broker::register),
    row(code::UNREGISTER_BROKER, UPDATE, NO_BODY, Admin::No, register_broker::unregister),
    row(code::BROKER_HEARTBEAT, UPDATE, NO_BODY, Admin::No, liveness::heartbeat),
    row(code::QUERY_DATA_VERSION, UPDATE, SMALL, Admin::No, liveness::query_data_version),
    row(code::REGISTER_TOPIC_IN_NAMESRV, UPDATE, SMALL, Admin::No, topics::register),
    row(code::GET_BROKER_MEMBER_GROUP, GET, NO_BODY, Admin::No, cluster::member_group),
    // what operators see
    row(code::GET_BROKER_CLUSTER_INFO, GET, NO_BODY, Admin::No, cluster::cluster_info),
    row(code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, LIST, NO_BODY, Admin::No, topic_lists::all),
    row(code::GET_TOPICS_BY_CLUSTER, LIST, NO_BODY, Admin::No, topic_lists::of_cluster),
    row(code::GET_SYSTEM_TOPIC_LIST_FROM_NS, LIST, NO_BODY, Admin::No, topic_lists::system),
    row(code::GET_UNIT_TOPIC_LIST, LIST, NO_BODY, Admin::No, topic_lists::unit),
    row(code::GET_HAS_UNIT_SUB_TOPIC_LIST, LIST, NO_BODY, Admin::No, topic_lists::unit_sub),
    row(code::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST, LIST, NO_BODY, Admin::No, topic_lists::unit_sub_only),
    row(code::GET_KV_CONFIG, GET, NO_BODY, Admin::No, kv_config::get),
    row(code::GET_KVLIST_BY_NAMESPACE, GET, NO_BODY, Admin::No, kv_config::list),
    row(code::GET_NAMESRV_CONFIG, GET, NO_BODY, Admin::No, namesrv_config::get),
    row(code::AUTH_GET_USER, GET_USER, NO_BODY, Admin::About("username"), users::show),
    row(code::AUTH_LIST_USER, GET_USER, NO_BODY, Admin::Node, users::list),
    row(code::AUTH_GET_ACL, Needs::Policy(Action::Get), NO_BODY, Admin::About("subject"), acls::show),
    row(code::AUTH_LIST_ACL, Needs::Policy(Action::Get), NO_BODY, Admin::Node, acls::list),
    // what operators change
    row(code::AUTH_CREATE_USER, UPDATE_USER, SMALL, Admin::About("username"), users::create),
    row(code::AUTH_UPDATE_USER, UPDATE_USER, SMALL, Admin::About("username"), users::update),
    row(code::AUTH_DELETE_USER, UPDATE_USER, NO_BODY, Admin::About("username"), users::delete),
    row(code::AUTH_CREATE_ACL, Needs::Policy(Action::Update), SMALL, Admin::About("subject"), acls::put),
    row(code::AUTH_UPDATE_ACL, Needs::Policy(Action::Update), SMALL, Admin::About("subject"), acls::put),
    row(code::AUTH_DELETE_ACL, Needs::Policy(Action::Update), NO_BODY, Admin::About("subject"), acls::delete),
    row(code::DELETE_TOPIC_IN_NAMESRV, Needs::Topic(Action::Delete, "topic"), NO_BODY, Admin::About("topic"), topics::delete),
    row(code::WIPE_WRITE_PERM_OF_BROKER, UPDATE, NO_BODY, Admin::About("brokerName"), write_perm::wipe),
    row(code::ADD_WRITE_PERM_OF_BROKER, UPDATE, NO_BODY, Admin::About("brokerName"), write_perm::add),
    row(code::PUT_KV_CONFIG, UPDATE, NO_BODY, Admin::About("key"), kv_config::put),
    row(code::DELETE_KV_CONFIG, UPDATE, NO_BODY, Admin::About("key"), kv_config::delete),
    row(code::UPDATE_NAMESRV_CONFIG, UPDATE, SMALL, Admin::Node, namesrv_config::update),
];

/// The row of a code.
#[must_use]
pub fn row_of(code: i32) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_row() {
        for row in ROWS {
            assert_eq!(
                ROWS.iter().filter(|other| other.code == row.code).count(),
                1,
                "{}",
                row.code
            );
            assert_ne!(code::name(row.code), "UNKNOWN");
        }
        assert!(row_of(10).is_none());
    }
}

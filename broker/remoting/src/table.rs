//! Every request code that this broker answers: who handles it, and what the caller must be
//! allowed to do. A row without an entry for that does not compile.

use blockhouse_model::Action;
use blockhouse_protocol::codes::request_code as code;

use crate::call::{Call, OwnedCall};
use crate::handlers::{
    acls, admin_queue, admin_topic, broker_info, client_relay, connections, consumer_group,
    heartbeat, lock_queues, offset, offset_admin, progress, query_message, send_back, stats, users,
};
use crate::response::{Answer, Failure, Response};

/// What the caller must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The core asks, since only it knows all names that are touched.
    Core,
    /// Something with the broker as a whole.
    Cluster(Action),
    /// Something with the user that the field `username` names, or with all: users are the cluster's, and where no
    /// policies say who administers them, only Super users do.
    User(Action),
    /// Something with the ACL that the field `subject` names: ACLs are policies.
    Acl(Action),
    /// Something with the topic that this field names.
    Topic(Action, &'static str),
    /// The same, where more is shown that its own right, `Get`, is needed for.
    TopicShowing(Action, &'static str, &'static [Shown]),
    /// Something with the group that this field names.
    Group(Action, &'static str),
    /// The same, where more is shown.
    GroupShowing(Action, &'static str, &'static [Shown]),
    /// A consumer's work: `Sub` on the group that this field names.
    Member(&'static str),
}

/// What is shown beside what is done, if the request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Something of the topic that this field names.
    Topic(&'static str),
    /// Something of each of the topics that this field names, with `;` between them.
    Topics(&'static str),
    /// Something of the group that this field names.
    Group(&'static str),
    /// Something of each of the groups that this field names, with `,` between them.
    Groups(&'static str),
}

/// How a request is carried out.
pub(crate) enum Handler {
    /// One of a run of sends.
    Send,
    /// A pull, which may wait.
    Pull,
    /// At once, on the connection's task.
    Now(Immediate),
    /// After waiting for the disk or another client.
    Later(fn(OwnedCall) -> Answer),
}

/// A handler that does not wait.
pub(crate) type Immediate = fn(&Call<'_>) -> Result<Response, Failure>;

/// One request code.
pub struct Row {
    /// The number.
    pub code: i32,
    /// What the caller must be allowed to do.
    pub entry: Entry,
    /// Whether it administers the broker: such requests pass the admin hook.
    pub admin: bool,
    pub(crate) handler: Handler,
}

const fn work(code: i32, entry: Entry, handler: Handler) -> Row {
    Row { code, entry, admin: false, handler }
}

const fn admin(code: i32, entry: Entry, handler: Handler) -> Row {
    Row { code, entry, admin: true, handler }
}

use Action::{Create, Delete, Get, List, Sub, Update};
use Entry::{Cluster, Core, Group, GroupShowing, Member, Topic, TopicShowing};
use Handler::{Later, Now};

/// All rows.
pub const TABLE: &[Row] = &[
    // messages in
    work(code::SEND_MESSAGE, Core, Handler::Send),
    work(code::SEND_MESSAGE_V2, Core, Handler::Send),
    work(code::SEND_BATCH_MESSAGE, Core, Handler::Send),
    work(code::CONSUMER_SEND_MSG_BACK, Core, Later(send_back::handle)),
    // messages out
    work(code::PULL_MESSAGE, Core, Handler::Pull),
    work(code::LITE_PULL_MESSAGE, Core, Handler::Pull),
    // `Sub`, not `Get`: who may send has `Get`, for routes, and this shows messages.
    work(code::QUERY_MESSAGE, Topic(Sub, "topic"), Later(query_message::by_key)),
    work(code::VIEW_MESSAGE_BY_ID, Cluster(Get), Later(query_message::by_id)),
    // where consumers are
    work(code::QUERY_CONSUMER_OFFSET, Core, Now(offset::query)),
    work(code::UPDATE_CONSUMER_OFFSET, Core, Now(offset::update)),
    work(code::GET_MAX_OFFSET, Core, Now(offset::max)),
    work(code::GET_MIN_OFFSET, Core, Now(offset::min)),
    work(code::SEARCH_OFFSET_BY_TIMESTAMP, Core, Later(offset::by_time)),
    work(code::GET_EARLIEST_MSG_STORETIME, Core, Later(offset::earliest)),
    // clients
    work(code::HEART_BEAT, Core, Now(heartbeat::heartbeat)),
    work(code::UNREGISTER_CLIENT, Core, Now(heartbeat::unregister)),
    work(code::CHECK_CLIENT_CONFIG, Core, Now(heartbeat::check_client)),
    work(code::GET_CONSUMER_LIST_BY_GROUP, Member("consumerGroup"), Now(connections::members)),
    work(code::LOCK_BATCH_MQ, Core, Now(lock_queues::lock)),
    work(code::UNLOCK_BATCH_MQ, Core, Now(lock_queues::unlock)),
    admin(
        code::GET_CONSUMER_CONNECTION_LIST,
        Group(Get, "consumerGroup"),
        Now(connections::consumers),
    ),
    admin(code::GET_PRODUCER_CONNECTION_LIST, Cluster(Get), Now(connections::producers)),
    admin(code::GET_ALL_PRODUCER_INFO, Cluster(Get), Now(connections::all_producers)),
    admin(
        code::GET_CONSUMER_RUNNING_INFO,
        Group(Get, "consumerGroup"),
        Later(client_relay::running_info),
    ),
    admin(
        code::CONSUME_MESSAGE_DIRECTLY,
        Group(Update, "consumerGroup"),
        Later(client_relay::consume_directly),
    ),
    // topics
    admin(code::UPDATE_AND_CREATE_TOPIC, Topic(Create, "topic"), Later(admin_topic::update)),
    admin(code::UPDATE_AND_CREATE_TOPIC_LIST, Cluster(Create), Later(admin_topic::update_list)),
    admin(code::DELETE_TOPIC_IN_BROKER, Topic(Delete, "topic"), Later(admin_topic::delete)),
    admin(code::GET_ALL_TOPIC_CONFIG, Cluster(List), Now(admin_topic::all)),
    admin(code::GET_TOPIC_CONFIG, Topic(Get, "topic"), Now(admin_topic::one)),
    admin(code::GET_SYSTEM_TOPIC_LIST_FROM_BROKER, Cluster(List), Now(admin_topic::system)),
    admin(code::CLEAN_UNUSED_TOPIC, Cluster(Update), Later(admin_queue::clean_unused)),
    admin(code::CLEAN_EXPIRED_CONSUMEQUEUE, Cluster(Update), Later(admin_queue::clean_expired)),
    admin(code::DELETE_EXPIRED_COMMITLOG, Cluster(Delete), Later(admin_queue::delete_expired)),
    // The answer has the subscription of a group that is named.
    admin(
        code::QUERY_CONSUME_QUEUE,
        TopicShowing(Get, "topic", &[Shown::Group("consumerGroup")]),
        Later(admin_queue::query),
    ),
    // groups
    admin(
        code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
        Cluster(Create),
        Later(consumer_group::update),
    ),
    admin(
        code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
        Cluster(Create),
        Later(consumer_group::update_list),
    ),
    admin(
        code::DELETE_SUBSCRIPTIONGROUP,
        Group(Delete, "groupName"),
        Later(consumer_group::delete),
    ),
    admin(code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, Cluster(List), Now(consumer_group::all)),
    admin(code::GET_SUBSCRIPTIONGROUP_CONFIG, Group(Get, "group"), Now(consumer_group::one)),
    admin(
        code::UPDATE_AND_GET_GROUP_FORBIDDEN,
        Group(Update, "group"),
        Later(consumer_group::forbid),
    ),
    // progress
    admin(code::GET_TOPIC_STATS_INFO, Topic(Get, "topic"), Later(progress::topic_stats)),
    // Topics that are named are told of whether the group consumes them or not.
    admin(
        code::GET_CONSUME_STATS,
        GroupShowing(Get, "consumerGroup", &[Shown::Topic("topic"), Shown::Topics("topicList")]),
        Later(progress::consume_stats),
    ),
    admin(code::GET_BROKER_CONSUME_STATS, Cluster(Get), Later(progress::broker_consume_stats)),
    admin(code::QUERY_TOPIC_CONSUME_BY_WHO, Topic(Get, "topic"), Now(progress::groups_of_topic)),
    admin(code::QUERY_TOPICS_BY_CONSUMER, Group(Get, "group"), Now(progress::topics_of_group)),
    admin(
        code::QUERY_SUBSCRIPTION_BY_CONSUMER,
        Group(Get, "group"),
        Now(progress::subscription_of_group),
    ),
    admin(
        code::QUERY_CONSUME_TIME_SPAN,
        TopicShowing(Get, "topic", &[Shown::Group("group")]),
        Later(progress::time_span),
    ),
    // The answer says where the topic's queues are.
    admin(
        code::INVOKE_BROKER_TO_RESET_OFFSET,
        GroupShowing(Update, "group", &[Shown::Topic("topic")]),
        Later(offset_admin::reset),
    ),
    admin(
        code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS,
        Group(Get, "group"),
        Later(client_relay::consumer_status),
    ),
    // Who leaves all groups out but one is told where that one is.
    admin(
        code::QUERY_CORRECTION_OFFSET,
        TopicShowing(Get, "topic", &[Shown::Group("compareGroup"), Shown::Groups("filterGroups")]),
        Now(offset_admin::correction),
    ),
    admin(
        code::CLONE_GROUP_OFFSET,
        GroupShowing(Update, "destGroup", &[Shown::Group("srcGroup")]),
        Now(offset_admin::clone),
    ),
    admin(code::GET_ALL_CONSUMER_OFFSET, Cluster(List), Now(offset_admin::all)),
    admin(code::GET_ALL_DELAY_OFFSET, Cluster(List), Now(offset_admin::all_delay)),
    // users
    admin(code::AUTH_CREATE_USER, Entry::User(Update), Later(users::create)),
    admin(code::AUTH_UPDATE_USER, Entry::User(Update), Later(users::update)),
    admin(code::AUTH_DELETE_USER, Entry::User(Update), Later(users::delete)),
    admin(code::AUTH_GET_USER, Entry::User(Get), Later(users::show)),
    admin(code::AUTH_LIST_USER, Entry::User(Get), Later(users::list)),
    // ACLs
    admin(code::AUTH_CREATE_ACL, Entry::Acl(Update), Later(acls::put)),
    admin(code::AUTH_UPDATE_ACL, Entry::Acl(Update), Later(acls::put)),
    admin(code::AUTH_DELETE_ACL, Entry::Acl(Update), Later(acls::delete)),
    admin(code::AUTH_GET_ACL, Entry::Acl(Get), Later(acls::show)),
    admin(code::AUTH_LIST_ACL, Entry::Acl(Get), Later(acls::list)),
    // the node
    admin(code::GET_BROKER_RUNTIME_INFO, Cluster(Get), Later(broker_info::runtime)),
    admin(code::GET_BROKER_CONFIG, Cluster(Get), Now(broker_info::config)),
    admin(code::UPDATE_BROKER_CONFIG, Cluster(Update), Now(broker_info::update_config)),
    admin(code::VIEW_BROKER_STATS_DATA, Cluster(Get), Now(stats::view)),
];

//! What every crate counts with: the catalogue of metrics and cheap cells to record into.
//!
//! Recording is one relaxed atomic addition on a cache line of the recording thread's own shard. A
//! cell that belongs to a topic or group is looked up once and then kept by whoever records often.
//! This crate does no I/O, starts nothing and reads no clock: `sdk/telemetry` makes text of it.
//!
//! | module | holds |
//! |---|---|
//! | [`audit`] | [`AuditCounts`]: what the audit log did |
//! | [`catalogue`] | every metric's name, kind, unit, help and labels |
//! | [`cell`] | [`Cells`], [`Counter`], [`Gauge`] |
//! | [`channels`] | [`Channels`]: plaintext and TLS, handshakes, certificates |
//! | [`codes`] | [`CodeCounts`]: a count per request code and result |
//! | [`copies`] | [`Copies`]: counts that are kept elsewhere, bounded in number |
//! | [`creations`] | [`Creations`]: how long it took to create topics and groups |
//! | [`exemplars`] | [`Exemplars`]: requests that became spans, by how long they took |
//! | [`exports`] | [`MetricCounts`], [`LogCounts`]: what collectors took besides spans |
//! | [`family`] | [`Family`]: cells per topic or group, bounded in number |
//! | [`fine`] | [`FineCounts`](fine::FineCounts): times by exponential buckets |
//! | [`flight`] | [`Recorder`]: what the flight recorder is told, [`CopyCounts`]: what it kept |
//! | [`histogram`] | [`Histogram`]: counts by size |
//! | [`inventory`] | [`MemberCount`]: members of groups, by what clients they are |
//! | [`lag`] | [`GroupLag`]: how far consumer groups are behind |
//! | [`latencies`] | [`Latencies`]: how long requests took |
//! | [`messages`] | messages in and out, as RocketMQ's exporter counts them |
//! | [`misses`] | [`PullMisses`]: pulls that were answered without a message, of late |
//! | [`native`] | our own names, in base units |
//! | `overflow` | label sets for which there was no room |
//! | [`plugins`] | [`PluginCounts`]: what plugins did |
//! | [`policies`] | [`PolicyCounts`]: what policies did |
//! | [`refusals`] | [`Refusals`]: the last requests that were refused |
//! | [`spans`] | [`Spans`]: which messages become spans, and their records |
//! | [`rocketmq`] | the families of RocketMQ's own exporter that are not there |
//! | [`quotas`] | [`QuotaRefusals`]: what quotas kept back |
//! | [`sends`] | [`SendTimes`]: how long sends and pulls took of late |
//! | [`sidecar`] | [`SidecarView`]: the broker as rocketmq-exporter shows it |
//! | [`sizes`] | [`MessageSizes`]: how large messages are |
//! | [`stages`] | [`StageTimes`](stages::StageTimes): what the time of sends goes to |
//! | [`store`] | [`StoreHealth`]: where a store stands, and how it gets on with its disk |
//! | [`watermarks`] | [`Watermarks`]: requests that wait for their answer |
//! | [`meter`] | [`Meter`]: all of it, and how it is read out |

#![forbid(unsafe_code)]

pub mod audit;
pub mod catalogue;
pub mod cell;
pub mod channels;
pub mod codes;
pub mod copies;
pub mod creations;
pub mod exemplars;
pub mod exports;
pub mod family;
pub mod fine;
pub mod flight;
pub mod histogram;
pub mod inventory;
pub mod lag;
pub mod latencies;
pub mod messages;
pub mod meter;
pub mod misses;
pub mod native;
mod overflow;
pub mod plugins;
pub mod policies;
pub mod quotas;
pub mod refusals;
pub mod rocketmq;
pub mod sends;
pub mod sidecar;
pub mod sizes;
pub mod spans;
pub mod stages;
pub mod store;
pub mod watermarks;

pub use audit::{AUDIT_KINDS, AuditCounts};
pub use catalogue::{CATALOGUE, Kind, Metric, Stability};
pub use cell::{Cells, Counter, Gauge, own_shard, shard_count};
pub use channels::{Channels, HANDSHAKES, RELOADS, Shed};
pub use codes::{CODE_PAIRS_MAX, CodeCounts};
pub use copies::{Copies, Untold};
pub use creations::{Created, Creations, Invocation};
pub use exemplars::{Exemplar, Exemplars};
pub use exports::{LogCounts, MetricCounts, MetricOutcome};
pub use family::{Family, LABEL_SETS_MAX};
pub use flight::{CopyCause, CopyCounts, FlightRecord, LoggedRequests, NameNumber, Recorder};
pub use histogram::{Counted, Histogram, HistogramSample, micros_since};
pub use inventory::{CONSUMER_SERIES_MAX, MemberCount, MemberSource, PRODUCER_SERIES_MAX};
pub use lag::{GroupLag, LAG_PAIRS_MAX, LagSource};
pub use latencies::{Latencies, RPC_KINDS_MAX, RpcKind, RpcTimes};
pub use messages::{InLabels, OutLabels};
pub use meter::{Connections, METADATA_FILES, Meter, NAME_TABLES, Sample};
pub use misses::PullMisses;
pub use plugins::{
    CODE_SOURCES, CUSTOM_PREFIX, CustomCounts, CustomFamily, CustomValue, PluginChanges,
    PluginCounts, PluginHookCounts,
};
pub use policies::{PolicyCounts, PolicySource};
pub use quotas::{QuotaKind, QuotaRefusals};
pub use refusals::{Refusals, Refused};
pub use sends::{LastMinute, SendTimes};
pub use sidecar::clients::{ClientView, Consumption};
pub use sidecar::{DeadLetters, GroupView, MembersView, SidecarSource, SidecarView, TopicView};
pub use sizes::{MessageSizes, SIZE_TOPICS_MAX, SizeCounts, TopicSizes};
pub use spans::Spans;
pub use store::{STORE_FAULTS, STORE_WAITS, StoreHealth, StoreOffsets};
pub use watermarks::{Processor, Watermarks};

//! Where queues begin.

use blockhouse_record::View;

use super::{Expected, QueueCheck};
use crate::Error;
use crate::examine::finding::{Findings, Kind, Remedy};

impl QueueCheck<'_> {
    /// A queue that does not begin with its first message, in a log that has all of them and without an
    /// entry for any before it: what no checksum covers, the record's topic, queue or offset, is wrong.
    pub(super) fn doubt_beginning(
        &mut self,
        record: &View<'_>,
        Expected { offset, unit }: Expected,
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let (topic, id) = (record.topic, record.queue.0);
        if !self.log_is_whole
            || !self.damaged.is_empty()
            || offset == 0
            || self.state(topic, id).began_at > 0
        {
            return Ok(());
        }
        if self.entry(topic, id, offset - 1)?.is_none_or(|before| before.size == 0) {
            let problem = format!(
                "{topic} {id}: the record says it is at offset {offset}, and the queue has none before it: \
                 its topic, queue or offset is another"
            );
            let what = (Kind::Record, Remedy::None);
            findings.damage(what, self.log_name(unit.physical), unit.physical, problem);
        }
        Ok(())
    }
}

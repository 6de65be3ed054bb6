//! What the time of sends goes to.

use crate::Sample;
use crate::catalogue as c;
use crate::cell::Cells;
use crate::spans::Stages;

/// The stages of a send, as the label names them.
pub const SEND_STAGES: [&str; 3] = ["admit", "append", "flush"];

/// A tick, as [`Ticks`](crate::spans::Ticks) count it.
const TICKS_PER_SECOND: f64 = 1e7;

/// Sums of times of bursts of sends: what one connection sent at once is stored together.
#[derive(Debug, Default)]
pub struct StageTimes(Cells<4>);

impl StageTimes {
    /// Counts a burst. Where nothing was measured, nothing is counted.
    pub fn add(&self, stages: Stages) {
        let times =
            [stages.admit, stages.append, stages.flush].map(|time| u64::from(time.number()));
        if times != [0; 3] {
            let [admit, append, flush] = times;
            self.0.add([admit, append, flush, 1]);
        }
    }

    pub(crate) fn read(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        let [admit, append, flush, bursts] = self.0.read();
        for (stage, ticks) in SEND_STAGES.iter().zip([admit, append, flush]) {
            let value = ticks as f64 / TICKS_PER_SECOND;
            visit(&Sample { metric: &c::SEND_STAGE_SECONDS, labels: &[stage], value });
        }
        visit(&Sample { metric: &c::SEND_BURSTS, labels: &[], value: bursts as f64 });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::spans::Ticks;

    #[test]
    fn stages_are_summed_and_bursts_without_are_left_out() {
        let times = StageTimes::default();
        let ticks = |millis| Ticks::of(Duration::from_millis(millis));
        let stages =
            Stages { admit: ticks(1), hooked: false, append: ticks(20), flush: ticks(300) };
        times.add(stages);
        times.add(stages);
        times.add(Stages::default());
        let mut lines = Vec::new();
        times.read(&mut |s| lines.push(format!("{} {:.3}", s.labels.join(","), s.value)));
        assert_eq!(lines, ["admit 0.002", "append 0.040", "flush 0.600", " 2.000"]);
    }
}

//! The broker as rocketmq-exporter shows it.

use std::sync::Arc;

use blockhouse_meter::Meter;
use blockhouse_meter::sidecar::families::SERVED;
use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use crate::render::{Families, describe};
use crate::{Error, Exposition};

/// Shows a [`Meter`] as rocketmq-exporter would show its broker. That process has no labels for all
/// samples, and one format.
pub struct Sidecar {
    registry: Registry,
}

impl Sidecar {
    /// Shows the broker that `meter` knows, if there is one.
    ///
    /// # Errors
    /// If a metric breaks a rule of Prometheus.
    pub fn new(meter: Arc<Meter>) -> Result<Self, Error> {
        let descriptions: Result<Vec<_>, _> = SERVED.iter().map(|m| describe(m)).collect();
        let descriptions = descriptions.map_err(Error::Register)?;
        let registry = Registry::new();
        let collector = SidecarCollector { meter, descriptions };
        registry.register(Box::new(collector)).map_err(Error::Register)?;
        Ok(Self { registry })
    }

    /// All families in Prometheus' text format, version 0.0.4. It may wait for the disk.
    ///
    /// # Errors
    /// If two samples of a metric have the same labels.
    pub fn text(&self) -> Result<Exposition, Error> {
        Exposition::text(&self.registry.gather())
    }
}

impl std::fmt::Debug for Sidecar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sidecar").finish_non_exhaustive()
    }
}

struct SidecarCollector {
    meter: Arc<Meter>,
    descriptions: Vec<Desc>,
}

impl Collector for SidecarCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Families::default();
        if let Some(view) = self.meter.sidecar() {
            view.read(&mut |sample| families.add(sample));
        }
        families.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockhouse_meter::SidecarView;
    use blockhouse_meter::sidecar::families::LOG_MAX;

    #[test]
    fn the_text_has_the_labels_of_rocketmq_exporter_and_no_others() {
        let meter = Arc::new(Meter::default());
        let sidecar = Sidecar::new(Arc::clone(&meter)).unwrap();
        assert_eq!(sidecar.text().unwrap().into_text(), "", "there is no broker");
        meter.watch_sidecar(Box::new(|| {
            Some(SidecarView {
                cluster: "c".to_owned(),
                broker: "b".to_owned(),
                address: "1.2.3.4:5".to_owned(),
                version: "V5_4_0",
                rates: [1.0, 0.0],
                values: vec![(&LOG_MAX, 7.0)],
                ..SidecarView::default()
            })
        }));
        let text = sidecar.text().unwrap().into_text();
        for line in [
            "# TYPE rocketmq_broker_tps gauge",
            "rocketmq_broker_tps{broker=\"b\",brokerIP=\"1.2.3.4:5\",cluster=\"c\"} 1",
            "rocketmq_brokeruntime_commitlog_maxoffset{boottime=\"0\",brokerHost=\"\",\
             brokerIP=\"1.2.3.4:5\",broker_version=\"0\",cluster=\"c\",des=\"V5_4_0\"} 7",
        ] {
            let sorted = |line: &str| {
                let mut chars: Vec<char> = line.chars().collect();
                chars.sort_unstable();
                chars
            };
            assert!(text.lines().any(|l| sorted(l) == sorted(line)), "{line} is not in\n{text}");
        }
    }
}

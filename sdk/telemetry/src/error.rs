//! Why metrics cannot be shown, or spans exported.

/// Why metrics cannot be shown, or spans exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name or label that Prometheus does not allow.
    #[error("the metrics cannot be registered: {0}")]
    Register(#[source] prometheus::Error),
    /// The text could not be made.
    #[error("the metrics cannot be written: {0}")]
    Encode(#[source] prometheus::Error),
    /// There cannot be a collector there.
    #[error("that is no address of a collector")]
    Endpoint,
    /// The endpoint wants TLS.
    #[error("there is no TLS for collectors")]
    NoTls,
    /// There cannot be such an exporter.
    #[error("there cannot be an exporter: {0}")]
    Collector(#[source] opentelemetry_otlp::ExporterBuildError),
}

//! What plugins answer that is not "go on".

/// An answer, by what it does to a message or a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Said {
    /// It is refused.
    Reject,
    /// A message is answered as success and not stored.
    Drop,
    /// A message goes to another topic.
    Reroute,
    /// A message gets another body or other properties.
    Rewrite,
    /// A message is left out of a delivery.
    Hide,
    /// It is known who asks.
    Identify,
    /// Not all brokers of a route are told of, or in another order.
    Select,
    /// A span gets attributes.
    Enrich,
}

impl Said {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 8] = [
        Self::Reject,
        Self::Drop,
        Self::Reroute,
        Self::Rewrite,
        Self::Hide,
        Self::Identify,
        Self::Select,
        Self::Enrich,
    ];

    /// Its name in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Drop => "drop",
            Self::Reroute => "reroute",
            Self::Rewrite => "rewrite",
            Self::Hide => "hide",
            Self::Identify => "identify",
            Self::Select => "select",
            Self::Enrich => "enrich",
        }
    }
}

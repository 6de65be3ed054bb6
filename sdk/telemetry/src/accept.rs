//! Which format of metrics a scraper wants.

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' text, version 0.0.4.
    Text,
    /// `OpenMetrics`' text, version 1.0.0.
    OpenMetrics,
    /// Prometheus' protobuf format, each family with its length before it.
    Protobuf,
}

/// The format that `accept`, the header of a request, prefers of those that are `served`. Whoever says
/// nothing that is known gets Prometheus' text.
pub(crate) fn format(accept: &str, served: &[Format]) -> Format {
    let mut best = (Format::Text, 0.0);
    for range in accept.split(',') {
        let (name, quality) = quality_of(range);
        let Some(format) = name.filter(|format| served.contains(format)) else { continue };
        // Of two that are wanted alike, the first.
        if quality > best.1 {
            best = (format, quality);
        }
    }
    best.0
}

/// A range and how much it is wanted; no format if it is of none that is known.
fn quality_of(range: &str) -> (Option<Format>, f32) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let (mut version, mut quality) = ("", 1.0);
    let (mut message, mut encoding) = ("", "");
    for part in parts {
        match part.split_once('=') {
            Some(("q", text)) => quality = text.trim().parse().unwrap_or(0.0),
            Some(("version", text)) => version = text.trim().trim_matches('"'),
            Some(("proto", text)) => message = text.trim().trim_matches('"'),
            Some(("encoding", text)) => encoding = text.trim().trim_matches('"'),
            _ => {}
        }
    }
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    let format = if is("application/openmetrics-text") {
        matches!(version, "" | "0.0.1" | "1.0.0").then_some(Format::OpenMetrics)
    } else if is("application/vnd.google.protobuf") {
        let is_known = (message, encoding) == ("io.prometheus.client.MetricFamily", "delimited");
        is_known.then_some(Format::Protobuf)
    } else if is("text/plain") {
        matches!(version, "" | "0.0.4").then_some(Format::Text)
    } else {
        None
    };
    (format, quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_format_that_is_known_is_given() {
        for (accept, wanted) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", Format::OpenMetrics),
            ("application/openmetrics-text;version=2.0.0", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=no", Format::Text),
            ("text/plain;q=0.9, Application/OpenMetrics-Text;q=0.5", Format::Text),
            // Prometheus 2.42.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                 version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            // Prometheus 3.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;\
                 escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                Format::OpenMetrics,
            ),
        ] {
            let served = [Format::Text, Format::OpenMetrics];
            assert_eq!(format(accept, &served), wanted, "{accept}");
        }
    }

    #[test]
    fn protobuf_is_given_where_it_is_served_and_asked_for_as_it_is() {
        let all = [Format::Text, Format::OpenMetrics, Format::Protobuf];
        let name = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily";
        // Prometheus 2.42 with native histograms.
        let asked =
            format!("{name};encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8");
        assert_eq!(format(&asked, &all), Format::Protobuf);
        assert_eq!(format(&asked, &all[..2]), Format::OpenMetrics);
        for other in [format!("{name};encoding=text"), "application/vnd.google.protobuf".to_owned()]
        {
            assert_eq!(format(&other, &all), Format::Text, "{other}");
        }
    }
}

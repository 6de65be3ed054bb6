//! Where lines go besides the log. Each way is compiled in by its feature: a component imports what
//! it can call, and its binding must grant it.

/// A collector that takes lines of JSON by POST.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Collector {
    url: String,
    /// The value of the header `Authorization`.
    #[serde(default)]
    authorization: String,
    #[serde(default = "timeout_ms")]
    timeout_ms: u32,
}

/// A topic whose messages are lines of JSON, one each.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Topic {
    topic: String,
}

fn timeout_ms() -> u32 {
    800
}

impl Collector {
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.url.starts_with("http://") && !self.url.starts_with("https://") {
            return Err(format!("http.url: {} is no http address", self.url));
        }
        if self.timeout_ms == 0 {
            return Err("http.timeout_ms is 0".to_owned());
        }
        if cfg!(feature = "http") {
            Ok(())
        } else {
            Err("http: this component was built without it; see the plugin's README".to_owned())
        }
    }

    /// Sends all lines at once. What is not taken is offered again by the host.
    #[cfg(feature = "http")]
    pub(crate) fn post(&self, lines: &[String]) -> Result<(), String> {
        use blockhouse_plugin::http::{Header, Request, send};

        let header =
            |name: &str, value: &str| Header { name: name.to_owned(), value: value.into() };
        let mut headers = vec![header("content-type", "application/x-ndjson")];
        if !self.authorization.is_empty() {
            headers.push(header("authorization", &self.authorization));
        }
        let request = Request {
            method: "POST".to_owned(),
            url: self.url.clone(),
            headers,
            body: (lines.join("\n") + "\n").into_bytes(),
            timeout_ms: self.timeout_ms,
        };
        match send(&request) {
            Ok(response) if (200..300).contains(&response.status) => Ok(()),
            Ok(response) => Err(format!("the collector answers {}", response.status)),
            Err(failure) => Err(format!("the collector is not reached: {failure:?}")),
        }
    }

    #[cfg(not(feature = "http"))]
    pub(crate) fn post(&self, _lines: &[String]) -> Result<(), String> {
        // `init` has refused it: nothing is told to nobody.
        let Self { url, authorization, timeout_ms } = self;
        Err(format!("{url} ({} {timeout_ms}): not built in", authorization.len()))
    }
}

impl Topic {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.topic.is_empty() {
            return Err("publish.topic is empty".to_owned());
        }
        if cfg!(feature = "publish") {
            Ok(())
        } else {
            Err("publish: this component was built without it; see the plugin's README".to_owned())
        }
    }

    /// Stores a message for each line. After an error those that are stored come again: a reader
    /// tells them by node and sequence.
    #[cfg(feature = "publish")]
    pub(crate) fn send(&self, lines: &[String]) -> Result<(), String> {
        for line in lines {
            blockhouse_plugin::publish::send(&self.topic, line.as_bytes(), &[("TAGS", "audit")])
                .map_err(|failure| format!("{} does not take it: {failure:?}", self.topic))?;
        }
        Ok(())
    }

    #[cfg(not(feature = "publish"))]
    pub(crate) fn send(&self, _lines: &[String]) -> Result<(), String> {
        Err(format!("{}: not built in", self.topic))
    }
}

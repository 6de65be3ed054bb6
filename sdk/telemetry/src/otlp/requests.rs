//! Requests to a collector, each tried again where that may help: for as long as whoever sends it waits.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Request, StatusCode};
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

use super::encoded::Encoded;
use super::headers::Secrets;
use super::http::Http;
use super::{Endpoint, Signal};

/// How long it waits before it tries again, each time.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// What a collector did not take of a request that it took otherwise.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// So many spans, points of metrics, or events.
    pub(crate) rejected: u64,
    /// Why.
    pub(crate) why: String,
}

impl Taken {
    /// What the log is told of it.
    pub(crate) fn as_a_whole(&self) -> Result<(), String> {
        match self.rejected {
            0 => Ok(()),
            count => Err(format!("it rejected {count} of a request: {}", self.why)),
        }
    }
}

/// A way to one collector.
pub(crate) struct Requests {
    pub(super) way: Way,
    /// Those of the configuration.
    pub(super) headers: HeaderMap,
    pub(super) secrets: Option<Secrets>,
    /// By gzip.
    pub(super) is_packed: bool,
}

pub(super) enum Way {
    Grpc(Channel),
    Http(Box<Http>, Endpoint),
}

/// Why a request was not taken.
struct Trouble {
    text: String,
    /// It may be taken later: not before that time, if the collector names one.
    later: Option<Duration>,
}

impl Requests {
    /// Sends a request, encoded. What is wrong otherwise is said in words: nobody asks further.
    pub(crate) async fn send<S: Signal>(&self, encoded: Bytes) -> Result<Taken, String> {
        let body = match &self.way {
            Way::Http(..) if self.is_packed => packed(&encoded)?,
            _ => encoded,
        };
        let mut pauses = PAUSES.into_iter();
        loop {
            let headers = self.headers().await;
            let trouble = match self.try_once::<S>(&body, headers).await {
                Ok(answer) => return Ok(taken::<S>(answer)),
                Err(trouble) => trouble,
            };
            let (Some(later), Some(pause)) = (trouble.later, pauses.next()) else {
                return Err(trouble.text);
            };
            tokio::time::sleep(pause.max(later)).await;
        }
    }

    async fn try_once<S: Signal>(
        &self,
        body: &Bytes,
        headers: HeaderMap,
    ) -> Result<S::Answer, Trouble> {
        match &self.way {
            Way::Grpc(channel) => {
                let packing = self.is_packed.then_some(CompressionEncoding::Gzip);
                call::<S>((channel, packing), body.clone(), headers).await
            }
            Way::Http(http, endpoint) => {
                let url = endpoint.url(S::PATH);
                self.post::<S>((http, url), body.clone(), headers).await
            }
        }
    }

    /// All headers of the moment.
    async fn headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let Some(secrets) = self.secrets.clone() {
            // A panic is none of this request's business, which is refused without them.
            let found = tokio::task::spawn_blocking(move || secrets()).await;
            headers.extend(found.unwrap_or_default());
        }
        headers
    }

    async fn post<S: Signal>(
        &self,
        (http, url): (&Http, String),
        body: Bytes,
        headers: HeaderMap,
    ) -> Result<S::Answer, Trouble> {
        let request = Request::post(url).body(body);
        let mut request = request.map_err(|error| Trouble::final_of(error.to_string()))?;
        *request.headers_mut() = headers;
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        request.headers_mut().insert(CONTENT_TYPE, protobuf);
        if self.is_packed {
            request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let sent = http.send(request).await;
        let answer = sent.map_err(|error| Trouble::passing(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(Trouble::of_code(answer.status(), answer.headers()));
        }
        // An answer that cannot be read names nothing that was rejected.
        Ok(prost::Message::decode(answer.into_body()).unwrap_or_default())
    }
}

async fn call<S: Signal>(
    (channel, packing): (&Channel, Option<CompressionEncoding>),
    body: Bytes,
    headers: HeaderMap,
) -> Result<S::Answer, Trouble> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    if let Some(packing) = packing {
        client = client.send_compressed(packing).accept_compressed(packing);
    }
    client.ready().await.map_err(|error| Trouble::passing(error.to_string()))?;
    let mut request = tonic::Request::new(body);
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    let (path, codec) = (PathAndQuery::from_static(S::METHOD), Encoded::default());
    let answer = client.unary(request, path, codec).await;
    answer.map(tonic::Response::into_inner).map_err(|status| Trouble::of_status(&status))
}

fn packed(plain: &[u8]) -> Result<Bytes, String> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = packer.write_all(plain).and_then(|()| packer.finish());
    packed.map(Bytes::from).map_err(|error| error.to_string())
}

fn taken<S: Signal>(answer: S::Answer) -> Taken {
    let (count, why) = S::rejected(answer).unwrap_or_default();
    Taken { rejected: u64::try_from(count).unwrap_or(0), why }
}

impl Trouble {
    const fn final_of(text: String) -> Self {
        Self { text, later: None }
    }

    const fn passing(text: String) -> Self {
        Self { text, later: Some(Duration::ZERO) }
    }

    /// Which may pass is for OTLP to say.
    fn of_status(status: &tonic::Status) -> Self {
        let text = format!("{:?}: {}", status.code(), status.message());
        match status.code() {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => Self::passing(text),
            _ => Self::final_of(text),
        }
    }

    fn of_code(code: StatusCode, headers: &HeaderMap) -> Self {
        let text = format!("status {}", code.as_u16());
        let wanted = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        match code {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                Self { text, later: Some(wanted.map_or(Duration::ZERO, Duration::from_secs)) }
            }
            _ => Self::final_of(text),
        }
    }
}

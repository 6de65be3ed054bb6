//! Stands in for a collector: takes OTLP over gRPC and HTTP on one port of loopback, and prints each request as a
//! line of OTLP's JSON. `sink [port=N] [delay=MS] [refuse=CODE] [reject=N] [token=WORD] [quiet=1] [cert=PEM key=PEM [ca=PEM]]`:
//! it answers late, refuses with a code of gRPC (over HTTP with 503), says that it has rejected some, or lets in who
//! brings the word alone (`authorization: Bearer WORD`); a quiet one takes all and looks at nothing, and costs the
//! machine next to nothing; with a certificate it speaks TLS, and with roots it asks for
//! the client's. It ends with its standard input.

#![expect(clippy::print_stdout, reason = "an example talks")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::{RealDisk, whole};
use flate2::read::GzDecoder;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use opentelemetry_proto::tonic::collector::logs::v1 as logs;
use opentelemetry_proto::tonic::collector::metrics::v1 as metrics;
use opentelemetry_proto::tonic::collector::trace::v1 as trace;
use prost::Message;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::{Code, Status};

type Failure = Box<dyn std::error::Error>;

/// How it answers.
#[derive(Clone, Default)]
struct Manner {
    delay: Duration,
    refuse: Option<i32>,
    reject: i64,
    /// The header that lets in.
    pass: Option<String>,
    /// Nothing is decoded or printed.
    quiet: bool,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given: Option<HashMap<&str, &str>> = arguments.iter().map(|a| a.split_once('=')).collect();
    let given = given.ok_or("each argument is NAME=VALUE")?;
    let number = |name: &str| given.get(name).map_or(Ok(0), |text| text.parse::<u32>());
    let manner = Manner {
        delay: Duration::from_millis(number("delay")?.into()),
        refuse: given.get("refuse").map(|code| code.parse()).transpose()?,
        reject: number("reject")?.into(),
        pass: given.get("token").map(|token| format!("Bearer {token}")),
        quiet: number("quiet")? > 0,
    };
    let manner = Arc::new(manner);
    let tls = given.get("cert").map(|_| acceptor(&given)).transpose()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(number("port")?)?));
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let mut input = tokio::io::stdin();
    let mut nothing = [0; 64];
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            read = input.read(&mut nothing) => if read? == 0 { return Ok(()) },
            accepted = listener.accept() => {
                let (stream, tls, manner) = (accepted?.0, tls.clone(), Arc::clone(&manner));
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, manner).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, manner).await,
                            Err(error) => println!("{{\"tls\":{:?}}}", error.to_string()),
                        },
                    }
                });
            }
        }
    }
}

fn acceptor(given: &HashMap<&str, &str>) -> Result<TlsAcceptor, Failure> {
    let read = |name: &str| -> Result<Vec<u8>, Failure> {
        let path = given.get(name).ok_or_else(|| format!("{name} is missing"))?;
        Ok(whole::read(&RealDisk, Path::new(path))?.ok_or("there is no such file")?)
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read("cert")?).collect();
    let key = PrivateKeyDer::from_pem_slice(&read("key")?)?;
    let builder = ServerConfig::builder();
    let builder = if given.contains_key("ca") {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(&read("ca")?) {
            roots.add(root?)?;
        }
        builder.with_client_cert_verifier(WebPkiClientVerifier::builder(roots.into()).build()?)
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(chain?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, manner: Arc<Manner>) {
    let service = hyper::service::service_fn(move |request| {
        let manner = Arc::clone(&manner);
        async move { Ok::<_, Infallible>(answer(request, &manner).await) }
    });
    let http = Builder::new(TokioExecutor::new());
    // Clients go as they like.
    let _gone = http.serve_connection(TokioIo::new(stream), service).await;
}

/// A body with the frame and the end that gRPC wants, or a plain one.
async fn answer(request: Request<Incoming>, manner: &Manner) -> Response<Framed> {
    let path = request.uri().path().to_owned();
    let (head, body) = request.into_parts();
    let has = |name: &str, value: &str| head.headers.get(name).is_some_and(|v| v == value);
    let is_grpc = has("content-type", "application/grpc");
    let Ok(body) = body.collect().await else { return Response::default() };
    if manner.quiet {
        // All three answers are empty where nothing is rejected.
        return if is_grpc { grpc(Ok(Vec::new())) } else { plain(Ok(Vec::new())) };
    }
    let mut body = body.to_bytes();
    let mut is_packed = has("content-encoding", "gzip");
    if is_grpc {
        // Whether it is compressed, which nobody does but with gzip, and how long it is.
        is_packed = body.first() == Some(&1);
        body = body.split_off(body.len().min(5));
    }
    tokio::time::sleep(manner.delay).await;
    let may = manner.pass.as_ref().is_none_or(|pass| has("authorization", pass));
    let taken = match manner.refuse {
        _ if !may => Err(Status::unauthenticated("who are you")),
        Some(code) => Err(Status::new(code.into(), "not now")),
        None => unpacked(body, is_packed).and_then(|body| take(&path, body, manner.reject)),
    };
    if is_grpc { grpc(taken) } else { plain(taken) }
}

fn unpacked(body: Bytes, is_packed: bool) -> Result<Bytes, Status> {
    if !is_packed {
        return Ok(body);
    }
    let mut plain = Vec::new();
    let read = GzDecoder::new(&body[..]).read_to_end(&mut plain);
    read.map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(plain.into())
}

/// Prints what was sent, and what is answered.
fn take(path: &str, body: Bytes, reject: i64) -> Result<Vec<u8>, Status> {
    let what = path.trim_end_matches("/Export").trim_end_matches("Service").rsplit(['.', '/']);
    let error_message = || "too many".to_owned();
    match what.map(str::to_ascii_lowercase).next().as_deref() {
        Some("trace" | "traces") => {
            print(&decode::<trace::ExportTraceServiceRequest>(body)?);
            let partial_success = (reject > 0).then(|| trace::ExportTracePartialSuccess {
                rejected_spans: reject,
                error_message: error_message(),
            });
            Ok(trace::ExportTraceServiceResponse { partial_success }.encode_to_vec())
        }
        Some("metrics") => {
            print(&decode::<metrics::ExportMetricsServiceRequest>(body)?);
            let partial_success = (reject > 0).then(|| metrics::ExportMetricsPartialSuccess {
                rejected_data_points: reject,
                error_message: error_message(),
            });
            Ok(metrics::ExportMetricsServiceResponse { partial_success }.encode_to_vec())
        }
        Some("logs") => {
            print(&decode::<logs::ExportLogsServiceRequest>(body)?);
            let partial_success = (reject > 0).then(|| logs::ExportLogsPartialSuccess {
                rejected_log_records: reject,
                error_message: error_message(),
            });
            Ok(logs::ExportLogsServiceResponse { partial_success }.encode_to_vec())
        }
        _ => Err(Status::unimplemented(path.to_owned())),
    }
}

fn decode<M: Message + Default>(body: Bytes) -> Result<M, Status> {
    M::decode(body).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn print(request: &impl Serialize) {
    println!("{}", serde_json::to_string(request).unwrap_or_default());
}

type Framed = http_body_util::combinators::BoxBody<Bytes, Infallible>;

fn grpc(taken: Result<Vec<u8>, Status>) -> Response<Framed> {
    let status = taken.as_ref().err().map_or(0, |status| i32::from(status.code()));
    let trailers = hyper::HeaderMap::from_iter([(
        hyper::header::HeaderName::from_static("grpc-status"),
        status.into(),
    )]);
    let message = taken.unwrap_or_default();
    let length = u32::try_from(message.len()).unwrap_or(0).to_be_bytes();
    let framed = [&[0], &length[..], &message].concat();
    let body = Full::new(Bytes::from(framed)).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed());
    let kind = hyper::header::HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    response
}

fn plain(taken: Result<Vec<u8>, Status>) -> Response<Framed> {
    let code = match &taken {
        Ok(_) => 200,
        Err(status) if status.code() == Code::Unauthenticated => 401,
        Err(_) => 503,
    };
    let mut response = Response::new(Full::new(Bytes::from(taken.unwrap_or_default())).boxed());
    *response.status_mut() = hyper::StatusCode::from_u16(code).unwrap_or_default();
    response
}

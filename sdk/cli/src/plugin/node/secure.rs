//! A request and its answer by TLS.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context as _;
use blockhouse_transport::tls::Connector;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::ANSWER_MAX;

/// Sends the pieces of a request, and reads until the node closes.
pub(super) fn exchange(
    tls: &Connector,
    stream: TcpStream,
    authority: &str,
    (pieces, patience): (&[&[u8]], Duration),
) -> anyhow::Result<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    runtime.block_on(async {
        stream.set_nonblocking(true)?;
        let stream = tokio::net::TcpStream::from_std(stream)?;
        let secured = timeout(patience, tls.connect(stream, authority));
        let mut stream = secured.await.context("no TLS handshake in time")??;
        let sending = timeout(patience, async {
            for piece in pieces {
                stream.write_all(piece).await?;
            }
            stream.flush().await
        });
        let sent = sending.await;
        let mut answer = Vec::new();
        let read =
            timeout(patience, (&mut stream).take(ANSWER_MAX + 1).read_to_end(&mut answer)).await;
        // One that refuses does not read the body to its end, and its answer says why.
        if answer.is_empty() {
            sent??;
            read??;
        }
        Ok(answer)
    })
}

use std::net::SocketAddr;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

/// A connection to an Envoy, for HTTP/1.1, which ends with this.
pub(crate) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    running: AbortHandle,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// Nobody listens there, or nobody can be reached.
    #[error(transparent)]
    Connect(#[from] std::io::Error),
    /// The request cannot be written.
    #[error(transparent)]
    Request(#[from] hyper::http::Error),
    /// It is not answered.
    #[error(transparent)]
    Answer(#[from] hyper::Error),
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, ConnectionError> {
        let stream = TcpStream::connect(address).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let running = tokio::spawn(connection).abort_handle();
        Ok(Self { sender, running })
    }

    /// Asks for this path of this host; the body of the answer may still come.
    pub(crate) async fn get(
        &mut self,
        path: &str,
        host: &str,
    ) -> Result<Response<Incoming>, ConnectionError> {
        let request = Request::get(path).header("host", host);
        let request = request.body(Empty::<Bytes>::new())?;
        Ok(self.sender.send_request(request).await?)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.running.abort();
    }
}

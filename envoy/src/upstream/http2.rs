use std::net::TcpListener;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{RecvStream, SendStream};
use tokio::runtime::Builder;

use super::Shared;
use super::connection::Handler;
use super::message::{Fault, Reply, Request};
use crate::http1::Header;
use crate::http2::{begin, begin_body, header_map, lines, receive_body};
use crate::link::Pace;

/// Serves HTTP/2 with prior knowledge until the upstream is dropped.
pub(super) fn accept(listener: TcpListener, shared: &Arc<Shared>, handler: &Arc<Handler>) {
    let handler = Arc::clone(handler);
    serve_each(listener, shared, move |request, body, answers, shared| {
        answer(request, body, answers, shared, Arc::clone(&handler))
    });
}

/// The way of an answer.
pub(super) struct Answers {
    pub(super) respond: SendResponse<Bytes>,
    pub(super) pace: Pace,
}

/// Answers each request until the upstream is dropped.
pub(super) fn serve_each<F>(
    listener: TcpListener,
    shared: &Arc<Shared>,
    answer: impl Fn(Request, RecvStream, Answers, Arc<Shared>) -> F + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let answer = Arc::new(answer);
    // Without a runtime nothing is answered, and whoever waits for it says so.
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        return;
    };
    runtime.block_on(async {
        let listening = listener
            .set_nonblocking(true)
            .and_then(|()| tokio::net::TcpListener::from_std(listener));
        let Ok(listener) = listening else { return };
        for number in 0.. {
            // A client that is gone before it is accepted is no reason to stop.
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let Ok((stream, kept)) = with_clone(stream) else {
                continue;
            };
            {
                let mut state = shared.state();
                if state.stopped {
                    return;
                }
                state.keep(kept);
            }
            let (shared, answer) = (Arc::clone(shared), Arc::clone(&answer));
            let pace = Pace::of_tokio(&stream);
            tokio::spawn(async move {
                let Ok(mut connection) = server::handshake(stream).await else {
                    return;
                };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    let (head, body) = request.into_parts();
                    let request = begun(&head, number);
                    let answers = Answers { respond, pace };
                    tokio::spawn(answer(request, body, answers, Arc::clone(&shared)));
                }
            });
        }
    });
    // A handler may still wait.
    runtime.shutdown_background();
}

/// A connection, and another handle of it.
fn with_clone(
    stream: tokio::net::TcpStream,
) -> std::io::Result<(tokio::net::TcpStream, std::net::TcpStream)> {
    let stream = stream.into_std()?;
    let clone = stream.try_clone()?;
    Ok((tokio::net::TcpStream::from_std(stream)?, clone))
}

/// A request as its headers tell it, without a body.
fn begun(head: &http::request::Parts, connection: usize) -> Request {
    let target = head.uri.path_and_query();
    let host = head.uri.authority().map(|host| host.as_str().to_owned());
    let mut request = Request {
        connection,
        method: head.method.as_str().into(),
        target: target
            .map(|target| target.as_str().into())
            .unwrap_or_default(),
        minor_version: 1,
        headers: host
            .map(|host| Header::new("host", host))
            .into_iter()
            .collect(),
        body: Vec::new(),
        trailers: Vec::new(),
        complete: false,
    };
    request.headers.extend(lines(&head.headers));
    request
}

async fn answer(
    mut request: Request,
    body: RecvStream,
    mut answers: Answers,
    shared: Arc<Shared>,
    handler: Arc<Handler>,
) {
    if let Ok(trailers) = receive_body(body, &mut request.body).await {
        request.trailers = trailers;
        request.complete = true;
    }
    shared.record(request.clone());
    if !request.complete {
        return;
    }
    let head = request.method == b"HEAD";
    // A handler may wait, and panics on its own thread.
    let reply = tokio::task::spawn_blocking(move || handler(&request)).await;
    let Ok(mut reply) = reply else { return };
    if head {
        reply.body.clear();
        reply.pieces.clear();
        reply.trailers.clear();
    }
    match reply.fault {
        None | Some(Fault::Cut) => send(answers, reply),
        Some(Fault::Closed | Fault::Malformed) => {
            answers.respond.send_reset(h2::Reason::INTERNAL_ERROR);
        }
        // Until the peer gives the stream up.
        Some(Fault::Never) => {
            let _ = std::future::poll_fn(|context| answers.respond.poll_reset(context)).await;
        }
    }
}

/// Sends a body and resets the stream in the place of its end. As elsewhere, the first piece goes out
/// with the headers: a client whose answer these end could leave before it.
async fn send_cut(mut body: SendStream<Bytes>, pieces: Vec<Vec<u8>>, mut pace: Pace) {
    for piece in pieces {
        if body.send_data(piece.into(), false).is_err() {
            return;
        }
        pace.paused().await;
    }
    body.send_reset(h2::Reason::INTERNAL_ERROR);
}

/// Sends a reply; one that HTTP/2 cannot carry resets the stream.
fn send(answers: Answers, reply: Reply) {
    let Answers { mut respond, pace } = answers;
    let headers = header_map(&reply.headers);
    let (Ok(headers), Ok(trailers)) = (headers, header_map(&reply.trailers)) else {
        return respond.send_reset(h2::Reason::INTERNAL_ERROR);
    };
    let mut head = http::Response::new(());
    let Ok(status) = http::StatusCode::from_u16(reply.status) else {
        return respond.send_reset(h2::Reason::INTERNAL_ERROR);
    };
    *head.status_mut() = status;
    *head.headers_mut() = headers;
    let mut pieces = reply.pieces;
    if !reply.body.is_empty() {
        pieces.insert(0, reply.body);
    }
    let cut = reply.fault == Some(Fault::Cut);
    let end = pieces.is_empty() && trailers.is_empty();
    // A peer that is gone needs no answer.
    match respond.send_response(head, end && !cut) {
        // A reset in the same write would take the headers' place.
        Ok(body) if cut && pieces.is_empty() => {
            tokio::spawn(send_cut(body, pieces, pace));
        }
        Ok(body) if cut => {
            begin(send_cut(body, pieces, pace));
        }
        Ok(body) if !end => {
            begin_body(body, pieces, trailers, pace);
        }
        _ => {}
    }
}

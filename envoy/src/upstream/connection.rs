use std::io::Write;
use std::net::{Shutdown, TcpStream};

use super::message::{Fault, Reply, Request};
use crate::http1::{Error, Framing, Limits, Wire, send_apart};
use crate::link::Pace;

pub(super) type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// Answers the requests of one connection until it ends.
pub(super) fn serve(stream: TcpStream, number: usize, handler: &Handler, record: &dyn Fn(Request)) {
    // An error here means that the client is gone, which is its own affair.
    if let Err(error) = answer_all(&stream, number, handler, record)
        && matches!(
            error,
            Error::Syntax(_) | Error::Length { .. } | Error::TooLong { .. }
        )
    {
        let reply = Reply::new(400)
            .header("connection", "close")
            .body(format!("{error}\n"));
        let _ = (&stream).write_all(&reply.to_wire(b"GET"));
    }
    let _ = stream.shutdown(Shutdown::Both);
}

fn answer_all(
    stream: &TcpStream,
    number: usize,
    handler: &Handler,
    record: &dyn Fn(Request),
) -> Result<(), Error> {
    stream.set_nodelay(true).map_err(Error::Broken)?;
    let mut wire = Wire::new(
        stream.try_clone().map_err(Error::Broken)?,
        Limits::default(),
        None,
    );
    loop {
        let head = wire.request_head()?;
        let mut request = Request {
            connection: number,
            method: head.method,
            target: head.target,
            minor_version: head.minor_version,
            headers: head.headers,
            body: Vec::new(),
            trailers: Vec::new(),
            complete: false,
        };
        let send = |bytes: &[u8]| (&mut &*stream).write_all(bytes).map_err(Error::Broken);
        if says(&request, "expect", b"100-continue") {
            send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if request.header("upgrade").next().is_some() && names(&request, b"upgrade") {
            return tunnel(stream, &mut wire, request, handler, record);
        }
        let framing = Framing::of_request(&request.headers)?;
        let payload = wire.payload(framing)?;
        request.body = payload.body;
        request.trailers = payload.trailers;
        request.complete = payload.complete;
        record(request.clone());
        if !request.complete {
            return Ok(());
        }
        let reply = handler(&request);
        let mut pieces = reply.to_pieces(&request.method);
        // An answer without a body has nothing to cut: whoever reads it may send the next request at once.
        let bodiless = request.method == b"HEAD" || matches!(reply.status, 204 | 304);
        let fault = reply
            .fault
            .filter(|fault| *fault != Fault::Cut || !bodiless);
        match fault {
            None => {}
            Some(Fault::Closed) => return Ok(()),
            Some(Fault::Malformed) => return send(b"what is this\r\n\r\n"),
            // Whatever comes next, or the end, is the client giving up.
            Some(Fault::Never) => return wire.request_head().map(|_| ()),
            Some(Fault::Cut) => {
                pieces.pop();
            }
        }
        let parts: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        send_apart(stream, &parts).map_err(Error::Broken)?;
        if fault.is_some() {
            // What was sent and that it ends are two things.
            Pace::of(stream).pause();
            return Ok(());
        }
        let closes = reply
            .headers
            .iter()
            .any(|header| header.is("connection") && header.value.eq_ignore_ascii_case(b"close"));
        let kept = request.minor_version == 1 || says(&request, "connection", b"keep-alive");
        if closes || !kept || says(&request, "connection", b"close") {
            return Ok(());
        }
    }
}

/// Answers a request for an upgrade, and the pieces that follow it.
fn tunnel(
    stream: &TcpStream,
    wire: &mut Wire,
    mut request: Request,
    handler: &Handler,
    record: &dyn Fn(Request),
) -> Result<(), Error> {
    let send = |bytes: &[u8]| (&mut &*stream).write_all(bytes).map_err(Error::Broken);
    let reply = handler(&request);
    request.complete = true;
    let mut pace = Pace::of(stream);
    match reply.fault {
        None | Some(Fault::Cut) => {}
        fault => {
            if fault == Some(Fault::Malformed) {
                send(b"what is this\r\n\r\n")?;
            }
            if fault == Some(Fault::Never) {
                request.body = wire.rest();
            }
            record(request);
            return Ok(());
        }
    }
    if reply.status != 101 {
        record(request.clone());
        let pieces = reply.to_pieces(&request.method);
        let parts: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        return send_apart(stream, &parts).map_err(Error::Broken);
    }
    let mut talk = || -> Result<(), Error> {
        send(&reply.to_wire(&request.method))?;
        for piece in &reply.pieces {
            pace.pause();
            send(piece)?;
        }
        let closes = reply.fault == Some(Fault::Cut);
        if closes && reply.each.is_none() {
            pace.pause();
            return Ok(());
        }
        while let Some(piece) = wire.piece() {
            request.body.extend(piece);
            if let Some(answer) = &reply.each {
                send(answer)?;
                if closes {
                    pace.pause();
                    return Ok(());
                }
            }
        }
        Ok(())
    };
    let talked = talk();
    record(request);
    talked
}

/// Whether `connection` has this name among others.
fn names(request: &Request, name: &[u8]) -> bool {
    let names = |value: &[u8]| {
        let mut names = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.any(|own| own.eq_ignore_ascii_case(name))
    };
    request.header("connection").any(names)
}

fn says(request: &Request, name: &str, value: &[u8]) -> bool {
    request
        .header(name)
        .any(|found| found.eq_ignore_ascii_case(value))
}

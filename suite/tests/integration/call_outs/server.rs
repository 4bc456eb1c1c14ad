//! Servers that break off, stall or send slowly, as bytes and as the harness has them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use attache_envoy::Link;
use attache_harness::{Answer, Response, UpstreamRequest};

/// What a server does to the requests of a path, as bytes and as the harness has it.
pub(super) struct Behaviour {
    pub(super) path: &'static str,
    wire: &'static [Wire],
    response: fn() -> Response,
}

#[derive(Clone, Copy)]
pub(super) enum Wire {
    Send(&'static str),
    Wait(u64),
    Close,
    Hang,
}

use Wire::{Close, Hang, Send, Wait};

/// The paths of those that do not end their answers.
pub(super) const UNANSWERED: &[&str] = &["/never", "/stall"];

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        path: "/ok",
        wire: &[Send(
            "HTTP/1.1 200 OK\r\nX-Up: Yes\r\ncontent-length: 2\r\n\r\nok",
        )],
        response: || Response::ok().header("x-up", "Yes").body("ok"),
    },
    Behaviour {
        path: "/trailers",
        wire: &[
            Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            Send("0\r\nX-Tr: 1\r\n\r\n"),
        ],
        response: || Response::ok().chunk("abc").trailer("x-tr", "1"),
    },
    Behaviour {
        path: "/close",
        wire: &[Close],
        response: Response::closed,
    },
    Behaviour {
        path: "/garbage",
        wire: &[Send("garbage\r\n\r\n")],
        response: Response::malformed,
    },
    Behaviour {
        path: "/cut",
        wire: &[
            Send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"),
            Wait(100),
            Close,
        ],
        response: || {
            let pause = Duration::from_millis(100);
            Response::ok()
                .chunk("abc")
                .header("content-length", "10")
                .pause(pause)
                .cut()
        },
    },
    Behaviour {
        path: "/cut-chunked",
        wire: &[
            Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            Wait(100),
            Close,
        ],
        response: || {
            Response::ok()
                .chunk("abc")
                .pause(Duration::from_millis(100))
                .cut()
        },
    },
    Behaviour {
        path: "/slow",
        wire: &[
            Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"),
            Wait(80),
            Send("1\r\nb\r\n"),
            Wait(80),
            Send("0\r\n\r\n"),
        ],
        response: || {
            let pause = Duration::from_millis(80);
            Response::ok()
                .chunk("a")
                .pause(pause)
                .chunk("b")
                .pause(pause)
        },
    },
    Behaviour {
        path: "/never",
        wire: &[Hang],
        response: Response::never,
    },
    Behaviour {
        path: "/stall",
        wire: &[
            Send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"),
            Hang,
        ],
        response: || {
            Response::ok()
                .chunk("abc")
                .header("content-length", "10")
                .stall()
        },
    },
    Behaviour {
        path: "/gone",
        wire: &[Send("HTTP/1.1 204 No Content\r\n\r\n")],
        response: || Response::new(204),
    },
];

/// Serves until the process ends, a thread for each connection.
pub(super) fn serve() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || answer(connection));
        }
    });
    address
}

fn answer(mut connection: TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while connection.read(&mut byte).is_ok_and(|count| count == 1) {
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let path = text.split(' ').nth(1).unwrap_or_default();
        let behaviour = BEHAVIOURS.iter().find(|known| known.path == path);
        for wire in behaviour.map_or(&[Close][..], |known| known.wire) {
            match wire {
                Send(bytes) => connection.write_all(bytes.as_bytes()).unwrap(),
                Wait(milliseconds) => {
                    // What follows is another piece, however busy Envoy is.
                    Link::of(&connection).unwrap().clear();
                    thread::sleep(Duration::from_millis(*milliseconds));
                }
                Close => {
                    // Envoy may have gone first.
                    let _ = connection.shutdown(Shutdown::Both);
                    return;
                }
                Hang => thread::sleep(Duration::from_secs(5)),
            }
        }
        head.clear();
    }
}

/// The same for the harness.
pub(super) fn answering() -> Answer {
    Answer::with(|request: &UpstreamRequest| {
        let path = request.path();
        let behaviour = BEHAVIOURS
            .iter()
            .find(|known| known.path.as_bytes() == path);
        behaviour.map_or_else(Response::closed, |known| (known.response)())
    })
}

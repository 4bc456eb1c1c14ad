//! From a connection to its end, and what is there before and after.

use std::time::Duration;

use attache_harness::{Arrival, End, Host, HostError, Outcome, StreamId, TcpReply};

use super::{Tested, answers, calls, hello, host, watches};
use crate::guest::{guest, said};

#[test]
fn a_connection_lives_in_the_order_that_envoy_has() -> Tested {
    let filter = watches(&[]);
    let mut host = host([&filter, &filter]);
    let connection = hello(&mut host)?;
    assert_eq!(
        calls(&connection),
        "A: create, new | B: create, new | A: down 5 0 | B: down 5 0, up 6 0 | A: up 6 0, down 0 1 | \
         B: down 0 1, up 0 1, uclose 0 | A: up 0 1, uclose 0, dclose 1, done, log, delete | \
         B: dclose 1, done, log, delete"
    );
    assert_eq!(*connection.outcome(), Outcome::Completed);
    assert_eq!(connection.upstream().bytes(), b"hello");
    assert_eq!(connection.upstream().end(), End::Fin);
    assert_eq!(connection.downstream().bytes(), b"world!");
    assert_eq!(connection.downstream().end(), End::Fin);
    Ok(())
}

#[test]
fn an_upstream_may_end_first_and_downstream_then_closes() -> Tested {
    let mut host = host([&watches(&[])]);
    host.tcp_upstream(|arrival| match arrival {
        Arrival::Data(b"hello") => TcpReply::none().send_last("world!"),
        _ => TcpReply::none(),
    });
    let id = host.connect()?;
    host.send_data(id, "hello")?;
    assert_eq!(*host.connection(id)?.outcome(), Outcome::Running);
    host.send_data(id, "more")?;
    host.half_close(id)?;
    let connection = host.connection(id)?;
    assert_eq!(
        calls(&connection),
        "A: create, new, down 5 0, up 6 1, uclose 0, down 4 0, down 0 1, dclose 2, done, log, delete"
    );
    assert_eq!(
        connection.upstream().chunks(),
        [b"hello".to_vec(), b"more".to_vec()]
    );
    Ok(())
}

#[test]
fn an_upstream_speaks_first_if_it_likes_and_takes_its_time() -> Tested {
    let mut host = host([&watches(&[])]);
    host.tcp_upstream(|arrival| match arrival {
        Arrival::Connection => TcpReply::none()
            .send("220 ready")
            .after(Duration::from_millis(50))
            .send("tick"),
        _ => TcpReply::none(),
    });
    let id = host.connect()?;
    assert_eq!(host.connection(id)?.downstream().bytes(), b"220 ready");
    host.advance(Duration::from_millis(49))?;
    assert_eq!(host.connection(id)?.downstream().bytes(), b"220 ready");
    host.advance(Duration::from_millis(1))?;
    assert_eq!(host.connection(id)?.downstream().bytes(), b"220 readytick");
    Ok(())
}

#[test]
fn resets_and_refusals_are_told_as_closes_alone() -> Tested {
    let filter = watches(&[]);
    let mut resets = host([&filter]);
    resets.tcp_upstream(|arrival| match arrival {
        Arrival::Data(_) => TcpReply::none().reset(),
        _ => TcpReply::none(),
    });
    let id = resets.connect()?;
    resets.send_data(id, "hello")?;
    let connection = resets.connection(id)?;
    assert_eq!(
        calls(&connection),
        "A: create, new, down 5 0, dclose 1, done, log, delete"
    );
    assert_eq!(connection.downstream().end(), End::Reset);
    assert_eq!(*connection.outcome(), Outcome::Reset);

    let mut refuses = host([&filter]);
    refuses.tcp_upstream(|_| TcpReply::refuse());
    let id = refuses.connect()?;
    let connection = refuses.connection(id)?;
    assert_eq!(
        calls(&connection),
        "A: create, new, dclose 1, done, log, delete"
    );
    assert_eq!(
        connection.upstream().end(),
        End::Open,
        "it never was connected"
    );

    let mut aborted = host([&filter]);
    let id = aborted.connect()?;
    aborted.send_data(id, "hello")?;
    aborted.disconnect(id)?;
    let connection = aborted.connection(id)?;
    assert_eq!(
        calls(&connection),
        "A: create, new, down 5 0, up 6 0, dclose 2, done, log, delete"
    );
    assert_eq!(connection.upstream().end(), End::Reset);
    Ok(())
}

#[test]
fn access_loggers_of_a_tcp_chain_log_when_the_filters_are_done() -> Tested {
    let logs = guest().on(
        "log",
        "(call $tell (call $get_header_map_value (i32.const 0) s(:path) ret))
         (call $tell (call $set_property s(k) s(v)))
         (call $tell (call $get_property s(k) ret))",
    );
    let keeps = watches(&[(
        "downstream_data",
        "(drop (call $set_property s(k) s(kept))) i32.const 0",
    )]);
    let mut host = Host::builder()
        .tcp_chain("tcp", [keeps.plugin("A")])
        .tcp_access_loggers("tcp", [logs.plugin("L")])
        .start()?;
    let connection = hello(&mut host)?;
    assert!(
        calls(&connection).ends_with("dclose 1, done, log, delete | L: log"),
        "{}",
        calls(&connection)
    );
    assert_eq!(said(connection.log()), ["1", "-", "1", "-", "0", "kept"]);
    Ok(())
}

#[test]
fn a_connection_is_known_until_it_is_taken() -> Tested {
    let mut host = host([&watches(&[])]);
    let connection = hello(&mut host)?;
    let id: StreamId = connection.id();
    assert_eq!(host.take_connection(id)?.downstream().bytes(), b"world!");
    let error = host.connection(id).unwrap_err();
    assert!(matches!(error, HostError::UnknownStream { .. }), "{error}");
    Ok(())
}

#[test]
fn each_worker_has_filters_of_its_own() -> Tested {
    let counts = watches(&[("new_connection", "(call $say (local.get $ctx)) i32.const 0")]);
    let mut host = Host::builder()
        .tcp_chain("tcp", [counts.plugin("A")])
        .workers(2)
        .start()?;
    for worker in [0, 1, 1] {
        host.connect_to_worker(worker)?;
    }
    assert_eq!(said(host.log()), ["2", "2", "3"]);
    let error = host.connect_to_worker(2).unwrap_err();
    assert!(matches!(error, HostError::UnknownWorker { .. }), "{error}");
    Ok(())
}

#[test]
fn downstream_sends_nothing_after_its_end() -> Tested {
    let mut host = host([&watches(&[("downstream_data", "i32.const 1")])]);
    let id = host.connect()?;
    host.half_close(id)?;
    host.half_close(id)?;
    host.send_data(id, "late")?;
    assert_eq!(calls(&host.connection(id)?), "A: create, new, down 0 1");
    Ok(())
}

/// Seen at a SIGTERM.
#[test]
fn connections_end_before_the_roots_of_their_worker() -> Tested {
    let mut host = host([&watches(&[("done", "(call $text s(done)) i32.const 1")])]);
    let id = host.connect()?;
    host.shut_down()?;
    let connection = host.connection(id)?;
    assert_eq!(
        calls(&connection),
        "A: create, new, dclose 1, done, log, delete"
    );
    assert_eq!(said(connection.log()), ["done"]);
    assert_eq!(
        said(host.log()),
        ["done"; 3],
        "the stream, the worker, the main thread"
    );
    Ok(())
}

#[test]
fn access_loggers_write_of_the_connections_that_a_shutdown_ends() -> Tested {
    let mut host = Host::builder()
        .tcp_chain("tcp", [watches(&[]).plugin("A")])
        .tcp_access_loggers(
            "tcp",
            [guest().on("log", "(call $text s(logged))").plugin("L")],
        )
        .start()?;
    host.tcp_upstream(answers);
    let id = host.connect()?;
    host.shut_down()?;
    assert_eq!(said(host.connection(id)?.log()), ["logged"]);
    Ok(())
}

#[test]
fn a_connection_keeps_the_filter_that_it_began_with() -> Tested {
    let says = |text: &str| {
        watches(&[
            (
                "downstream_data",
                &format!("(call $text s({text})) i32.const 0"),
            ),
            ("delete", &format!("(call $text s({text} gone))")),
        ])
    };
    let mut host = host([&says("old")]);
    let before = host.connect()?;
    host.reload("A", says("new").plugin("A"))?;
    let after = host.connect()?;
    for id in [before, after] {
        host.send_data(id, "hello")?;
    }
    assert_eq!(said(host.connection(before)?.log()), ["old"]);
    assert_eq!(said(host.connection(after)?.log()), ["new"]);
    host.disconnect(before)?;
    let gone = said(host.log())
        .iter()
        .filter(|line| **line == "old gone")
        .count();
    assert_eq!(
        gone, 3,
        "the main thread's root, the stream, and then the worker's root"
    );
    Ok(())
}

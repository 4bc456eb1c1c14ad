//! Every order here was seen on Envoy 1.40, with the same guests in front of its TCP proxy.

use std::time::Duration;

use attache_harness::{
    Arrival, Connection, End, Event, FailurePolicy, Host, HostError, LintKind, Outcome, Plugin,
    StreamId, TcpReply,
};

use crate::guest::{Guest, guest, said, short};

type Tested = Result<(), HostError>;

/// A guest that exports every callback of a connection and lets everything pass, but for what the
/// callbacks in `others` do.
fn watches(others: &[(&str, &str)]) -> Guest {
    let idle = [
        ("context_create", ""),
        ("new_connection", "i32.const 0"),
        ("downstream_data", "i32.const 0"),
        ("upstream_data", "i32.const 0"),
        ("downstream_connection_close", ""),
        ("upstream_connection_close", ""),
        ("done", "i32.const 1"),
        ("log", ""),
        ("delete", ""),
    ];
    let idle = idle
        .iter()
        .filter(|(callback, _)| others.iter().all(|(other, _)| other != callback));
    idle.chain(others)
        .fold(guest(), |guest, (callback, body)| guest.on(callback, body))
}

fn host<const N: usize>(guests: [&Guest; N]) -> Host {
    let plugin = |(at, guest): (usize, &&Guest)| guest.plugin(["A", "B", "C"][at]);
    started(guests.iter().enumerate().map(plugin))
}

fn started(plugins: impl IntoIterator<Item = Plugin>) -> Host {
    let mut host = Host::builder()
        .tcp_chain("tcp", plugins)
        .start()
        .expect("the guests start");
    host.tcp_upstream(answers);
    host
}

/// Answers the first bytes, and ends when downstream does.
fn answers(arrival: Arrival<'_>) -> TcpReply {
    match arrival {
        Arrival::Data(_) => TcpReply::none().send("world!"),
        Arrival::End => TcpReply::none().end(),
        _ => TcpReply::none(),
    }
}

/// Downstream says hello, and ends its side.
fn hello(host: &mut Host) -> Result<Connection, HostError> {
    let id = host.connect()?;
    host.send_data(id, "hello")?;
    host.half_close(id)?;
    host.connection(id)
}

/// The callbacks with what follows the context: `A: down 5 0`, those of one plugin in a row.
fn calls(connection: &Connection) -> String {
    let mut shown = String::new();
    let mut last = String::new();
    for event in connection.timeline().events() {
        let Event::Callback {
            plugin,
            name,
            arguments,
        } = event
        else {
            continue;
        };
        if last == **plugin {
            shown.push_str(", ");
        } else {
            let separator = if last.is_empty() { "" } else { " | " };
            shown.push_str(&format!("{separator}{plugin}: "));
            last = plugin.to_string();
        }
        shown.push_str(&short(name));
        let rest = arguments
            .iter()
            .skip(1)
            .filter(|_| *name != "proxy_on_context_create");
        rest.for_each(|argument| shown.push_str(&format!(" {argument}")));
    }
    shown
}

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

/// Tells what buffers 2 and 3 show.
const TELL: &str = "
    (call $tell (call $get_buffer_bytes (i32.const 2) (i32.const 0) (i32.const 99) ret))
    (call $tell (call $get_buffer_bytes (i32.const 3) (i32.const 0) (i32.const 99) ret))";

#[test]
fn paused_data_comes_again_with_what_follows_to_every_filter() -> Tested {
    let waits = format!("{TELL} (i32.lt_u (local.get $n) (i32.const 8))");
    let mut host = host([
        &watches(&[]),
        &watches(&[("downstream_data", &waits), ("upstream_data", &waits)]),
        &watches(&[]),
    ]);
    host.tcp_upstream(|arrival| match arrival {
        Arrival::Data(_) => TcpReply::none().send("first").send("second"),
        _ => TcpReply::none(),
    });
    let id = host.connect()?;
    host.send_data(id, "hello")?;
    let held = host.connection(id)?;
    assert!(held.upstream().bytes().is_empty());
    assert!(
        matches!(held.outcome(), Outcome::Paused { plugin, .. } if plugin == "B"),
        "{}",
        held.outcome()
    );
    host.send_data(id, "more")?;
    let connection = host.connection(id)?;
    assert_eq!(
        calls(&connection)
            .split_once("C: create, new | ")
            .map(|(_, calls)| calls),
        Some(
            "A: down 5 0 | B: down 5 0 | A: down 9 0 | B: down 9 0 | C: down 9 0, up 5 0 | \
             B: up 5 0 | C: up 11 0 | B: up 11 0 | A: up 11 0"
        )
    );
    assert_eq!(connection.downstream().chunks(), [b"firstsecond".to_vec()]);
    assert_eq!(
        said(connection.log()),
        [
            "0",
            "hello",
            "0",
            "null",
            "0",
            "hellomore",
            "0",
            "null",
            "0",
            "null",
            "0",
            "first",
            "0",
            "null",
            "0",
            "firstsecond"
        ]
    );
    Ok(())
}

#[test]
fn data_may_be_changed_in_its_own_callback_and_not_in_the_other() -> Tested {
    let change = |buffer: u32, other: u32| {
        format!(
            "(call $say (call $set_buffer_bytes (i32.const {buffer}) (i32.const 0) (i32.const 0) s(<)))
             (call $say (call $set_buffer_bytes (i32.const {buffer}) (i32.const 99) (i32.const 0) s(>)))
             (call $say (call $set_buffer_bytes (i32.const {buffer}) (i32.const 1) (i32.const 1) s(x)))
             (call $say (call $set_buffer_bytes (i32.const {other}) (i32.const 0) (i32.const 0) s(x)))
             i32.const 0"
        )
    };
    let changes = watches(&[
        ("downstream_data", &change(2, 3)),
        ("upstream_data", &change(3, 2)),
    ]);
    let mut host = host([&changes]);
    let connection = hello(&mut host)?;
    assert_eq!(said(connection.log()).concat(), "0022".repeat(5));
    assert_eq!(
        connection.upstream().chunks(),
        [b"<hello>".to_vec(), b"<>".to_vec()],
        "the end comes with an empty piece, to which bytes can be added"
    );
    assert_eq!(
        connection.downstream().bytes(),
        b"<world!><world!><>",
        "the bytes that were added are answered too"
    );
    Ok(())
}

/// A guest that does something in its first tick after a connection came.
fn in_tick(body: &str, pauses: &str) -> Guest {
    let others = [
        (
            "configure",
            "(drop (call $set_tick_period_milliseconds (i32.const 100))) i32.const 1",
        ),
        (
            "tick",
            &format!(
                "(if (global.get $connection) (then
               (drop (call $set_effective_context (global.get $connection)))
               (global.set $connection (i32.const 0)) {body}))"
            ),
        ),
        (
            "new_connection",
            &format!(
                "(global.set $connection (local.get $ctx)) i32.const {}",
                u32::from(pauses == "new_connection")
            ),
        ),
    ];
    let mut others: Vec<(&str, &str)> = others
        .iter()
        .map(|(name, body)| (*name, &body[..]))
        .collect();
    if pauses != "new_connection" {
        others.push((pauses, "i32.const 1"));
    }
    watches(&others).with("(global $connection (mut i32) (i32.const 0))")
}

const CONTINUE: &str = "(call $say (call $continue_stream (i32.const 2)))";

#[test]
fn a_new_connection_that_is_held_reads_nothing_until_it_is_continued() -> Tested {
    let waits = in_tick(CONTINUE, "new_connection");
    let mut host = host([&watches(&[]), &waits, &watches(&[])]);
    let id = host.connect()?;
    host.send_data(id, "hello")?;
    assert_eq!(
        calls(&host.connection(id)?),
        "A: create, new | B: create, new"
    );
    host.advance(Duration::from_millis(100))?;
    let connection = host.connection(id)?;
    assert_eq!(
        calls(&connection),
        "A: create, new | B: create, new | C: create, new | A: down 5 0 | B: down 5 0 | \
         C: down 5 0, up 6 0 | B: up 6 0 | A: up 6 0"
    );
    assert_eq!(*connection.outcome(), Outcome::Running);
    Ok(())
}

#[test]
fn continue_stream_passes_what_was_read_from_downstream_to_the_filters_behind() -> Tested {
    let set =
        "(call $say (call $set_buffer_bytes (i32.const 2) (i32.const 0) (i32.const 2) s(JJ)))";
    let waits = in_tick(&format!("{set} {CONTINUE}"), "downstream_data");
    let mut host = host([&watches(&[]), &waits, &watches(&[])]);
    let id = host.connect()?;
    host.send_data(id, "hello")?;
    host.advance(Duration::from_millis(100))?;
    let connection = host.connection(id)?;
    assert!(
        calls(&connection)
            .ends_with("A: down 5 0 | B: down 5 0 | C: down 5 0, up 6 0 | B: up 6 0 | A: up 6 0"),
        "{}",
        calls(&connection)
    );
    assert_eq!(connection.upstream().bytes(), b"JJllo");
    assert_eq!(said(&host.log()[..2]), ["0", "0"]);
    Ok(())
}

/// Nothing moves data of an upstream on but more of it.
#[test]
fn continue_stream_of_the_upstream_is_not_implemented() -> Tested {
    let waits = in_tick(
        &format!("(call $say (call $continue_stream (i32.const 3))) {CONTINUE}"),
        "upstream_data",
    );
    let mut host = host([&waits]);
    let id = host.connect()?;
    host.send_data(id, "hello")?;
    host.advance(Duration::from_millis(100))?;
    assert_eq!(said(host.log()), ["12", "0"]);
    host.half_close(id)?;
    let connection = host.connection(id)?;
    assert_eq!(
        calls(&connection),
        "A: create, new, down 5 0, up 6 0, down 0 1, up 6 1, uclose 0, dclose 1, done, log, delete"
    );
    assert!(connection.downstream().bytes().is_empty());
    let lints = connection.exchange().lints();
    assert_eq!(lints[0].kind, LintKind::UpstreamEndHeld, "{lints:?}");
    Ok(())
}

/// What is continued in a callback that also returns Continue runs twice over the filters behind:
/// data is gone by then, the end is told again.
#[test]
fn continue_stream_inside_of_a_data_callback_repeats_the_end() -> Tested {
    let body = format!("{CONTINUE} i32.const 0");
    let mut host = host([&watches(&[("downstream_data", &body)]), &watches(&[])]);
    let connection = hello(&mut host)?;
    assert!(
        calls(&connection).contains("A: down 5 0 | B: down 5 0, up 6 0 | A: up 6 0, down 0 1 | B: down 0 1, down 0 1, up 0 1"),
        "{}",
        calls(&connection)
    );
    let lints = connection.exchange().lints();
    assert_eq!(lints[0].kind, LintKind::EndToldTwice, "{lints:?}");
    Ok(())
}

#[test]
fn close_stream_closes_at_once_and_nothing_passes_any_more() -> Tested {
    let whole = "dclose 1, done, log, delete";
    for (stream, callback, expected) in [
        (
            2,
            "new_connection",
            format!("A: create, new | B: create, new | A: {whole} | B: {whole}"),
        ),
        (
            3,
            "downstream_data",
            format!(
                "A: create, new | B: create, new | C: create, new | A: down 5 0 | B: down 5 0 | \
             A: {whole} | B: {whole} | C: {whole}"
            ),
        ),
        (
            2,
            "upstream_data",
            format!(
                "A: create, new | B: create, new | C: create, new | A: down 5 0 | B: down 5 0 | \
             C: down 5 0, up 6 0 | B: up 6 0 | A: {whole} | B: {whole} | C: {whole}"
            ),
        ),
    ] {
        let body = format!("(call $say (call $close_stream (i32.const {stream}))) i32.const 0");
        let closes = watches(&[(callback, &body)]);
        let mut host = host([&watches(&[]), &closes, &watches(&[])]);
        let connection = hello(&mut host)?;
        assert_eq!(calls(&connection), expected);
        assert_eq!(said(connection.log()), ["0"]);
        assert_eq!(*connection.outcome(), Outcome::Reset);
        assert!(connection.downstream().bytes().is_empty());
    }
    Ok(())
}

#[test]
fn calls_that_belong_to_http_do_nothing_and_those_at_the_end_neither() -> Tested {
    let calls_made = "
        (call $say (call $send_local_response (i32.const 500) s() s() s() s() (i32.const -1)))
        (call $say (call $continue_stream (i32.const 0)))
        (call $say (call $continue_stream (i32.const 1)))
        (call $say (call $continue_stream (i32.const 4)))
        (call $say (call $close_stream (i32.const 0)))
        (call $say (call $close_stream (i32.const 1)))
        (call $say (call $close_stream (i32.const 4)))
        (call $say (call $get_header_map_value (i32.const 0) s(:path) ret))";
    let body = calls_made.replace("s() s() s() s()", "s() s() s()");
    let at_end = format!("{body} (call $say (call $close_stream (i32.const 2))) {CONTINUE}");
    let filter = watches(&[
        ("downstream_data", &format!("{body} i32.const 0")),
        ("done", &format!("{at_end} i32.const 1")),
        ("log", &at_end),
        ("delete", &at_end),
    ]);
    let mut host = host([&filter]);
    let connection = hello(&mut host)?;
    let answers = "0 0 0 2 0 0 2 2";
    let expected = format!("{answers} {answers} {answers} 0 0 {answers} 0 0 {answers} 0 0");
    assert_eq!(said(connection.log()).join(" "), expected);
    assert_eq!(connection.downstream().bytes(), b"world!");
    Ok(())
}

#[test]
fn a_trap_closes_the_connection_and_the_following_ones() -> Tested {
    let traps = watches(&[("downstream_data", "unreachable")]);
    let mut host = host([&watches(&[]), &traps, &watches(&[])]);
    let first = hello(&mut host)?;
    assert_eq!(
        calls(&first),
        "A: create, new | B: create, new | C: create, new | A: down 5 0 | B: down 5 0 | \
         A: dclose 1, done, log, delete | C: dclose 1, done, log, delete"
    );
    assert_eq!(*first.outcome(), Outcome::Reset);
    let second = hello(&mut host)?;
    assert_eq!(
        calls(&second),
        "A: create, new, dclose 1, done, log, delete"
    );
    Ok(())
}

#[test]
fn failure_policies_hold_for_connections_too() -> Tested {
    let traps = watches(&[("new_connection", "unreachable")]);
    let with = |policy| started([traps.plugin("A").failure_policy(policy)]);

    let mut open = with(FailurePolicy::FailOpen);
    assert_eq!(calls(&hello(&mut open)?), "A: create, new");
    let second = hello(&mut open)?;
    assert_eq!(
        (calls(&second).as_str(), second.downstream().bytes()),
        ("", b"world!".to_vec())
    );

    let mut old = with(FailurePolicy::DeprecatedFailOpen);
    let first = hello(&mut old)?;
    assert_eq!(calls(&first), "A: create, new");
    assert_eq!(first.downstream().bytes(), b"world!");

    let mut reload = with(FailurePolicy::FailReload);
    reload.advance(Duration::from_secs(2))?;
    for expected in ["A: create, new", "A: create, new", ""] {
        assert_eq!(calls(&hello(&mut reload)?), expected);
    }
    Ok(())
}

#[test]
fn a_trap_elsewhere_closes_a_connection_at_its_next_data() -> Tested {
    let traps = in_tick("unreachable", "upstream_data");
    let mut host = host([&traps]);
    let id = host.connect()?;
    host.advance(Duration::from_millis(100))?;
    assert_eq!(*host.connection(id)?.outcome(), Outcome::Running);
    host.send_data(id, "hello")?;
    let connection = host.connection(id)?;
    assert_eq!(*connection.outcome(), Outcome::Reset);
    assert!(connection.upstream().bytes().is_empty());
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
fn the_buffer_limit_stops_the_reading_of_what_a_filter_holds() -> Tested {
    let holds = watches(&[("downstream_data", "i32.const 1")]);
    let mut host = Host::builder()
        .tcp_chain("tcp", [holds.plugin("A")])
        .buffer_limit(8)
        .start()?;
    let id = host.connect()?;
    host.send_data(id, "0123456789")?;
    host.send_data(id, "abc")?;
    assert_eq!(calls(&host.connection(id)?), "A: create, new, down 8 0");
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

/// Seen on Envoy 1.40.
#[test]
fn buffer_8_shows_what_is_held_now() -> Tested {
    let read = |buffer: u32| {
        format!(
            "(call $tell (call $get_buffer_bytes (i32.const {buffer}) (i32.const 0) (i32.const 99) ret))"
        )
    };
    for (callback, buffer, shown) in [
        ("downstream_data", 2, "hello"),
        ("upstream_data", 3, "world!"),
    ] {
        let holds = format!("{} i32.const 1", read(buffer));
        let held = watches(&[(callback, &holds), ("log", &read(8))]);
        let mut host = host([&held]);
        let id = host.connect()?;
        host.send_data(id, "hello")?;
        host.disconnect(id)?;
        assert_eq!(said(host.connection(id)?.log()), ["0", shown, "0", shown]);
    }
    Ok(())
}

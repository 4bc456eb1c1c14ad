//! `proxy_continue_stream`, `proxy_close_stream`, and the calls that do nothing here.

use std::time::Duration;

use attache_harness::{End, LintKind, Outcome};

use super::{Tested, calls, hello, host, in_tick, watches};
use crate::guest::said;

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

/// Seen on Envoy 1.40.
#[test]
fn a_reset_of_a_connection_that_is_held_is_noticed_when_the_upstream_is_connected() -> Tested {
    let waits = in_tick(CONTINUE, "new_connection");
    let mut host = host([&waits, &watches(&[])]);
    let id = host.connect()?;
    host.disconnect(id)?;
    assert_eq!(calls(&host.connection(id)?), "A: create, new");
    host.advance(Duration::from_millis(100))?;
    let connection = host.connection(id)?;
    assert_eq!(
        calls(&connection),
        "A: create, new | B: create, new | A: dclose 2, done, log, delete | \
         B: dclose 2, done, log, delete"
    );
    assert_eq!(connection.upstream().end(), End::Reset);
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

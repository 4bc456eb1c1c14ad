//! What filters see of data, hold and change.

use attache_harness::{Arrival, Host, Outcome, TcpReply};

use super::{Tested, calls, hello, host, watches};
use crate::guest::said;

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

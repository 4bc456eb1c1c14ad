//! What a trap does to connections.

use std::time::Duration;

use attache_harness::{FailurePolicy, Outcome};

use super::{Tested, calls, hello, host, in_tick, started, watches};

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

//! Every order here was seen on Envoy 1.40, with the same guests in front of its TCP proxy.

mod control;
mod data;
mod failures;
mod lives;

use attache_harness::{Arrival, Connection, Event, Host, HostError, Plugin, TcpReply};

use crate::guest::{Guest, guest, short};

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

//! Exchanges and timelines as JSON, for tools and for snapshots.
//!
//! Bytes are a string where they are UTF-8, and `{"base64": "…"}` where they are not. Names and
//! values are lists of two, because names repeat.

use serde_json::{Value, json};

use crate::base64::base64;
use crate::calls::CallOut;
use crate::exchange::{Exchange, LocalReply, Message, Outcome};
use crate::lints::Lint;
use crate::timeline::{Argument, Event, HostCall, LogLine, Timeline};

/// The version of both shapes; it goes up when a reader of the old shape would go wrong.
const VERSION: u32 = 1;

impl Timeline {
    /// The timeline as JSON: `{"version": 1, "dropped": 0, "events": […]}`.
    ///
    /// An event has a member `event`, which says what else it has:
    ///
    /// | `event` | others |
    /// |---|---|
    /// | `callback` | `plugin`, `name`, `arguments` (numbers) |
    /// | `host_call` | `name`, `arguments`; `status` with `code` and `name`, or `errno` for WASI, or neither after a trap; `returned` where something was handed out |
    /// | `returned` | `name`, `result` |
    /// | `lint` | `lint` (its name), `plugin`, `what`, `why`, `instead`, `reference` |
    /// | `note` | `text` |
    ///
    /// Arguments are numbers, bytes, or lists of pairs. Bytes are a string where they are UTF-8 and
    /// `{"base64": "…"}` where they are not. `dropped` counts events that were not kept.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "version": VERSION,
            "dropped": self.dropped(),
            "events": self.events().map(event).collect::<Vec<_>>(),
        })
    }
}

impl Exchange {
    /// The exchange as JSON: `version`, `outcome`, `upstream_request`, `response`, `local_reply`,
    /// `details`, `flags`, `calls`, `log`, `lints`, `cost` and `timeline`; null what is not.
    ///
    /// A message has `headers`, `body` and `trailers`; the shape of the rest follows the accessors
    /// and [`Timeline::to_json`].
    #[must_use]
    pub fn to_json(&self) -> Value {
        let cost = self.cost();
        json!({
            "version": VERSION,
            "outcome": outcome(self.outcome()),
            "upstream_request": self.try_upstream_request().map(|request| message(request)),
            "response": self.try_response().map(|response| message(response)),
            "local_reply": self.local_reply().map(local_reply),
            "details": self.details(),
            "flags": self.flags().to_string(),
            "calls": self.calls().iter().map(call_out).collect::<Vec<_>>(),
            "log": self.log().iter().map(log_line).collect::<Vec<_>>(),
            "lints": self.lints().iter().map(lint).collect::<Vec<_>>(),
            "cost": {
                "fuel": cost.fuel,
                "crossings": cost.crossings,
                "host_calls": cost.host_calls,
                "bytes_copied": cost.bytes_copied,
            },
            "timeline": self.timeline().to_json(),
        })
    }
}

fn event(event: &Event) -> Value {
    match event {
        Event::Callback {
            plugin,
            name,
            arguments,
        } => json!({
            "event": "callback", "plugin": &**plugin, "name": name, "arguments": &**arguments,
        }),
        Event::HostCall(call) => host_call(call),
        Event::Returned { name, result } => {
            json!({ "event": "returned", "name": name, "result": result })
        }
        Event::Lint(told) => {
            let mut value = lint(told);
            value["event"] = "lint".into();
            value
        }
        Event::Note(note) => json!({ "event": "note", "text": note.to_string() }),
    }
}

fn host_call(call: &HostCall) -> Value {
    let arguments = call.arguments.iter().map(argument);
    let mut value = json!({
        "event": "host_call",
        "name": call.name,
        "arguments": arguments.collect::<Vec<_>>(),
    });
    if let Some(status) = call.status {
        value["status"] = json!({ "code": status.code(), "name": format!("{status:?}") });
    }
    if let Some(errno) = call.errno {
        value["errno"] = errno.into();
    }
    if let Some(returned) = &call.returned {
        value["returned"] = argument(returned);
    }
    value
}

fn argument(argument: &Argument) -> Value {
    match argument {
        Argument::Number(number) => json!(number),
        Argument::Bytes(data) => bytes(data),
        Argument::Pairs(list) => pairs(list.iter().map(|(name, value)| (&name[..], &value[..]))),
    }
}

fn lint(lint: &Lint) -> Value {
    json!({
        "lint": lint.kind.name(),
        "plugin": lint.plugin,
        "what": lint.what,
        "why": lint.kind.why(),
        "instead": lint.kind.instead(),
        "reference": lint.kind.reference(),
    })
}

fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Completed => json!("completed"),
        Outcome::Reset => json!("reset"),
        Outcome::Running => json!("running"),
        Outcome::Paused { direction, plugin } => json!({
            "paused": { "direction": direction.to_string(), "plugin": plugin },
        }),
    }
}

fn message(message: &Message) -> Value {
    json!({
        "headers": pairs(message.headers().iter()),
        "body": bytes(&message.body()),
        "trailers": message.trailers().map(|trailers| pairs(trailers.iter())),
    })
}

fn local_reply(reply: &LocalReply) -> Value {
    json!({
        "status": reply.status,
        "body": bytes(&reply.body),
        "details": reply.details,
        "plugin": reply.plugin,
    })
}

fn call_out(call: &CallOut) -> Value {
    json!({
        "kind": call.kind().to_string(),
        "plugin": call.plugin(),
        "cluster": call.cluster(),
        "token": call.token(),
        "request": message(call.request()),
    })
}

fn log_line(line: &LogLine) -> Value {
    json!({
        "level": line.level.to_string(),
        "prefix": line.prefix,
        "message": line.message,
    })
}

fn pairs<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Value {
    let pair = |(name, value)| Value::Array(vec![bytes(name), bytes(value)]);
    Value::Array(pairs.map(pair).collect())
}

fn bytes(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": base64(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_where_they_can() {
        assert_eq!(bytes("ü".as_bytes()), json!("ü"));
        assert_eq!(bytes(b"\xff"), json!({ "base64": "/w==" }));
    }
}

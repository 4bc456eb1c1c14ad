//! A host that refuses some of the changes to headers.

use super::*;
use crate::config::ConfigError;
use crate::filter::{Configured, HttpFilter};
use crate::host::double::{self, Answer as HostAnswer};
use crate::kind::Http;
use crate::mode::Streaming;
use crate::next::Next;
use crate::pairs;
use crate::plugin::Plugin;
use crate::request::Request;
use crate::response::Response;

const READ: &str = "proxy_get_header_map_pairs";
const ADD: &str = "proxy_add_header_map_value";
const REMOVE: &str = "proxy_remove_header_map_value";
const REPLACE: &str = "proxy_replace_header_map_value";
const REPLY: &str = "proxy_send_local_response";

/// Changes three headers, after a look at them or without.
struct Changes {
    looks: bool,
    failure_mode: FailureMode,
}

impl HttpFilter for Changes {
    type Config = ();

    fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(changes(true, FailureMode::Deny))
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        if self.looks {
            let _ = request.headers().contains("x-one");
        }
        let headers = request.headers_mut();
        headers.remove("x-two");
        headers.insert("x-one", 1);
        headers.append("x-new", 1);
        next.run(request).await
    }

    fn failure_mode(&self) -> FailureMode {
        self.failure_mode
    }
}

fn changes(looks: bool, failure_mode: FailureMode) -> Changes {
    Changes {
        looks,
        failure_mode,
    }
}

/// Shows a request to the filter, with a host that answers its first writes so, and all that follows
/// with success.
fn play(filter: impl HttpFilter, writes: &[u32]) -> (Action, Vec<&'static str>) {
    let pairs: [(&[u8], &[u8]); 4] = [
        (b":path", b"/"),
        (b"x-one", b"0"),
        (b"x-two", b"a"),
        (b"x-two", b"b"),
    ];
    let answers = writes.iter().map(|&status| HostAnswer::status(status));
    double::answer(answers.chain([HostAnswer::ok()]));
    let read = HostAnswer::bytes(pairs::serialize(&pairs).unwrap());
    double::answer_to(READ, read);
    double::answer_to("proxy_log", HostAnswer::ok());
    double::answer_to("proxy_define_metric", HostAnswer::ok());
    double::answer_to("proxy_increment_metric", HostAnswer::ok());
    double::answer_to(REPLY, HostAnswer::ok());
    double::answer_to("proxy_set_effective_context", HostAnswer::ok());
    let filter: Configured<_, Http<Streaming>> = Configured::new(filter, "changes");
    let stream = Stream::new(1, 2, Rc::new(filter));
    let action = stream.callback(Direction::Request, Event::Headers { is_last: true });
    let about = [ADD, REMOVE, REPLACE, REPLY];
    let mut calls = double::calls();
    calls.retain(|call| about.contains(call));
    (action, calls)
}

#[test]
fn what_was_written_is_taken_back_before_the_request_goes_on_untouched() {
    let allowed = |writes: &[u32]| play(changes(true, FailureMode::Allow), writes);
    // What the refused call was for stays as it is; the values of x-two, which is gone, come back.
    assert_eq!(allowed(&[10]), (Action::Continue, vec![REPLACE]));
    let (action, calls) = allowed(&[0, 10]);
    assert_eq!(action, Action::Continue);
    assert_eq!(calls, [REPLACE, REMOVE, REPLACE]);
    let (action, calls) = allowed(&[0, 0, 10]);
    assert_eq!(action, Action::Continue);
    assert_eq!(calls, [REPLACE, REMOVE, REPLACE, REPLACE, REMOVE, ADD, ADD]);
    let made = double::made();
    let added: Vec<&[u8]> = made
        .iter()
        .filter(|call| call.name == ADD)
        .map(|call| call.bytes.as_slice())
        .collect();
    assert_eq!(added, [b"a", b"b"]);
}

#[test]
fn a_request_that_stays_half_changed_is_denied_whatever_the_failure_mode() {
    let (action, calls) = play(changes(true, FailureMode::Allow), &[0, 0, 10, 0, 0, 10]);
    assert_eq!(action, Action::Pause);
    assert_eq!(calls.last(), Some(&REPLY));
    // What was never read cannot be taken back.
    let (action, calls) = play(changes(false, FailureMode::Allow), &[0, 10]);
    assert_eq!((action, calls.last()), (Action::Pause, Some(&REPLY)));
    // Nothing was written.
    let (action, calls) = play(changes(false, FailureMode::Allow), &[10]);
    assert_eq!((action, calls.len()), (Action::Continue, 1));
}

#[test]
fn whatever_is_refused_denies_unless_failures_are_allowed() {
    for refused in 0..3 {
        let mut writes = vec![0; refused];
        writes.push(4711);
        let (action, calls) = play(changes(true, FailureMode::Deny), &writes);
        assert_eq!((action, calls.last()), (Action::Pause, Some(&REPLY)));
    }
}

/// Writes a header whose name or value is none.
struct Misfit {
    place: Place,
    name: &'static str,
    value: &'static str,
}

#[derive(Clone, Copy)]
enum Place {
    Insert,
    Append,
    Reply,
    InsertIntoReply,
}

impl HttpFilter for Misfit {
    type Config = ();

    fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self {
            place: Place::Insert,
            name: "",
            value: "",
        })
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        let (name, value) = (self.name, self.value);
        match self.place {
            Place::Insert => request.headers_mut().insert(name, value),
            Place::Append => request.headers_mut().append(name, value),
            Place::Reply => {
                let reply = LocalReply::new(StatusCode::OK).header(name, value);
                return Ok(reply.header("x-good", 2).into());
            }
            Place::InsertIntoReply => {
                let mut reply = Response::local(StatusCode::FORBIDDEN, "no");
                reply.headers_mut().insert(name, value);
                return Ok(reply);
            }
        }
        next.run(request).await
    }

    fn failure_mode(&self) -> FailureMode {
        match self.place {
            Place::Reply | Place::InsertIntoReply => FailureMode::Allow,
            _ => FailureMode::Deny,
        }
    }
}

fn write(place: Place, name: &'static str, value: &'static str) -> (Action, Vec<&'static str>) {
    play(Misfit { place, name, value }, &[])
}

#[test]
fn a_name_or_a_value_that_is_none_fails_the_filter() {
    let names = ["", "x y", "x:y", ":path", "x\r\ny", "\u{e9}"].map(|name| (name, "1"));
    let values = ["a\r\nb: c", "\n", "\0", "\u{7f}"].map(|value| ("x-good", value));
    for (name, value) in names.into_iter().chain(values) {
        let denied = (Action::Pause, vec![REPLY]);
        for place in [Place::Insert, Place::Append] {
            assert_eq!(write(place, name, value), denied, "{name:?} {value:?}");
        }
        // What is wrong with a reply is no reason to let the request pass.
        for place in [Place::Reply, Place::InsertIntoReply] {
            assert_eq!(write(place, name, value), denied, "{name:?} {value:?}");
            assert!(double::calls().contains(&"proxy_increment_metric"));
        }
    }
    assert_eq!(
        write(Place::Insert, "X-Good", "caf\u{e9} \t"),
        (Action::Continue, vec![REMOVE, ADD])
    );
    assert_eq!(write(Place::Reply, "x-more", "").1, [REPLY]);
    assert!(!double::calls().contains(&"proxy_increment_metric"));
}

use std::cell::Cell;

use super::*;
use crate::body::{BodyTransform, Collected, Piece};
use crate::config::ConfigError;
use crate::filter::{Configured, HttpFilter};
use crate::host::double;
use crate::kind::Http;
use crate::mode::{Holding, Mode, Streaming};
use crate::next::{Next, Sent};
use crate::pairs;
use crate::plugin::Plugin;
use crate::request::Request;
use crate::response::Response;

impl Handle {
    /// Of a stream whose filter does nothing, for tests of what a future holds.
    pub(crate) fn alone(id: u32, phases: Phases) -> Self {
        Self(Stream::new(1, id, Rc::new(Idle(phases))))
    }
}

struct Idle(Phases);

impl AnyFilter for Idle {
    fn start(self: Rc<Self>, _link: Handle) -> FilterFuture {
        Box::pin(std::future::pending())
    }

    fn complete(&self, _link: &Link) {}

    fn failure_mode(&self) -> FailureMode {
        FailureMode::Deny
    }

    fn phases(&self) -> Phases {
        self.0
    }

    fn root_id(&self) -> &'static str {
        "idle"
    }
}

const LIMIT: usize = 10;
const READ: &str = "proxy_get_buffer_bytes";
const WRITE: &str = "proxy_set_buffer_bytes";
const REPLY: &str = "proxy_send_local_response";
const RESUME: &str = "proxy_continue_stream";
const CLOSE: &str = "proxy_close_stream";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Work {
    /// Looks at bodies.
    Read,
    /// Puts others in their place.
    Replace,
    /// Lets them through a transform that holds the last two bytes back.
    Map,
    /// Ends the stream with its first piece, and waits for its end.
    Refuse,
}

/// Does its work in both directions.
#[derive(Clone)]
struct Worker {
    work: Work,
    failure_mode: FailureMode,
    /// How many bodies had no end, or too late a one.
    too_large: Rc<Cell<usize>>,
}

struct HoldsTwo;

impl BodyTransform for HoldsTwo {
    fn body(&mut self, piece: &mut Piece<'_>) -> Result<(), Error> {
        let size = piece.rest().len();
        piece.keep(if piece.is_last() {
            size
        } else {
            size.saturating_sub(2)
        });
        Ok(())
    }

    fn hold_limit(&self) -> usize {
        2
    }
}

/// What is larger than two bytes is refused.
fn refuse(piece: &[u8]) -> Result<(), LocalReply> {
    match piece.len() {
        0..=2 => Ok(()),
        _ => Err(LocalReply::new(StatusCode::PAYLOAD_TOO_LARGE)),
    }
}

impl Worker {
    fn look<K>(&self, collected: Collected<'_, K>) {
        if matches!(collected, Collected::TooLarge) {
            self.too_large.set(self.too_large.get() + 1);
        }
    }
}

impl HttpFilter for Worker {
    type Config = ();

    fn configure(_config: (), _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(worker(Work::Read, FailureMode::Deny))
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        match self.work {
            Work::Read => {
                let Sent { mut body, response } = next.send(request)?;
                self.look(body.collect(LIMIT).await?);
                body.pass();
                let mut sent = response.await?.send()?;
                self.look(sent.collect(LIMIT).await?);
                Ok(sent.finish())
            }
            Work::Replace => {
                let Sent { mut body, response } = next.send_to_rewrite(request)?;
                if let Collected::Whole(whole) = body.collect(LIMIT).await? {
                    whole.replace("new")?;
                }
                body.pass();
                let mut sent = response.await?.send_to_rewrite()?;
                if let Collected::Whole(whole) = sent.collect(LIMIT).await? {
                    whole.replace("new")?;
                }
                Ok(sent.finish())
            }
            Work::Map => {
                request.map_body(HoldsTwo);
                let mut response = next.run(request).await?;
                response.map_body(HoldsTwo);
                Ok(response)
            }
            Work::Refuse => {
                request.watch_body(refuse);
                let mut response = next.run(request).await?;
                response.watch_body(refuse);
                let completed = response.complete().await?;
                self.too_large.set(self.too_large.get() + 1);
                Ok(completed.into())
            }
        }
    }

    fn failure_mode(&self) -> FailureMode {
        self.failure_mode
    }
}

impl HttpFilter<Holding> for Worker {
    type Config = ();

    fn configure(_config: (), _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(worker(Work::Read, FailureMode::Deny))
    }

    async fn call(
        &self,
        mut request: Request<Holding>,
        next: Next<Holding>,
    ) -> Result<Response<Holding>, Error> {
        match request.collect(LIMIT).await? {
            Collected::Whole(whole) if self.work == Work::Replace => whole.replace("new")?,
            collected => self.look(collected),
        }
        if self.work == Work::Refuse {
            request.watch_body(refuse);
        }
        let mut response = next.run(request).await?;
        match response.collect(LIMIT).await? {
            Collected::Whole(whole) if self.work == Work::Replace => whole.replace("new")?,
            collected => self.look(collected),
        }
        if self.work == Work::Refuse {
            response.watch_body(refuse);
        }
        Ok(response)
    }

    fn failure_mode(&self) -> FailureMode {
        self.failure_mode
    }
}

fn worker(work: Work, failure_mode: FailureMode) -> Worker {
    Worker {
        work,
        failure_mode,
        too_large: Rc::default(),
    }
}

fn stream<M: Mode>(worker: &Worker) -> Rc<Stream>
where
    Worker: HttpFilter<M>,
{
    let filter: Configured<Worker, Http<M>> = Configured::new(worker.clone(), "worker");
    Stream::waiting(1, 2, Rc::new(filter))
}

fn headers(of: &[(&str, &str)]) -> double::Answer {
    let fields = of
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let fields: Vec<(&[u8], &[u8])> = fields.collect();
    double::Answer::bytes(pairs::serialize(&fields).unwrap())
}

/// A host that does what it is told, for a message of six bytes.
fn obedient() {
    double::answer([double::Answer::ok()]);
    double::answer_to(READ, double::Answer::bytes(b"abcdef"));
    double::answer_to(
        "proxy_get_header_map_pairs",
        headers(&[(":status", "200"), ("content-length", "6")]),
    );
}

fn times(name: &str) -> usize {
    double::calls().iter().filter(|call| **call == name).count()
}

const HEADERS: Event = Event::Headers { is_last: false };

fn body(size: usize, is_last: bool) -> Event {
    Event::Body { size, is_last }
}

/// What a host may show of one message, in the orders that Envoy has and in others.
fn messages() -> Vec<Vec<Event>> {
    vec![
        vec![Event::Headers { is_last: true }],
        vec![HEADERS, body(6, true)],
        vec![HEADERS, body(6, false), body(12, false), body(0, true)],
        vec![HEADERS, body(6, false), Event::Trailers],
        vec![HEADERS, Event::Trailers],
        vec![HEADERS, HEADERS, body(usize::MAX, false), body(0, false)],
        vec![Event::Trailers, body(6, true), HEADERS, body(6, true)],
    ]
}

/// Shows the stream both messages and its end.
fn show(stream: &Rc<Stream>, request: &[Event], response: &[Event]) {
    for event in request {
        stream.callback(Direction::Request, *event);
    }
    for event in response {
        stream.callback(Direction::Response, *event);
    }
    stream.end(End::AccessLog);
    let before = double::calls().len();
    for event in response {
        stream.callback(Direction::Response, *event);
    }
    stream.end(End::Deletion);
    let late = double::calls().split_off(before);
    assert!(
        !late
            .iter()
            .any(|call| [REPLY, RESUME, CLOSE].contains(call)),
        "{late:?}"
    );
}

fn show_all(prepare: impl Fn()) {
    for work in [Work::Read, Work::Replace, Work::Map, Work::Refuse] {
        for failure_mode in [FailureMode::Deny, FailureMode::Allow] {
            let worker = worker(work, failure_mode);
            for (request, response) in messages().iter().zip(messages().iter().rev()) {
                prepare();
                show(&stream::<Streaming>(&worker), request, response);
                prepare();
                show(&stream::<Holding>(&worker), request, response);
            }
        }
    }
}

#[test]
fn no_answer_of_a_host_breaks_a_stream() {
    for answer in double::hostile() {
        show_all(|| double::answer([answer.clone()]));
    }
}

#[test]
fn no_answer_to_a_single_call_breaks_a_stream() {
    let calls = [
        READ,
        WRITE,
        REPLY,
        RESUME,
        CLOSE,
        "proxy_get_header_map_pairs",
        "proxy_add_header_map_value",
        "proxy_replace_header_map_value",
        "proxy_remove_header_map_value",
        "proxy_set_effective_context",
        "proxy_get_property",
    ];
    for call in calls {
        for status in (0..=12).chain([13, 4711, u32::MAX]) {
            show_all(|| {
                obedient();
                double::answer_to(call, double::Answer::status(status));
            });
        }
    }
}

#[test]
fn a_stream_is_answered_once_whatever_fails() {
    for status in (1..=12).chain([4711, u32::MAX]) {
        for work in [Work::Read, Work::Replace, Work::Map] {
            obedient();
            double::answer_to(READ, double::Answer::status(status));
            let worker = worker(work, FailureMode::Deny);
            let stream = stream::<Streaming>(&worker);
            stream.callback(Direction::Request, HEADERS);
            let action = stream.callback(Direction::Request, body(6, true));
            assert_eq!(action, Action::Pause, "{work:?}");
            assert_eq!((times(REPLY), times(RESUME), times(CLOSE)), (1, 0, 0));
        }
    }
}

#[test]
fn a_stream_that_a_body_ends_is_answered_or_closed_once() {
    for failure_mode in [FailureMode::Deny, FailureMode::Allow] {
        for status in (0..=12).chain([4711, u32::MAX]) {
            obedient();
            double::answer_to(REPLY, double::Answer::status(status));
            let worker = worker(Work::Refuse, failure_mode);
            let stream = stream::<Streaming>(&worker);
            stream.callback(Direction::Request, HEADERS);
            let action = stream.callback(Direction::Request, body(6, true));
            let closes = usize::from(status != 0);
            assert_eq!(action, Action::Pause);
            let counted = (times(REPLY), times(RESUME), times(CLOSE));
            assert_eq!(counted, (1, 0, closes), "{status}");
        }
    }
}

#[test]
fn a_body_ends_its_stream_by_a_close_where_a_response_is_on_its_way() {
    obedient();
    let worker = worker(Work::Refuse, FailureMode::Allow);
    let stream = stream::<Streaming>(&worker);
    stream.callback(Direction::Request, HEADERS);
    let action = stream.callback(Direction::Response, HEADERS);
    assert_eq!(action, Action::Continue);
    let action = stream.callback(Direction::Request, body(6, false));
    assert_eq!(action, Action::Pause);
    assert_eq!((times(REPLY), times(RESUME), times(CLOSE)), (0, 0, 1));
    // The other body says nothing more.
    stream.callback(Direction::Response, body(6, true));
    assert_eq!((times(REPLY), times(CLOSE)), (0, 1));
    // Who waits for the end sees it all the same.
    assert_eq!(worker.too_large.get(), 0);
    stream.end(End::AccessLog);
    assert_eq!(worker.too_large.get(), 1);
}

#[test]
fn a_stream_whose_response_is_whole_is_not_closed() {
    obedient();
    let stream = stream::<Streaming>(&worker(Work::Refuse, FailureMode::Deny));
    stream.callback(Direction::Request, HEADERS);
    stream.callback(Direction::Response, Event::Headers { is_last: true });
    stream.callback(Direction::Request, body(6, true));
    assert_eq!((times(REPLY), times(RESUME), times(CLOSE)), (0, 0, 0));
}

#[test]
fn a_response_whose_headers_are_held_is_answered_otherwise() {
    obedient();
    let stream = stream::<Holding>(&worker(Work::Refuse, FailureMode::Deny));
    stream.callback(Direction::Request, Event::Headers { is_last: true });
    stream.callback(Direction::Response, HEADERS);
    let action = stream.callback(Direction::Response, body(6, true));
    assert_eq!(action, Action::Pause);
    assert_eq!((times(REPLY), times(RESUME), times(CLOSE)), (1, 0, 0));
}

#[test]
fn a_body_that_is_not_written_goes_on_as_it_came_where_failures_are_allowed() {
    obedient();
    double::answer_to(WRITE, double::Answer::status(10));
    let stream = stream::<Streaming>(&worker(Work::Replace, FailureMode::Allow));
    stream.callback(Direction::Request, HEADERS);
    let action = stream.callback(Direction::Request, body(6, true));
    assert_eq!(action, Action::Continue);
    assert_eq!((times(WRITE), times(REPLY), times(CLOSE)), (1, 0, 0));
}

#[test]
fn a_body_that_is_not_as_long_as_its_headers_say_does_not_go_on() {
    obedient();
    double::answer_to(WRITE, double::Answer::status(10));
    let stream = stream::<Holding>(&worker(Work::Replace, FailureMode::Allow));
    stream.callback(Direction::Request, HEADERS);
    let action = stream.callback(Direction::Request, body(6, true));
    assert_eq!(times("proxy_replace_header_map_value"), 1);
    assert_eq!(action, Action::Pause);
    assert_eq!((times(REPLY), times(CLOSE)), (0, 1));
}

#[test]
fn bytes_that_wait_in_the_module_and_are_not_written_end_the_stream() {
    obedient();
    let stream = stream::<Streaming>(&worker(Work::Map, FailureMode::Allow));
    stream.callback(Direction::Request, HEADERS);
    let action = stream.callback(Direction::Request, body(6, false));
    assert_eq!((action, times(WRITE)), (Action::Continue, 1));
    double::answer_to(WRITE, double::Answer::status(10));
    let action = stream.callback(Direction::Request, body(6, true));
    assert_eq!(action, Action::Pause);
    assert_eq!((times(REPLY), times(CLOSE)), (0, 1));
}

#[test]
fn the_response_of_a_tunnel_is_not_held_to_its_end() {
    for (status, method, asked, found) in [
        ("101", "GET", 0, 1),
        ("200", "CONNECT", 1, 1),
        ("200", "POST", 1, 0),
        ("403", "CONNECT", 0, 0),
    ] {
        obedient();
        double::answer_to(
            "proxy_get_header_map_pairs",
            headers(&[(":status", status)]),
        );
        double::answer_to("proxy_get_property", double::Answer::bytes(method));
        let worker = worker(Work::Read, FailureMode::Deny);
        let stream = stream::<Streaming>(&worker);
        stream.callback(Direction::Request, HEADERS);
        stream.callback(Direction::Response, HEADERS);
        assert_eq!(times("proxy_get_property"), asked, "{status} {method}");
        assert_eq!(worker.too_large.get(), found, "{status} {method}");
        let action = stream.callback(Direction::Response, body(6, false));
        assert_eq!(action == Action::Continue, found == 1, "{status} {method}");
    }
}

/// Touches nothing, by one way or the other.
#[derive(Clone, Copy)]
struct Passes(Way);

impl HttpFilter for Passes {
    type Config = ();

    const PHASES: Phases = Phases::REQUEST.union(Phases::RESPONSE);

    fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self(Way::Forwarded))
    }

    async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
        match self.0 {
            Way::Forwarded => next.forward(request),
            Way::Run => next.run(request).await,
        }
    }
}

#[test]
fn a_stream_that_touches_nothing_takes_two_allocations_and_no_host_call() {
    double::answer([double::Answer::ok()]);
    for way in [Way::Forwarded, Way::Run] {
        let filter: Configured<Passes, Http<Streaming>> = Configured::new(Passes(way), "passes");
        let filter: Rc<dyn AnyFilter> = Rc::new(filter);
        let passed = || {
            let stream = Stream::new(1, 2, Rc::clone(&filter));
            stream.callback(Direction::Request, Event::Headers { is_last: true });
            stream.callback(Direction::Response, HEADERS);
            stream.end(End::Deletion);
        };
        // What a thread makes once.
        passed();
        let before = double::calls().len();
        // The stream, and its future.
        assert_eq!(host::allocations(passed), 2);
        assert_eq!(double::calls().len(), before);
    }
}

//! A request whose headers both the filter and its call-outs want.

use super::*;
use crate::cluster::Cluster;
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

/// Who looks at the headers, in turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Who {
    Filter,
    CallOut,
}

struct Curious {
    authz: Cluster,
    order: Vec<Who>,
}

impl HttpFilter for Curious {
    type Config = ();

    fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
        Err(ConfigError::at("", "made by hand"))
    }

    async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
        for who in &self.order {
            match who {
                Who::Filter => assert!(request.headers().contains("x-a")),
                Who::CallOut => self.authz.get("/").send_and_forget()?,
            }
        }
        next.forward(request)
    }
}

/// How often the host is asked for headers by two streams in a row.
fn reads(order: &[Who]) -> usize {
    let pairs: [(&[u8], &[u8]); 3] = [(b":path", b"/"), (b"x-a", b"1"), (b"b3", b"0")];
    double::answer([HostAnswer::ok()]);
    let read = HostAnswer::bytes(pairs::serialize(&pairs).unwrap());
    double::answer_to(READ, read);
    let curious = Curious {
        authz: crate::testing::plugin("curious").cluster("authz"),
        order: order.to_vec(),
    };
    let filter: Rc<Configured<_, Http<Streaming>>> = Rc::new(Configured::new(curious, "curious"));
    for id in [2, 3] {
        let stream = Stream::waiting(1, id, Rc::<Configured<_, _>>::clone(&filter) as _);
        let headers = Event::Headers { is_last: true };
        let action = stream.callback(Direction::Request, headers);
        assert_eq!(action, Action::Continue);
        stream.end(End::Deletion);
    }
    double::calls().iter().filter(|&&call| call == READ).count()
}

#[test]
fn whoever_comes_first_reads_for_all() {
    use Who::{CallOut, Filter};
    // From the first call-out of a module on.
    reads(&[CallOut]);
    for order in [
        &[Filter][..],
        &[CallOut],
        &[Filter, CallOut],
        &[CallOut, Filter],
        &[CallOut, CallOut, Filter, CallOut],
        &[Filter, CallOut, Filter, CallOut],
    ] {
        assert_eq!(reads(order), 2, "{order:?}");
    }
}

/// Takes the trace out of a request that it has read, lets it go on, and calls out.
struct Late(Cluster);

impl HttpFilter for Late {
    type Config = ();

    fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
        Err(ConfigError::at("", "made by hand"))
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        self.0.get("/").send_and_forget()?;
        assert!(request.headers().contains("b3"));
        request.headers_mut().remove("b3");
        let response = next.forward(request)?;
        self.0.get("/").send_and_forget()?;
        Ok(response)
    }
}

#[test]
fn what_was_read_is_forgotten_where_it_is_written_and_at_the_end() {
    let pairs: [(&[u8], &[u8]); 2] = [(b":path", b"/"), (b"b3", b"0")];
    double::answer([HostAnswer::ok()]);
    double::answer_to(READ, HostAnswer::bytes(pairs::serialize(&pairs).unwrap()));
    let late = Late(crate::testing::plugin("late").cluster("authz"));
    let filter: Configured<_, Http<Streaming>> = Configured::new(late, "late");
    let filter = Rc::new(filter);
    let reads = || double::calls().iter().filter(|&&call| call == READ).count();
    for expected in [2, 4] {
        let stream = Stream::waiting(1, 2, Rc::<Configured<_, _>>::clone(&filter) as _);
        let action = stream.callback(Direction::Request, Event::Headers { is_last: true });
        assert_eq!(action, Action::Continue);
        assert_eq!(reads(), expected, "before the change and behind it");
        stream.end(End::Deletion);
    }
}

/// Sets so many headers, unread.
struct Setting(usize);

impl HttpFilter for Setting {
    type Config = ();

    fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self(0))
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        for name in ["x-a", "x-b", "x-c", "x-d"].into_iter().take(self.0) {
            request.headers_mut().insert(name, "0");
        }
        next.forward(request)
    }
}

#[test]
fn many_headers_are_set_by_a_look_at_them() {
    let calls = |count, read: u32| {
        let pairs: [(&[u8], &[u8]); 4] = [
            (b":path", b"/"),
            (b"x-a", b"1"),
            (b"x-b", b"1"),
            (b"x-b", b"2"),
        ];
        let pairs = HostAnswer::bytes(pairs::serialize(&pairs).unwrap());
        let refused = HostAnswer::status(read);
        double::answer([HostAnswer::ok()]);
        double::answer_to(READ, if read == 0 { pairs } else { refused });
        let filter: Configured<_, Http<Streaming>> = Configured::new(Setting(count), "setting");
        let stream = Stream::new(1, 2, Rc::new(filter));
        let action = stream.callback(Direction::Request, Event::Headers { is_last: true });
        (action, double::calls())
    };
    let (add, remove) = (
        "proxy_add_header_map_value",
        "proxy_remove_header_map_value",
    );
    let replace = "proxy_replace_header_map_value";
    assert_eq!(
        calls(2, 0),
        (Action::Continue, vec![remove, add, remove, add])
    );
    let known = vec![READ, replace, remove, add, replace, replace];
    assert_eq!(calls(4, 0), (Action::Continue, known));
    // Then it is not known what would be written.
    let (action, made) = calls(3, 10);
    assert_eq!(action, Action::Pause);
    assert!(!made.contains(&add) && !made.contains(&remove), "{made:?}");
}

#[test]
fn a_refusal_is_not_taken_for_headers() {
    for answer in double::hostile() {
        double::answer([HostAnswer::ok()]);
        double::answer_to(READ, answer.clone());
        let curious = Curious {
            authz: crate::testing::plugin("curious").cluster("authz"),
            order: vec![Who::CallOut],
        };
        let filter: Configured<_, Http<Streaming>> = Configured::new(curious, "curious");
        let stream = Stream::waiting(1, 2, Rc::new(filter));
        let action = stream.callback(Direction::Request, Event::Headers { is_last: true });
        // It wants nothing of the headers itself.
        assert_eq!(action, Action::Continue, "{answer:?}");
        let headers = Headers::new(crate::host::Map::RequestHeaders, 2);
        assert!(!headers.contains("x-a"), "{answer:?}");
        stream.end(End::Deletion);
    }
}

//! A stream: which parts of it wait, and what goes on.

mod heads;
mod request;
mod response;

use attache::log::{debug, info};
use attache::prelude::*;
use attache::{Arrival, Run};

use crate::Transform;
use crate::config::{Otherwise, RunMode};
use crate::exchange::{Outcome, Part, Task};
use crate::failure::Failure;
use crate::head::Head;

use self::heads::of_request;

/// What became of a request.
enum Passed {
    /// It goes on as soon as the response is waited for.
    Run(Run<Holding>),
    /// Its headers have gone on.
    Sent(Arrival<Holding>),
    /// The stream has its answer, or its response is nobody's business.
    Answered(Response<Holding>),
}

/// What becomes of a message.
enum Verdict {
    /// It goes on with this head and this body, or with the body that came.
    Change(Option<Vec<u8>>),
    /// It goes on as it came.
    Untouched,
    /// It is refused.
    Refuse(Refusal),
}

/// Whether a body is looked into.
enum Look {
    Into,
    /// It is left alone.
    Past,
    /// It cannot be, and the message is refused for it.
    Refused,
}

/// Why a message is refused.
#[derive(Clone, Copy)]
enum Refusal {
    Large,
    Unsupported,
    Unreadable,
    Failed,
}

impl Refusal {
    /// The reply to a request.
    fn of_request(self) -> Response<Holding> {
        match self {
            Self::Large => Response::local(StatusCode::PAYLOAD_TOO_LARGE, "body too large\n"),
            Self::Unsupported => {
                Response::local(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported body\n")
            }
            Self::Unreadable => Response::local(StatusCode::BAD_REQUEST, "malformed body\n"),
            Self::Failed => Response::local(StatusCode::BAD_REQUEST, "cannot transform\n"),
        }
    }

    /// What a client gets in place of a response.
    fn of_response() -> Response<Holding> {
        Response::local(StatusCode::BAD_GATEWAY, "cannot transform\n")
    }
}

impl Transform {
    pub(crate) async fn stream(
        &self,
        request: Request<Holding>,
        next: Next<Holding>,
    ) -> Result<Response<Holding>, Error> {
        self.outcomes.request();
        let head = of_request(&request);
        let response = match self.request(request, next, &head).await? {
            Passed::Run(run) => run.await?,
            Passed::Sent(arrival) => arrival.await?,
            Passed::Answered(response) => return Ok(response),
        };
        self.response(response, &head).await
    }

    fn enforces(&self) -> bool {
        self.plan.mode == RunMode::Enforce
    }

    /// What becomes of a message after its whole body was seen, or could not be. `head` is changed where
    /// the verdict is that.
    fn verdict(&self, task: &Task<'_>, outcome: Outcome, head: &mut Head, part: Part) -> Verdict {
        let (otherwise, reason, refusal) = match outcome {
            Outcome::Done(body) => return Verdict::Change(body),
            Outcome::Failed(failure) => return self.failed(failure),
            Outcome::Large => (task.on_too_large(), "too_large", Refusal::Large),
            Outcome::Unreadable => (task.on_parse_error(), "parse_error", Refusal::Unreadable),
        };
        if otherwise == Otherwise::Reject {
            return self.refused(refusal);
        }
        self.outcomes.skipped(reason);
        if part == Part::Body {
            return Verdict::Untouched;
        }
        self.without_body(task, head, part)
    }

    /// What becomes of a message whose body is left alone.
    fn without_body(&self, task: &Task<'_>, head: &mut Head, part: Part) -> Verdict {
        match task.change_head(head, part) {
            Ok(()) => Verdict::Change(None),
            Err(failure) => self.failed(failure),
        }
    }

    fn failed(&self, failure: Failure) -> Verdict {
        debug!("a step failed: {failure}");
        match self.plan.failure_mode {
            FailureMode::Deny => self.refused(Refusal::Failed),
            FailureMode::Allow => {
                self.outcomes.skipped("step_failed");
                Verdict::Untouched
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> Verdict {
        if self.enforces() {
            self.outcomes.denied();
            return Verdict::Refuse(refusal);
        }
        info!("would refuse a message");
        Verdict::Untouched
    }

    /// Says what would change.
    fn report(&self, what: &str, came: &Head, head: &Head, body: bool) {
        let names = came.differing(head);
        let names = names.iter().map(|name| String::from_utf8_lossy(name));
        let mut parts: Vec<String> = names.map(|name| format!("header {name}")).collect();
        if came.path != head.path {
            parts.push("path".to_owned());
        }
        if body {
            parts.push("body".to_owned());
        }
        if !parts.is_empty() {
            info!("would change of a {what}: {}", parts.join(", "));
        }
    }
}

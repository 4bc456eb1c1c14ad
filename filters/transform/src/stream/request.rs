//! A request on its way.

use attache::Collected;
use attache::Sent;
use attache::prelude::*;

use super::heads::write_request;
use super::{Look, Passed, Refusal, Verdict};
use crate::Transform;
use crate::coding::Coding;
use crate::config::Otherwise;
use crate::exchange::{Outcome, Part, Task, forget_validators};
use crate::head::Head;

impl Transform {
    pub(super) async fn request(
        &self,
        mut request: Request<Holding>,
        next: Next<Holding>,
        came: &Head,
    ) -> Result<Passed, Error> {
        let Some(task) = Task::new(&self.plan.request, came, None) else {
            return self.pass(request, next);
        };
        self.outcomes.matched();
        let mut head = came.clone();
        let verdict = match self.looks_into_request(&task, &request, came) {
            Look::Into => None,
            Look::Past => Some(self.without_body(&task, &mut head, Part::Whole)),
            Look::Refused => Some(self.refused(Refusal::Unsupported)),
        };
        if let Some(verdict) = verdict {
            return self.conclude(request, next, came, &head, verdict);
        }
        if !task.bodies().hold_headers {
            return self.send_request(request, next, came, &task).await;
        }
        let limit = task.bodies().limit;
        let mut outcome = Outcome::Large;
        if !is_longer(came, limit) {
            match request.collect(limit).await? {
                Collected::TooLarge => {}
                Collected::Answered => outcome = Outcome::Done(None),
                Collected::Whole(whole) => {
                    outcome = task.change(&mut head, whole.bytes(), Part::Whole);
                    if let (true, Outcome::Done(Some(body))) = (self.enforces(), &outcome) {
                        whole.replace(body.clone())?;
                    }
                }
            }
        }
        let verdict = self.verdict(&task, outcome, &mut head, Part::Whole);
        self.conclude(request, next, came, &head, verdict)
    }

    /// Lets a request go on, with its changes.
    fn conclude(
        &self,
        mut request: Request<Holding>,
        next: Next<Holding>,
        came: &Head,
        head: &Head,
        verdict: Verdict,
    ) -> Result<Passed, Error> {
        match verdict {
            Verdict::Refuse(refusal) => return Ok(Passed::Answered(refusal.of_request())),
            Verdict::Untouched => {}
            Verdict::Change(_) if self.enforces() => write_request(&mut request, came, head)?,
            Verdict::Change(body) => self.report("request", came, head, body.is_some()),
        }
        self.pass(request, next)
    }

    fn pass(&self, request: Request<Holding>, next: Next<Holding>) -> Result<Passed, Error> {
        if self.plan.response.is_empty() {
            return Ok(Passed::Answered(next.forward(request)?));
        }
        Ok(Passed::Run(next.run(request)))
    }

    /// Whether the body is waited for. Where a rule wants it and it is left alone, that is counted.
    fn looks_into_request(&self, task: &Task<'_>, request: &Request<Holding>, head: &Head) -> Look {
        if !task.wants_body() || request.ends_with_headers() {
            return Look::Past;
        }
        if head.method == b"CONNECT" || head.has("upgrade") {
            return self.looks_away(task, "upgrade");
        }
        self.looks_into(task, head)
    }

    /// Whether a body of this kind can be seen.
    pub(super) fn looks_into(&self, task: &Task<'_>, head: &Head) -> Look {
        let seen = task.media(head).and_then(|media| {
            let holds = task.bodies().hold_headers;
            // What the headers say of the coding stays: gzip is made again, others are not.
            match media.codings[..] {
                [] | [Coding::Gzip] => Ok(()),
                _ if holds => Ok(()),
                _ => Err("content_encoding"),
            }
        });
        match seen {
            Ok(()) => Look::Into,
            Err(reason) => self.looks_away(task, reason),
        }
    }

    /// A body that is not looked into.
    pub(super) fn looks_away(&self, task: &Task<'_>, reason: &'static str) -> Look {
        if task.bodies().on_unsupported == Otherwise::Reject {
            return Look::Refused;
        }
        self.outcomes.skipped(reason);
        Look::Past
    }

    /// The headers go on before the body is known.
    async fn send_request(
        &self,
        mut request: Request<Holding>,
        next: Next<Holding>,
        came: &Head,
        task: &Task<'_>,
    ) -> Result<Passed, Error> {
        let limit = task.bodies().limit;
        let mut head = came.clone();
        if is_longer(came, limit) {
            let verdict = self.verdict(task, Outcome::Large, &mut head, Part::Head);
            return self.conclude(request, next, came, &head, verdict);
        }
        if let Err(failure) = task.change_head(&mut head, Part::Head) {
            let verdict = self.failed(failure);
            return self.conclude(request, next, came, &head, verdict);
        }
        if !self.enforces() {
            self.report("request", came, &head, false);
            let Sent { mut body, response } = next.send(request)?;
            if let Collected::Whole(whole) = body.collect(limit).await? {
                let outcome = task.change_rest(came, &mut head.clone(), whole.bytes());
                let makes = matches!(outcome, Outcome::Done(Some(_)));
                self.report("request", came, came, makes);
            }
            body.pass();
            return Ok(self.sent(response));
        }
        let coded = head.clone();
        forget_validators(&mut head);
        write_request(&mut request, came, &head)?;
        let Sent { mut body, response } = next.send_to_rewrite(request)?;
        let collected = body.collect(limit).await?;
        let outcome = match &collected {
            Collected::TooLarge => Outcome::Large,
            Collected::Answered => Outcome::Done(None),
            Collected::Whole(whole) => task.change_rest(came, &mut coded.clone(), whole.bytes()),
        };
        match self.verdict(task, outcome, &mut head, Part::Body) {
            Verdict::Refuse(refusal) => return Ok(Passed::Answered(refusal.of_request())),
            Verdict::Change(Some(made)) => {
                if let Collected::Whole(whole) = collected {
                    whole.replace(made)?;
                }
            }
            Verdict::Change(None) | Verdict::Untouched => {}
        }
        body.pass();
        Ok(self.sent(response))
    }

    fn sent(&self, response: attache::Arrival<Holding>) -> Passed {
        if self.plan.response.is_empty() {
            return Passed::Answered(response.forward());
        }
        Passed::Sent(response)
    }
}

/// Whether a message says that its body is longer than that.
pub(super) fn is_longer(head: &Head, limit: usize) -> bool {
    let length = head.joined("content-length");
    let length = length.and_then(|length| std::str::from_utf8(&length).ok()?.parse::<u64>().ok());
    length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit))
}

//! A response on its way.

use attache::Collected;
use attache::prelude::*;

use super::heads::{of_response, write};
use super::request::is_longer;
use super::{Look, Refusal, Verdict};
use crate::Transform;
use crate::exchange::{Outcome, Part, Task, forget_validators};
use crate::failure::Failure;
use crate::head::Head;

impl Transform {
    pub(super) async fn response(
        &self,
        mut response: Response<Holding>,
        request: &Head,
    ) -> Result<Response<Holding>, Error> {
        let Some(came) = of_response(&response) else {
            return Ok(response);
        };
        let Some(task) = Task::new(&self.plan.response, &came, Some(request)) else {
            return Ok(response);
        };
        self.outcomes.matched();
        let mut head = came.clone();
        let verdict = match self.looks_into_response(&task, &response, &came, request) {
            Look::Into => None,
            Look::Past => Some(self.without_body(&task, &mut head, Part::Whole)),
            Look::Refused => Some(self.refused(Refusal::Unsupported)),
        };
        if let Some(verdict) = verdict {
            return self.finish(response, &came, &head, verdict);
        }
        if !task.bodies().hold_headers {
            return self.send_response(response, &came, &task).await;
        }
        let limit = task.bodies().limit;
        let mut outcome = Outcome::Large;
        if !is_longer(&came, limit) {
            match response.collect(limit).await? {
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
        self.finish(response, &came, &head, verdict)
    }

    fn finish(
        &self,
        mut response: Response<Holding>,
        came: &Head,
        head: &Head,
        verdict: Verdict,
    ) -> Result<Response<Holding>, Error> {
        match verdict {
            Verdict::Refuse(_) => return Ok(Refusal::of_response()),
            Verdict::Untouched => {}
            Verdict::Change(_) if self.enforces() => write(response.headers_mut(), came, head)?,
            Verdict::Change(body) => self.report("response", came, head, body.is_some()),
        }
        Ok(response)
    }

    fn looks_into_response(
        &self,
        task: &Task<'_>,
        response: &Response<Holding>,
        head: &Head,
        request: &Head,
    ) -> Look {
        if !task.wants_body() {
            return Look::Past;
        }
        let opens = head.status == Some(101)
            || request.method == b"CONNECT" && matches!(head.status, Some(200..300));
        if opens {
            return self.looks_away(task, "upgrade");
        }
        let has_none =
            matches!(head.status, Some(100..200 | 204 | 304)) || request.method == b"HEAD";
        if response.ends_with_headers() || has_none {
            return Look::Past;
        }
        self.looks_into(task, head)
    }

    /// The headers go on before the body is known.
    async fn send_response(
        &self,
        mut response: Response<Holding>,
        came: &Head,
        task: &Task<'_>,
    ) -> Result<Response<Holding>, Error> {
        let limit = task.bodies().limit;
        let mut head = came.clone();
        if is_longer(came, limit) {
            let verdict = self.verdict(task, Outcome::Large, &mut head, Part::Head);
            return self.finish(response, came, &head, verdict);
        }
        if let Err(failure) = task.change_head(&mut head, Part::Head) {
            let verdict = self.failed(failure);
            return self.finish(response, came, &head, verdict);
        }
        if !self.enforces() {
            self.report("response", came, &head, false);
            let mut sent = response.send()?;
            if let Collected::Whole(whole) = sent.collect(limit).await? {
                let outcome = task.change_rest(came, &mut head.clone(), whole.bytes());
                let makes = matches!(outcome, Outcome::Done(Some(_)));
                self.report("response", came, came, makes);
            }
            return Ok(sent.finish());
        }
        let coded = head.clone();
        forget_validators(&mut head);
        write(response.headers_mut(), came, &head)?;
        let mut sent = response.send_to_rewrite()?;
        let collected = sent.collect(limit).await?;
        let outcome = match &collected {
            Collected::TooLarge => Outcome::Large,
            Collected::Answered => Outcome::Done(None),
            Collected::Whole(whole) => task.change_rest(came, &mut coded.clone(), whole.bytes()),
        };
        match self.verdict(task, outcome, &mut head, Part::Body) {
            // Its status has gone on: all that is left is to cut it.
            Verdict::Refuse(_) => return Err(Error::filter(Failure::Large)),
            Verdict::Change(Some(made)) => {
                if let Collected::Whole(whole) = collected {
                    whole.replace(made)?;
                }
            }
            Verdict::Change(None) | Verdict::Untouched => {}
        }
        Ok(sent.finish())
    }
}

//! What becomes of a message: the whole way from its bytes to those that go on, apart from any host.

use crate::coding;
use crate::config::{Otherwise, Recompress};
use crate::content::{Content, decode};
use crate::failure::Failure;
use crate::fuel::Fuel;
use crate::head::Head;
use crate::media::{Media, Skip, media};
use crate::plan::{Bodies, Rule, Side};
use crate::run::Message;

/// Headers that say of a body what is no longer true once it has changed.
const VALIDATORS: [&str; 8] = [
    "etag",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "accept-ranges",
    "signature",
    "signature-input",
];

/// How many places of a body are looked for while it is read: each key is compared with all of them.
const MAX_POINTERS: usize = 16;

/// The rules that apply to a message, and the messages that they are about.
#[derive(Debug)]
pub struct Task<'p> {
    side: &'p Side,
    rules: Vec<&'p Rule>,
    /// In a response, the request that it answers.
    request: Option<Head>,
    fuel: Fuel,
}

/// Which steps are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a message has these two parts")]
pub enum Part {
    /// Those before the body: headers go on before it is there.
    Head,
    /// Those on the body alone: the headers have gone on.
    Body,
    /// All.
    Whole,
}

/// What came of a body.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the caller handles each")]
pub enum Outcome {
    /// The body goes on as these bytes, or as it came.
    Done(Option<Vec<u8>>),
    /// It is larger than the limit.
    Large,
    /// It is not what its headers say.
    Unreadable,
    /// A step failed.
    Failed(Failure),
}

impl<'p> Task<'p> {
    /// What is to be done with a message; `None` where no rule applies. `request` is given with a
    /// response.
    #[must_use]
    pub fn new(side: &'p Side, head: &Head, request: Option<&Head>) -> Option<Self> {
        if side.is_empty() {
            return None;
        }
        let rules = side.select(head, request.unwrap_or(head));
        (!rules.is_empty()).then(|| Self {
            side,
            rules,
            request: request.cloned(),
            fuel: Fuel::new(Fuel::MESSAGE),
        })
    }

    /// Whether a rule has to see the body.
    #[must_use]
    pub fn wants_body(&self) -> bool {
        self.rules.iter().any(|rule| rule.wants_body())
    }

    /// Whether the body of such a message can be seen.
    ///
    /// # Errors
    ///
    /// Why it is left alone.
    pub(crate) fn media(&self, head: &Head) -> Result<Media, Skip> {
        media(head, &self.bodies().kinds, &self.bodies().read)
    }

    pub(crate) fn bodies(&self) -> &Bodies {
        &self.side.body
    }

    /// Takes the steps that need no body. Steps on a body do nothing.
    ///
    /// # Errors
    ///
    /// A [`Failure`]; the head is as it was then.
    pub fn change_head(&self, head: &mut Head, part: Part) -> Result<(), Failure> {
        let mut changed = head.clone();
        self.take(&mut changed, None, part)?;
        *head = changed;
        Ok(())
    }

    /// Takes the steps with the whole body. Where the body changed and the head can still say so, it
    /// does.
    #[must_use]
    pub fn change(&self, head: &mut Head, body: &[u8], part: Part) -> Outcome {
        let came = self.media(head);
        self.change_as(came, head, body, part)
    }

    /// Takes the steps with the whole body where the head has gone on. The body is of the type that the head
    /// said when it came, whatever it says by now.
    pub(crate) fn change_rest(&self, came: &Head, head: &mut Head, body: &[u8]) -> Outcome {
        self.change_as(self.media(came), head, body, Part::Body)
    }

    fn change_as(
        &self,
        came: Result<Media, Skip>,
        head: &mut Head,
        body: &[u8],
        part: Part,
    ) -> Outcome {
        let Ok(media) = came else {
            return Outcome::Done(None);
        };
        match self.try_change(head, &media, body, part) {
            Ok(body) => Outcome::Done(body),
            Err(outcome) => outcome,
        }
    }

    fn try_change(
        &self,
        head: &mut Head,
        media: &Media,
        body: &[u8],
        part: Part,
    ) -> Result<Option<Vec<u8>>, Outcome> {
        let limit = self.bodies().limit;
        if body.len() > limit {
            return Err(Outcome::Large);
        }
        let decoded = decode(body, &media.codings, limit).map_err(|why| match why {
            coding::Undecodable::Large => Outcome::Large,
            coding::Undecodable::Malformed => Outcome::Unreadable,
        })?;
        let plain = decoded.as_deref().unwrap_or(body);
        let mut pointers = Vec::new();
        let named = self.rules.iter().all(|rule| rule.names(&mut pointers));
        let few = named && pointers.len() <= MAX_POINTERS;
        let pointers = few.then_some(&*pointers);
        let mut content =
            Content::read(media.kind, plain, pointers).map_err(|_| Outcome::Unreadable)?;
        let mut changed = head.clone();
        let made = self
            .take(&mut changed, Some(&mut content), part)
            .and_then(|()| content.changed(plain, limit))
            .map_err(|failure| match failure {
                Failure::Large => Outcome::Large,
                other => Outcome::Failed(other),
            })?;
        let made = made.map(|made| self.encoded(made, &mut changed, media, part));
        if made.as_ref().is_some_and(|made| made.len() > limit) {
            return Err(Outcome::Large);
        }
        *head = changed;
        Ok(made)
    }

    /// A changed body as it goes on.
    fn encoded(&self, made: Vec<u8>, head: &mut Head, media: &Media, part: Part) -> Vec<u8> {
        forget_validators(head);
        let keeps = part == Part::Body || self.bodies().recompress == Recompress::Gzip;
        if media.codings.is_empty() {
            return made;
        }
        if keeps {
            head.set("content-encoding", b"gzip");
            coding::gzip(&made)
        } else {
            head.remove("content-encoding");
            made
        }
    }

    fn take(
        &self,
        head: &mut Head,
        mut content: Option<&mut Content<'_>>,
        part: Part,
    ) -> Result<(), Failure> {
        let limit = self.bodies().limit;
        // Conditions look at the message as it came.
        let mut rules = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let known = content.as_deref();
            if rule.conditions().hold_of_body(known, limit, &self.fuel)? {
                rules.push(rule);
            }
        }
        let mut message = Message {
            head,
            request: self.request.as_ref(),
            content: content.take(),
            limit,
            fuel: &self.fuel,
        };
        for rule in rules {
            // Such a rule has its turn when the body is known. Nothing of it changes a head that has gone on.
            let waits = rule.conditions().ask_of_body();
            for step in &rule.steps {
                let is_meant = match part {
                    Part::Head => !waits && !step.reads_body(),
                    Part::Body => waits || step.reads_body(),
                    Part::Whole => true,
                };
                if is_meant {
                    message.take(step)?;
                }
            }
        }
        Ok(())
    }

    /// What becomes of a message whose body is too large.
    pub(crate) fn on_too_large(&self) -> Otherwise {
        self.bodies().on_too_large
    }

    /// What becomes of a message whose body is not what its headers say.
    pub(crate) fn on_parse_error(&self) -> Otherwise {
        self.bodies().on_parse_error
    }
}

/// Takes out what would no longer be true.
pub(crate) fn forget_validators(head: &mut Head) {
    for name in VALIDATORS {
        head.remove(name);
    }
}

#[cfg(test)]
mod tests;

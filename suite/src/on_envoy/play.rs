//! Requests of a case under way.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use attache_envoy::AccessEntry;
use attache_envoy::upstream::{self, Upstream};

use super::client::Client;
use super::{EnvoyError, LATE, NOTICED_AFTER, wire};
use crate::case::{Case, Request};
use crate::seen::{Access, Ended, Stream};

/// What is waited for.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Until {
    /// The last request has ended, or is with an upstream that thinks about it.
    PassedOn,
    /// All requests have ended.
    Ended,
}

/// A case under way.
pub(super) struct Play<'a> {
    case: &'a Case,
    upstream: &'a Upstream,
    arrived: Vec<upstream::Request>,
    /// How many had arrived when each request began.
    begun: Vec<usize>,
    pub(super) clients: Vec<Client>,
}

impl<'a> Play<'a> {
    pub(super) fn new(case: &'a Case, upstream: &'a Upstream) -> Self {
        Self {
            case,
            upstream,
            arrived: Vec::new(),
            begun: Vec::new(),
            clients: Vec::new(),
        }
    }

    pub(super) fn settle(&mut self, limit: Duration, until: Until) -> Result<(), EnvoyError> {
        let deadline = Instant::now() + limit;
        loop {
            self.arrived.extend(self.upstream.take());
            for client in &mut self.clients {
                client.look()?;
            }
            let number = self.clients.len().saturating_sub(1);
            let done = match until {
                Until::Ended => self.clients.iter().all(Client::has_ended),
                Until::PassedOn => {
                    let thinks = !self.case.answer_to(number).after.is_zero();
                    // One that a filter has cut is answered by nobody.
                    let received = self.received(number);
                    self.clients.last().is_none_or(Client::has_ended)
                        || (thinks && received.is_some_and(|request| request.complete))
                }
            };
            if done || Instant::now() >= deadline {
                self.arrived.extend(self.upstream.take());
                return Ok(());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The connection of the request before, if it is still of use.
    pub(super) fn before(&mut self, request: &Request) -> Result<Option<TcpStream>, EnvoyError> {
        let follows = request.follows;
        match follows.and_then(|number| self.clients.get_mut(number)) {
            Some(client) => client.reusable(),
            None => Ok(None),
        }
    }

    /// Lets the client of a request send more, and what follows from it come to rest.
    pub(super) fn send(&mut self, number: usize, bytes: &[u8]) {
        if let Some(client) = self.clients.get_mut(number) {
            client.send_behind(bytes);
            self.upstream.clear();
        }
    }

    pub(super) fn disconnect(&mut self, number: usize) -> Result<(), EnvoyError> {
        if let Some(client) = self.clients.get_mut(number) {
            client.look()?;
            client.close();
            thread::sleep(NOTICED_AFTER);
        }
        Ok(())
    }

    /// Waits until the upstream has received so many requests.
    pub(super) fn await_arrivals(&mut self, count: usize) {
        let missing = count.saturating_sub(self.arrived.len());
        // Those that do not come are missed where it is looked at what did.
        let late = self.upstream.wait_for(missing, LATE);
        self.arrived.extend(late.into_iter().flatten());
        self.arrived.extend(self.upstream.take());
    }

    pub(super) fn begin(&mut self) {
        self.arrived.extend(self.upstream.take());
        self.begun.push(self.arrived.len());
    }

    /// The request of this number as the upstream received it, to its end or to where it was cut. One whose mark a filter took
    /// away is known by when it came.
    fn received(&self, number: usize) -> Option<&upstream::Request> {
        let marked = self.case.mark(number).is_some();
        let begun = self.begun.get(number).copied().unwrap_or_default();
        let ended = self.begun.get(number + 1).copied();
        let window = self.arrived.get(begun..ended.unwrap_or(self.arrived.len()));
        let own = |request: &&upstream::Request| wire::number_of(request) == Some(number);
        let unmarked = |request: &&upstream::Request| !marked || wire::number_of(request).is_none();
        let mut in_window = window.into_iter().flatten();
        let received = self.arrived.iter().find(own);
        received.or_else(|| in_window.find(unmarked))
    }

    pub(super) fn streams(&mut self, accesses: &[AccessEntry]) -> Vec<Stream> {
        let ends: Vec<Ended> = self.clients.iter_mut().map(Client::ended).collect();
        let stream = |(number, downstream): (usize, Ended)| Stream {
            upstream: self.received(number).map(wire::received),
            access: self.access(number, &downstream, accesses),
            downstream,
        };
        ends.into_iter().enumerate().map(stream).collect()
    }

    fn access(&self, number: usize, ended: &Ended, accesses: &[AccessEntry]) -> Option<Access> {
        if *ended == Ended::Held {
            return None;
        }
        let port = self.clients.get(number)?.port();
        // Requests of one connection end one after the other.
        let clients = self.clients.iter().take(number);
        let before = clients.filter(|client| client.port() == port).count();
        let mut own = accesses
            .iter()
            .filter(|entry| entry.client_port == Some(port));
        own.nth(before).map(|entry| Access {
            status: entry.status.into(),
            details: entry.details.clone(),
            flags: entry.flags.clone().unwrap_or_else(|| "-".to_owned()),
        })
    }
}

//! What clusters received.

use super::{Checker, list, request_yaml};
use crate::file::{Matcher, RequestExpect};
use crate::seen::{Calls, Message, shown};
use crate::yaml::Yaml;

impl Checker {
    pub(super) fn calls(&mut self, cluster: &str, expect: &[RequestExpect], found: Option<&Calls>) {
        let found: Vec<&Message> = found.into_iter().flat_map(Calls::iter).collect();
        if expect.len() != found.len() {
            let starts: Vec<String> = found.iter().map(|message| message.start.clone()).collect();
            let expected = format!("{} requests", expect.len());
            let fix = Yaml::List(found.into_iter().map(request_yaml).collect());
            return self.differs(cluster, expected, list(&starts), Some(fix));
        }
        self.within(cluster, |checker| {
            for (number, (expect, message)) in expect.iter().zip(found).enumerate() {
                checker.at(number, |checker| checker.request(expect, message));
            }
        });
    }

    pub(super) fn messages(&mut self, expect: &[Matcher], message: &Message) {
        let Some(found) = message.grpc_messages() else {
            let found = shown(&message.body);
            return self.differs("messages", "a gRPC call".into(), found, None);
        };
        let mut pairs = expect.iter().zip(&found);
        if expect.len() == found.len() && pairs.all(|(matcher, found)| matcher.accepts(found)) {
            return;
        }
        let expected: Vec<String> = expect.iter().map(ToString::to_string).collect();
        let texts: Vec<String> = found.iter().map(|message| shown(message)).collect();
        let fix = Yaml::List(found.iter().map(|message| Yaml::text(*message)).collect());
        self.differs("messages", list(&expected), list(&texts), Some(fix));
    }
}

/// The requests of clusters as a file expects them, in full.
pub(crate) fn calls_yaml<'a>(calls: impl Iterator<Item = (&'a String, &'a Calls)>) -> Yaml {
    let cluster = |(name, calls): (&String, &Calls)| {
        let requests = calls.iter().map(request_yaml).collect();
        (name.clone(), Yaml::List(requests))
    };
    Yaml::Map(calls.map(cluster).collect())
}

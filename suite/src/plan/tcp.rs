//! Plays of TCP connections.

use super::{PlannedConnection, named};
use crate::case::{Step, TcpEnds, TcpFault, TcpStep, TcpUpstream};
use crate::file::{CaseFile, StepFile, TcpEndsFile, TcpFaultFile, TcpFile};
use crate::yaml::Fault;

/// What a connection is called that says nothing else.
const CLIENT: &str = "client";

pub(super) fn upstream(file: &TcpFile) -> Result<TcpUpstream, Fault> {
    let ends = file.ends.map_or(TcpEnds::WithClient, |ends| match ends {
        TcpEndsFile::WithClient => TcpEnds::WithClient,
        TcpEndsFile::AfterGreeting => TcpEnds::AfterGreeting,
        TcpEndsFile::AfterAnswer => TcpEnds::AfterAnswer,
        TcpEndsFile::Never => TcpEnds::Never,
    });
    let missing = match ends {
        TcpEnds::AfterGreeting if file.greeting.is_none() => Some("greeting"),
        TcpEnds::AfterAnswer if file.answer.is_none() => Some("answer"),
        _ => None,
    };
    if let Some(missing) = missing {
        return Err(Fault::new(format!("there is no `{missing}`")).under("ends"));
    }
    let fault = file.fault.map(|fault| match fault {
        TcpFaultFile::Refused => TcpFault::Refused,
        TcpFaultFile::Reset => TcpFault::Reset,
    });
    let cluster = |(name, file): (&String, &TcpFile)| {
        let upstream = named_upstream(name, file).map_err(|fault| fault.under(name))?;
        Ok((name.clone(), upstream))
    };
    let clusters: Result<_, Fault> = file.clusters.iter().map(cluster).collect();
    Ok(TcpUpstream {
        clusters: clusters.map_err(|fault| fault.under("clusters"))?,
        greeting: file.greeting.as_ref().map(|text| text.0.clone()),
        answer: file.answer.as_ref().map(|text| text.0.clone()),
        ends,
        fault,
    })
}

/// One that a filter may lead a connection to.
fn named_upstream(name: &str, file: &TcpFile) -> Result<TcpUpstream, Fault> {
    if name == "upstream" {
        let reason =
            "this is the cluster that connections go to; what it does stands under `tcp` itself";
        return Err(Fault::new(reason));
    }
    if !file.clusters.is_empty() {
        return Err(
            Fault::new("a cluster has no clusters; name it beside this one").under("clusters"),
        );
    }
    if file.fault == Some(TcpFaultFile::Refused) {
        let reason = "somebody listens at each of these; drop this, or say it of `tcp` itself";
        return Err(Fault::new(reason).under("fault"));
    }
    upstream(file)
}

/// The steps of a case of TCP.
pub(super) fn steps(case: &CaseFile) -> Result<(Vec<Step>, Vec<PlannedConnection>), Fault> {
    of_tcp(case)?;
    let mut play = Play::default();
    let mut steps = Vec::new();
    for (index, file) in case.steps.iter().flatten().enumerate() {
        let step = play
            .step(index, file)
            .map_err(|fault| fault.within(index).under("steps"))?;
        steps.push(step);
    }
    let connections = play.connections.into_iter();
    Ok((steps, connections.map(|(_, planned)| planned).collect()))
}

/// Refuses what is of HTTP.
fn of_tcp(case: &CaseFile) -> Result<(), Fault> {
    let of_http = [
        ("request", case.request.is_some()),
        ("upstream", case.upstream.is_some()),
        ("protocols", case.protocols.is_some()),
    ];
    if let Some((key, _)) = of_http.iter().find(|(_, given)| *given) {
        return Err(Fault::new(OF_HTTP).under(key));
    }
    let expect = case.expect.as_ref();
    if let Some(key) = expect.and_then(crate::file::CaseExpect::stream_key) {
        let reason = "this is about one connection; write it under the `expect` of its `connect`";
        return Err(Fault::new(reason).under(key).under("expect"));
    }
    Ok(())
}

const OF_HTTP: &str = "this is of HTTP, and with `tcp` the chain is of TCP filters";

#[derive(Default)]
struct Play {
    connections: Vec<(String, PlannedConnection)>,
}

impl Play {
    fn step(&mut self, index: usize, file: &StepFile) -> Result<Step, Fault> {
        let of_http = [
            ("request", file.request.is_some()),
            ("name", file.name.is_some()),
            ("connection", file.connection.is_some()),
            ("upstream", file.upstream.is_some()),
            ("reload", file.reload.is_some()),
            ("expect", file.expect.is_some()),
        ];
        if let Some((key, _)) = of_http.iter().find(|(_, given)| *given) {
            let reason = match *key {
                "name" | "expect" => "this stands within `connect`",
                "reload" => "only HTTP filters are replaced",
                _ => OF_HTTP,
            };
            return Err(Fault::new(reason).under(key));
        }
        if file.to.is_some() && file.send.is_none() {
            return Err(Fault::new("this belongs to a `send`").under("to"));
        }
        match (
            &file.connect,
            &file.send,
            &file.half_close,
            &file.disconnect,
            &file.wait,
        ) {
            (Some(connect), None, None, None, None) => {
                let name = connect.name.as_deref().unwrap_or(CLIENT);
                if self.connections.iter().any(|(known, _)| known == name) {
                    let reason = format!(
                        "a connection before is called `{name}`; give each a `name` of its own"
                    );
                    return Err(Fault::new(reason).under("connect"));
                }
                let planned = PlannedConnection {
                    expect: connect.expect.clone().unwrap_or_default(),
                    step: index,
                };
                self.connections.push((name.to_owned(), planned));
                Ok(Step::Tcp(TcpStep::Connect))
            }
            (None, Some(data), None, None, None) => {
                let number = match &file.to {
                    Some(name) => self.find(name, "to")?,
                    None => self.connections.len().checked_sub(1).ok_or_else(|| {
                        Fault::new("there is no connection yet; `connect` first").under("send")
                    })?,
                };
                Ok(Step::Tcp(TcpStep::Send(number, data.0.clone())))
            }
            (None, None, Some(name), None, None) => {
                let number = self.find(name, "half_close")?;
                Ok(Step::Tcp(TcpStep::HalfClose(number)))
            }
            (None, None, None, Some(name), None) => {
                let number = self.find(name, "disconnect")?;
                Ok(Step::Tcp(TcpStep::Abort(number)))
            }
            (None, None, None, None, Some(time)) => Ok(Step::Wait(time.0)),
            _ => Err(Fault::new(
                "expected exactly one of `connect`, `send`, `half_close`, `disconnect` and `wait`",
            )),
        }
    }

    fn find(&self, name: &str, key: &str) -> Result<usize, Fault> {
        let names: Vec<(&str, usize)> = self
            .connections
            .iter()
            .enumerate()
            .map(|(number, (name, _))| (name.as_str(), number))
            .collect();
        named(name, &names, "connection").map_err(|fault| fault.under(key))
    }
}

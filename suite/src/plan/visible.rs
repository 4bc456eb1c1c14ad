//! Whether what is expected can be seen at all: what cannot be would never fail, or never hold.

use std::collections::BTreeMap;

use crate::case::Cluster;
use crate::file::{
    CaseExpect, CaseFile, HeaderExpect, Headers, Level, LineExpect, RequestExpect, ResponseExpect,
    StreamExpect, UpstreamExpect,
};
use crate::seen::VOLATILE;
use crate::yaml::{Fault, nearest};

/// Refuses expectations that look at nothing.
pub(super) fn check(
    case: &CaseFile,
    plugins: &[&str],
    known: &BTreeMap<String, Cluster>,
) -> Result<(), Fault> {
    if let Some(expect) = &case.expect {
        stream(&expect.stream())
            .and_then(|()| log(expect, plugins))
            .and_then(|()| clusters(expect, known).map_err(|fault| fault.under("clusters")))
            .map_err(|fault| fault.under("expect"))?;
    }
    for (index, step) in case.steps.iter().flatten().enumerate() {
        if let Some(expect) = &step.expect {
            stream(expect).map_err(|fault| fault.under("expect").within(index).under("steps"))?;
        }
    }
    Ok(())
}

fn stream(expect: &StreamExpect) -> Result<(), Fault> {
    if let Some(UpstreamExpect::Request(expect)) = &expect.upstream {
        request(expect).map_err(|fault| fault.under("upstream"))?;
    }
    if let Some(ResponseExpect {
        headers,
        lacks,
        all_headers,
        ..
    }) = &expect.response
    {
        message(headers, lacks, all_headers.as_ref()).map_err(|fault| fault.under("response"))?;
    }
    Ok(())
}

fn request(expect: &RequestExpect) -> Result<(), Fault> {
    let all = expect.all_headers.as_ref();
    message(&expect.headers, &expect.lacks, all)?;
    match (&expect.body, &expect.messages) {
        (Some(_), Some(_)) => {
            let reason = "the messages are the body of a gRPC call; drop one of the two";
            Err(Fault::new(reason).under("messages"))
        }
        _ => Ok(()),
    }
}

fn clusters(expect: &CaseExpect, known: &BTreeMap<String, Cluster>) -> Result<(), Fault> {
    for (name, requests) in expect.clusters.iter().flatten() {
        if !known.contains_key(name) {
            let hint = nearest(name, known.keys().map(String::as_str)).map_or_else(
                || "say under `clusters` of the suite or the case what it answers".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Fault::new(format!("no cluster is called `{name}`; {hint}")).under(name));
        }
        for (index, expect) in requests.iter().enumerate() {
            request(expect).map_err(|fault| fault.within(index).under(name))?;
        }
    }
    Ok(())
}

fn message(headers: &HeaderExpect, lacks: &[String], all: Option<&Headers>) -> Result<(), Fault> {
    for (name, _) in &headers.0 {
        looked_at(name.as_bytes()).map_err(|fault| fault.under(name).under("headers"))?;
    }
    for (index, name) in lacks.iter().enumerate() {
        looked_at(name.as_bytes()).map_err(|fault| fault.within(index).under("lacks"))?;
    }
    for (name, _) in all.into_iter().flat_map(|all| &all.0) {
        looked_at(name).map_err(|fault| fault.under("all_headers"))?;
    }
    Ok(())
}

fn looked_at(name: &[u8]) -> Result<(), Fault> {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    if name.starts_with(':') {
        return Err(Fault::new(format!(
            "`{name}` is not on the wire; expected a header's name, or the keys `method`, `path` \
             and `status`, and `host` for the authority"
        )));
    }
    if VOLATILE.contains(&name.as_str()) {
        return Err(Fault::new(format!(
            "`{name}` is never looked at, because it differs each time; drop it"
        )));
    }
    Ok(())
}

fn log(expect: &CaseExpect, plugins: &[&str]) -> Result<(), Fault> {
    for (key, lines) in [
        ("log", &expect.log),
        ("log_has", &expect.log_has),
        ("log_lacks", &expect.log_lacks),
    ] {
        for (index, expected) in lines.iter().flatten().enumerate() {
            line(expected, plugins).map_err(|fault| fault.within(index).under(key))?;
        }
    }
    Ok(())
}

fn line(expected: &LineExpect, plugins: &[&str]) -> Result<(), Fault> {
    if let Some(level @ (Level::Trace | Level::Debug)) = expected.level {
        let reason = format!(
            "lines of level {} are not looked at; Envoy logs from info on",
            level.word()
        );
        return Err(Fault::new(reason).under("level"));
    }
    if let Some(plugin) = &expected.plugin
        && !plugins.contains(&plugin.as_str())
    {
        let hint = nearest(plugin, plugins.iter().copied()).map_or_else(
            || format!("expected one of `{}`", plugins.join("`, `")),
            |near| format!("did you mean `{near}`?"),
        );
        let reason = format!("no plugin of the case is called `{plugin}`; {hint}");
        return Err(Fault::new(reason).under("plugin"));
    }
    Ok(())
}

//! Clusters that filters call out to.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::{lines, reply};
use super::{protocol, speakable};
use crate::case::{Cluster, Grpc, GrpcPart, GrpcStatus, HeaderLine, Protocol};
use crate::file::{ClusterFile, FaultFile, GrpcFile, GrpcPartFile, Headers, ProtocolFile, Text};
use crate::yaml::Fault;

/// What clusters answer.
pub(super) fn clusters(
    files: &BTreeMap<String, ClusterFile>,
) -> Result<BTreeMap<String, Cluster>, Fault> {
    let answer = |(name, file): (&String, &ClusterFile)| {
        if name == "upstream" {
            return Err(Fault::new(
                "this is the cluster that requests are routed to; what it answers stands under \
                 the `upstream` of the suite or the case",
            ));
        }
        Ok((name.clone(), cluster(file)?))
    };
    let answers = files
        .iter()
        .map(|entry| answer(entry).map_err(|fault| fault.under(entry.0).under("clusters")));
    answers.collect()
}

fn cluster(file: &ClusterFile) -> Result<Cluster, Fault> {
    let Some(grpc) = &file.grpc else {
        let spoken = file.protocol.unwrap_or_default();
        speakable(&file.reply(), spoken)?;
        return Ok(Cluster {
            protocol: protocol(spoken),
            answer: reply(&file.reply())?,
            grpc: None,
        });
    };
    if let Some(key) = file.plain_key() {
        let reason = "with `grpc` all of the answer stands there";
        return Err(Fault::new(reason).under(key));
    }
    if file.protocol == Some(ProtocolFile::Http1) {
        return Err(Fault::new("gRPC is spoken over HTTP/2; drop this").under("protocol"));
    }
    // A stream is cut after its messages, and they are no chunks.
    let cut = file.fault == Some(FaultFile::Cut);
    let mut plain = file.reply();
    if cut {
        plain.fault = None;
    }
    speakable(&plain, ProtocolFile::Http2)?;
    let mut answer = reply(&plain)?;
    if cut {
        answer.fault = Some(crate::case::Fault::Cut);
    }
    Ok(Cluster {
        protocol: Protocol::Http2,
        answer,
        grpc: Some(server(grpc, cut).map_err(|fault| fault.under("grpc"))?),
    })
}

fn server(file: &GrpcFile, cut: bool) -> Result<Grpc, Fault> {
    if file.trailers_only && !file.messages.is_empty() {
        let reason = "an answer with messages has more than trailers; drop one of the two";
        return Err(Fault::new(reason).under("trailers_only"));
    }
    let given = file.status.is_some() || file.status_message.is_some();
    if cut && (given || !file.trailers.0.is_empty()) {
        let reason = "an answer that is `cut` has no status and no trailers";
        return Err(Fault::new(reason));
    }
    let part = |key: &str, part: &Option<GrpcPartFile>| match part {
        Some(file) => self::part(file).map_err(|fault| fault.under(key)),
        None => Ok(GrpcPart::default()),
    };
    let status = file.status.unwrap_or(0);
    let end = (!cut).then_some(status);
    Ok(Grpc {
        metadata: metadata(&file.metadata, "metadata")?,
        opening: part("opening", &file.opening)?,
        each_message: part("each_message", &file.each_message)?,
        last: GrpcPart {
            after: Duration::ZERO,
            messages: messages(&file.messages),
            status: ended(end, file.status_message.as_ref(), &file.trailers)?,
        },
        trailers_only: file.trailers_only,
    })
}

fn part(file: &GrpcPartFile) -> Result<GrpcPart, Fault> {
    let lonely = [
        ("status_message", file.status_message.is_some()),
        ("trailers", !file.trailers.0.is_empty()),
    ];
    if let (None, Some((key, _))) = (file.status, lonely.iter().find(|(_, given)| *given)) {
        return Err(Fault::new("this belongs to a `status`").under(key));
    }
    Ok(GrpcPart {
        after: file.after.map_or(Duration::ZERO, |after| after.0),
        messages: messages(&file.messages),
        status: ended(file.status, file.status_message.as_ref(), &file.trailers)?,
    })
}

fn ended(
    code: Option<u32>,
    message: Option<&String>,
    trailers: &Headers,
) -> Result<Option<GrpcStatus>, Fault> {
    let trailers = metadata(trailers, "trailers")?;
    let message = message.cloned().unwrap_or_default();
    if message.chars().any(char::is_control) {
        let reason = "expected a text without control characters, which a server writes as `%0A`";
        return Err(Fault::new(reason).under("status_message"));
    }
    Ok(code.map(|code| GrpcStatus {
        code,
        message,
        trailers,
    }))
}

fn messages(texts: &[Text]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.0.clone()).collect()
}

/// What HTTP/2 carries: names in lower case.
fn metadata(headers: &Headers, key: &str) -> Result<Vec<HeaderLine>, Fault> {
    for (name, _) in &headers.0 {
        let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
        if matches!(&*lower, "grpc-status" | "grpc-message" | "content-type") {
            let reason = format!("`{lower}` is written from the other keys; drop it");
            return Err(Fault::new(reason).under(key));
        }
    }
    let mut lines = lines(headers, key)?;
    for (name, _) in &mut lines {
        name.make_ascii_lowercase();
    }
    Ok(lines)
}

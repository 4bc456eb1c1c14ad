//! A request as a person, or a program, is told of it.

use attache_envoy::http1::Header;
use attache_envoy::printable;
use attache_module::{harmless_line, harmless_lines, trap_advice};
use serde_json::{Value, json};

use super::proxy::{Answer, Message};

/// What Envoy itself does to every message, and says nothing about a filter.
const OF_ENVOY: [&str; 8] = [
    "connection",
    "content-length",
    "date",
    "host",
    "server",
    "transfer-encoding",
    "x-forwarded-proto",
    "x-request-id",
];

/// How much of a body is shown.
const SHOWN: usize = 200;

/// A block: the request, what is not what it was, and who did it.
pub(super) fn text(answer: &Answer) -> String {
    let request = &answer.request;
    let start = format!(
        "{} {}",
        printable(&request.method),
        printable(&request.target)
    );
    let end = match &answer.response {
        Some(response) => response.status.to_string(),
        None => answer.outcome.clone(),
    };
    let mut text = format!("\n{start} {end}\n");
    if let Some(broken) = &answer.broken {
        text.push_str(&format!("  error: {}\n", harmless_line(broken)));
        return text;
    }
    match &answer.upstream {
        None => text.push_str("  the upstream received nothing\n"),
        Some(received) => {
            let sent = lines(start, &request.headers, &request.body);
            let pseudo = |name: &str| {
                let found = received
                    .headers
                    .iter()
                    .find(|it| it.name == name.as_bytes());
                found.map_or_else(String::new, |it| printable(&it.value))
            };
            let start = format!("{} {}", pseudo(":method"), pseudo(":path"));
            let received = lines(start, &received.headers, &received.body);
            text.push_str(&changes("to the upstream", &sent, &received));
        }
    }
    if let (Some(answered), Some(got)) = (&answer.answered, &answer.response) {
        let of = |it: &Message| lines(it.status.to_string(), &it.headers, &it.body);
        text.push_str(&changes("to the client", &of(answered), &of(got)));
    }
    let mut by = "";
    for (plugin, call) in &answer.changes {
        if plugin != by {
            text.push_str(&format!("  {plugin} called:\n"));
            by = plugin;
        }
        text.push_str(&format!("      {call}\n"));
    }
    for cluster in &answer.missing {
        text.push_str(&format!(
            "  there is no cluster `{0}` here: --cluster {0}=HOST:PORT gives the filter one, and a suite plays one \
             (`clusters`)\n",
            harmless_line(cluster)
        ));
    }
    for line in answer.log.iter().chain(&answer.lints) {
        text.push_str(&format!("  {}\n", harmless_lines(line, "    ")));
    }
    if let Some(advice) = trap_advice(&answer.log.concat()).filter(|_| answer.missing.is_empty()) {
        text.push_str(&format!("  {advice}\n"));
    }
    text
}

pub(super) fn json(answer: &Answer) -> Value {
    let headers = |headers: &[Header]| -> Value {
        let pair = |header: &Header| json!([printable(&header.name), printable(&header.value)]);
        headers.iter().map(pair).collect()
    };
    let message =
        |it: &Message| json!({ "headers": headers(&it.headers), "body": printable(&it.body) });
    let response = |it: &Message| {
        json!({
            "status": it.status,
            "headers": headers(&it.headers),
            "body": printable(&it.body),
        })
    };
    let changes = answer
        .changes
        .iter()
        .map(|(plugin, call)| json!({ "filter": plugin, "call": call }));
    json!({
        "on": "harness",
        "request": {
            "method": printable(&answer.request.method),
            "path": printable(&answer.request.target),
            "headers": headers(&answer.request.headers),
            "body": printable(&answer.request.body),
        },
        "upstream": answer.upstream.as_ref().map(message),
        "response": answer.response.as_ref().map(response),
        "outcome": answer.outcome,
        "changes": changes.collect::<Value>(),
        "log": answer.log,
        "lints": answer.lints,
        "missing_clusters": answer.missing,
        "error": answer.broken,
    })
}

/// The lines of a message that a filter has a say in.
fn lines(start: String, headers: &[Header], body: &[u8]) -> Vec<String> {
    let mut lines = vec![start];
    for header in headers {
        let name = printable(&header.name.to_ascii_lowercase());
        let of_envoy = OF_ENVOY.contains(&name.as_str()) || name.starts_with("x-envoy-");
        if !of_envoy && !name.starts_with(':') {
            lines.push(format!("{name}: {}", printable(&header.value)));
        }
    }
    if !body.is_empty() {
        let start: String = printable(body).chars().take(SHOWN).collect();
        lines.push(format!("(body): {start}"));
    }
    lines
}

/// The lines that are only in one of two messages.
fn changes(title: &str, before: &[String], after: &[String]) -> String {
    let mut left = after.to_vec();
    let mut text = String::new();
    for line in before {
        match left.iter().position(|it| it == line) {
            Some(at) => drop(left.remove(at)),
            None => text.push_str(&format!("    - {line}\n")),
        }
    }
    for line in left {
        text.push_str(&format!("    + {line}\n"));
    }
    match text.is_empty() {
        true => format!("  {title}: nothing changed\n"),
        false => format!("  {title}:\n{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_the_same_are_not_told() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            changes("there", &lines("a b b"), &lines("b c a")),
            "  there:\n    - b\n    + c\n"
        );
        assert_eq!(
            changes("there", &lines("a b"), &lines("b a")),
            "  there: nothing changed\n"
        );
    }
}

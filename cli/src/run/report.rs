//! What a person, or a program, is told about a comparison.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use attache_envoy::http1::{Header, Response};
use attache_envoy::upstream::Request;
use attache_envoy::{Envoy, Installation, Version, printable};
use serde_json::{Value, json};

use crate::screen::{Screen, Tone, bytes, shown};
use crate::subject::Loaded;

use super::Stage;
use super::chain;
use super::comparison::{column, render, rows};
use super::exchange::{Exchange, Exchanges, Sample};

pub(super) struct Report<'a> {
    loaded: &'a [Loaded],
    envoy: Version,
    config: &'a Path,
    log: &'a Path,
    through: SocketAddr,
    past: SocketAddr,
    admin: SocketAddr,
    sample: &'a Sample,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        loaded: &'a [Loaded],
        installation: &Installation,
        stage: &'a Stage,
        envoy: &'a Envoy,
        sample: &'a Sample,
    ) -> Self {
        Self {
            loaded,
            envoy: installation.version,
            config: &stage.config,
            log: envoy.log_path(),
            through: stage.through,
            past: stage.past,
            admin: envoy.admin_address(),
            sample,
        }
    }

    pub(super) fn to_text(&self, exchanges: &Exchanges, screen: &Screen) -> String {
        let Exchanges { past, through } = exchanges;
        let names = chain::title(self.loaded);
        let name = screen.tint(Tone::Strong, &names);
        let column = column(screen);
        let title = |text: &str| {
            let with = format!("with {names}");
            format!(
                "\n{}\n   {:<column$} │ {with}\n",
                screen.tint(Tone::Strong, text),
                "without the filter"
            )
        };
        let mut text = format!("\n{name} in Envoy {}\n", self.envoy);

        if self.sample.is_echoed() {
            self.upstream(
                exchanges,
                &title("What the upstream received"),
                &mut text,
                screen,
            );
        }
        text.push_str(&title("What the client got"));
        let (left, right) = (
            response_lines(&past.response),
            response_lines(&through.response),
        );
        text.push_str(&render(&rows(&left, &right), screen));

        text.push('\n');
        for loaded in self.loaded {
            let size = bytes(loaded.bytes.len() as u64);
            text.push_str(&format!("  {} is {size}\n", shown(&loaded.path)));
        }
        if self.sample.is_echoed() {
            text.push_str(&format!(
                "  Envoy took {} with the filter, {} without (medians, by its own clock)\n",
                microseconds(through.took),
                microseconds(past.took),
            ));
        }
        text
    }

    fn upstream(&self, exchanges: &Exchanges, title: &str, text: &mut String, screen: &Screen) {
        let Exchanges { past, through } = exchanges;
        let lines = |exchange: &Exchange| {
            exchange
                .upstream
                .as_ref()
                .map_or_else(|| vec!["(nothing)".to_owned()], request_lines)
        };
        text.push_str(title);
        text.push_str(&render(&rows(&lines(past), &lines(through)), screen));
    }

    /// Where everything is, and what to do with it.
    pub(super) fn what_next(
        &self,
        live: Option<SocketAddr>,
        filters: usize,
        unused: Option<&Path>,
    ) -> String {
        let mut text = format!(
            "  configuration  {}\n  Envoy's log    {}\n",
            shown(self.config),
            shown(self.log)
        );
        if let (Some(path), [own]) = (unused, self.loaded) {
            text.push_str(&format!(
                "\n`{}` ran without a configuration; --config {} gives it the one of its folder.\n",
                own.name,
                shown(path)
            ));
        }
        let Some(live) = live else {
            text.push_str("\nRun it without --once to send requests of your own.\n");
            return text;
        };
        text.push_str(&format!(
            "  admin          http://{}\n  past filter    http://{}\n\n\
             Now send a request of your own, and see here what becomes of it:\n  {}\n\
             http://{} is Envoy itself.\n\n",
            self.admin,
            self.past,
            self.sample.curl(live),
            self.through,
        ));
        match self.loaded {
            [own] if own.target.is_some() => text.push_str(&format!(
                "Change the filter's source and it reloads; `cargo test -p {}` runs its tests.\n",
                own.name
            )),
            [_] => text.push_str("Replace the module and it reloads.\n"),
            _ => text.push_str("Change a source or a module, and that filter reloads.\n"),
        }
        let config = if filters == 1 { "FILE" } else { "NAME=FILE" };
        text.push_str(&format!(
            "Give it a configuration with --config {config}. Ctrl-C ends it all.\n"
        ));
        text
    }

    pub(super) fn to_json(&self, exchanges: &Exchanges) -> String {
        let module = |loaded: &Loaded| json!({ "path": loaded.path, "bytes": loaded.bytes.len() });
        let modules: Vec<Value> = self.loaded.iter().map(module).collect();
        let line = json!({
            "filter": chain::title(self.loaded),
            "module": modules.first(),
            "modules": modules,
            "envoy": {
                "version": self.envoy.to_string(),
                "configuration": self.config,
                "log": self.log,
                "admin": self.admin.to_string(),
            },
            "past": exchange_json(&exchanges.past, self.past),
            "through": exchange_json(&exchanges.through, self.through),
        });
        format!("{line}\n")
    }
}

fn exchange_json(exchange: &Exchange, listener: SocketAddr) -> Value {
    json!({
        "listener": listener.to_string(),
        "upstream": exchange.upstream.as_ref().map(|request| json!({
            "method": printable(&request.method),
            "path": printable(&request.target),
            "headers": headers_json(&request.headers),
        })),
        "response": {
            "status": exchange.response.status,
            "headers": headers_json(&exchange.response.headers),
        },
        "envoy_microseconds": exchange.took.map(|took| took.as_micros()),
    })
}

pub(super) fn headers_json(headers: &[Header]) -> Value {
    headers
        .iter()
        .map(|header| json!([printable(&header.name), printable(&header.value)]))
        .collect()
}

fn request_lines(request: &Request) -> Vec<String> {
    let line = format!(
        "{} {}",
        printable(&request.method),
        printable(&request.target)
    );
    message_lines(line, &request.headers, &request.body)
}

fn response_lines(response: &Response) -> Vec<String> {
    let line = format!("{} {}", response.status, response.reason);
    message_lines(line, &response.headers, &response.body)
}

pub(super) fn message_lines(first: String, headers: &[Header], body: &[u8]) -> Vec<String> {
    let mut lines = vec![first];
    for header in headers {
        lines.push(format!(
            "{}: {}",
            printable(&header.name),
            printable(&header.value)
        ));
    }
    if !body.is_empty() {
        lines.push(format!("(body): {}", bytes(body.len() as u64)));
    }
    lines
}

fn microseconds(took: Option<Duration>) -> String {
    took.map_or_else(
        || "an unknown time".to_owned(),
        |took| format!("{} us", took.as_micros()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_with_the_size_of_its_body() {
        let lines = message_lines(
            "GET / HTTP/1.1".to_owned(),
            &[Header::new("a", "b")],
            b"xyz",
        );
        assert_eq!(lines, ["GET / HTTP/1.1", "a: b", "(body): 3 B"]);
    }
}

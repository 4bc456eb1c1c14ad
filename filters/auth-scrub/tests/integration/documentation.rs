//! What the README says is what the module does.

use attache_harness::{Host, HostError, Request, plugin};
use serde_json::Value;

const README: &str = include_str!("../../README.md");

/// The words in backticks of the table's row that begins with `title`.
fn row(title: &str) -> Vec<&'static str> {
    let start = format!("| {title} | ");
    let line = README.lines().find(|line| line.starts_with(&start));
    let names = line
        .expect("the README has the row")
        .trim_start_matches(&start);
    names.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_table_of_defaults_is_right() -> Result<(), HostError> {
    let mut host = Host::with(plugin!("auth-scrub"))?;
    let (headers, parameters) = (row("request headers"), row("query parameters"));
    assert_eq!((headers.len(), parameters.len()), (8, 10));
    for header in headers {
        let exchange = host.send(Request::get("/").header(header, "s"))?;
        assert!(
            !exchange.upstream_request().headers().contains_key(header),
            "{header}"
        );
    }
    for parameter in parameters {
        let exchange = host.send(Request::get(format!("/?{parameter}=s")))?;
        assert_eq!(exchange.upstream_request().path(), b"/", "{parameter}");
    }
    Ok(())
}

#[test]
fn the_example_of_a_configuration_works() -> Result<(), HostError> {
    let (_, rest) = README
        .split_once("```json\n")
        .expect("the README has an example");
    let (example, _) = rest.split_once("```").expect("the example ends");
    let example: Value = serde_json::from_str(example).expect("the example is JSON");
    let mut host = Host::with(plugin!("auth-scrub").config(example))?;
    let exchange = host.send(Request::get("/?partner_key=s").header("x-partner-key", "s"))?;
    assert_eq!(exchange.upstream_request().path(), b"/");
    assert!(
        !exchange
            .upstream_request()
            .headers()
            .contains_key("x-partner-key")
    );
    Ok(())
}

//! What filters cost, as `attache bench` says it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::program::{folder, program};
use super::suite;
use crate::both::module;

/// The measurements that the program prints as JSON, for auth-scrub.
fn measured(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let module = module("auth-scrub");
    let module = module.to_str().unwrap();
    let words = [&["bench", module, "--json"], arguments].concat();
    let (status, out, err) = program(folder, &words);
    assert_eq!(status, Some(0), "{err}");
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn costs_are_counted_by_callback_and_the_same_each_time() {
    let folder = folder("bench");
    let first = measured(&folder, &["--save", "numbers.jsonl"]);
    assert_eq!(first, measured(&folder, &[]));

    let named: Vec<&Value> = first.iter().map(|line| &line["bench"]).collect();
    assert_eq!(
        named,
        [
            "start",
            "get",
            "credentials",
            "post-json",
            "stream",
            "error"
        ]
    );
    let figure = |line: &Value, name: &str| line[name].as_u64().unwrap();
    for line in &first {
        assert_eq!(line["subject"], "auth-scrub");
        for name in ["fuel", "host_calls", "crossings", "bytes_copied"] {
            let phases = line["phases"].as_array().unwrap();
            let sum: u64 = phases.iter().map(|phase| figure(phase, name)).sum();
            assert_eq!(sum, figure(line, name), "{name} of {line}");
        }
    }
    assert_eq!(
        first[1]["phases"][1]["callback"],
        "proxy_on_request_headers"
    );
    assert!(figure(&first[2], "host_calls") > figure(&first[1], "host_calls"));
    assert_eq!(first[1]["ended"], "200");
    assert_eq!(
        (&first[1]["growth"], &first[0]["growth"]),
        (&0.into(), &Value::Null)
    );
    assert!(figure(&first[0], "memory") >= 1 << 20);

    let saved = fs::read_to_string(folder.join("numbers.jsonl")).unwrap();
    let saved: Vec<Value> = saved
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(saved, first);
}

#[test]
fn what_costs_more_than_before_fails() {
    let folder = folder("bench-compare");
    let before = measured(&folder, &[]);
    let module = module("auth-scrub");
    let compare = |change: &dyn Fn(&mut Vec<Value>), arguments: &[&str]| {
        let mut before = before.clone();
        change(&mut before);
        let lines: Vec<String> = before.iter().map(|line| format!("{line}\n")).collect();
        fs::write(folder.join("before.jsonl"), lines.concat()).unwrap();
        let words = [
            "bench",
            module.to_str().unwrap(),
            "--compare",
            "before.jsonl",
        ];
        let (status, out, _) = program(&folder, &[&words, arguments].concat());
        let verdict = out.split_once("Compared with before.jsonl\n").unwrap().1;
        (status, verdict.to_owned())
    };

    let same = compare(&|_| (), &[]);
    assert_eq!(
        same,
        (Some(0), "0 worse by more than 2 %, 0 better\n".into())
    );

    // One call of two is more than any tolerance in use.
    let fewer = |lines: &mut Vec<Value>| lines[1]["host_calls"] = 1.into();
    let (status, verdict) = compare(&fewer, &[]);
    assert_eq!(status, Some(1));
    assert!(
        verdict.contains("auth-scrub get host calls: 1 before, 2 now (+100.0 %) WORSE\n1 worse"),
        "{verdict}"
    );

    let a_little = |lines: &mut Vec<Value>| {
        let fuel = lines[3]["fuel"].as_u64().unwrap();
        lines[3]["fuel"] = (fuel * 99 / 100).into();
    };
    assert_eq!(compare(&a_little, &[]).0, Some(0));
    assert_eq!(compare(&a_little, &["--tolerance", "0.5"]).0, Some(1));

    let more = |lines: &mut Vec<Value>| lines[2]["fuel"] = 900_000.into();
    let (status, verdict) = compare(&more, &[]);
    assert_eq!(status, Some(0));
    assert!(
        verdict.ends_with("0 worse by more than 2 %, 1 better\n"),
        "{verdict}"
    );

    let renamed = |lines: &mut Vec<Value>| lines[4]["bench"] = "other".into();
    let (status, verdict) = compare(&renamed, &[]);
    assert_eq!(status, Some(1));
    assert!(
        verdict.contains("auth-scrub stream: not measured before"),
        "{verdict}"
    );
    assert!(
        verdict.contains("auth-scrub other: measured before, and not now"),
        "{verdict}"
    );
}

#[test]
fn cases_of_a_suite_are_counted_as_they_are_played() {
    let folder = folder("bench-suite");
    let text =
        suite("request: {headers: {authorization: Bearer x}}\nexpect: {response: {status: 999}}");
    fs::write(folder.join("s.suite.yaml"), text).unwrap();
    let (status, out, err) = program(&folder, &["bench", "s.suite.yaml"]);
    assert_eq!(status, Some(0), "{err}");
    assert!(out.starts_with("s.suite.yaml  "), "{out}");
    assert!(out.contains("\n  a case\n    context_create "), "{out}");
    assert!(out.contains("\n    all "), "{out}");
}

#[test]
fn what_cannot_be_measured_says_why_and_what_to_do() {
    let folder = folder("bench-refuses");
    let transform = module("transform");
    let tcp = module("tcp-allow-list");
    let scrub = module("auth-scrub");
    fs::write(folder.join("not.jsonl"), "{}\n").unwrap();
    fs::write(folder.join("empty.jsonl"), "").unwrap();
    fs::write(folder.join("s.suite.yaml"), suite("request: {}")).unwrap();
    let scrub = scrub.to_str().unwrap();
    for (arguments, reason) in [
        (&["nowhere.wasm"][..], "there is no file `nowhere.wasm`"),
        (&["no-such-filter"], "no-such-filter"),
        (
            &[transform.to_str().unwrap()],
            "give it one with --config FILE",
        ),
        (&[tcp.to_str().unwrap()], "`attache bench FILE.suite.yaml`"),
        (
            &[scrub, "--config", "none.json"],
            "cannot read the configuration `none.json`",
        ),
        (
            &[scrub, "--config", r#"{"request": []}"#],
            "is a configuration, and `--config` takes the file of one",
        ),
        (
            &["s.suite.yaml", "--on", "envoy"],
            "is a suite, whose cases are counted on the harness",
        ),
        (
            &[scrub, "--on", "envoy", "--save", "x.jsonl"],
            "times on Envoy hold for one machine and one hour",
        ),
        (
            &[scrub, "--on", "envoy", "--config", "none.json"],
            "cannot read the configuration `none.json`",
        ),
        (
            &["s.suite.yaml", "--config", "not.jsonl"],
            "measure it without --config and --root-id",
        ),
        (
            &["not.jsonl"],
            "`not.jsonl` is neither a folder with a `Cargo.toml` nor a file that ends in `.wasm`",
        ),
        (
            &["attache-module"],
            "`attache-module` makes no module: it has no library of the crate type `cdylib`",
        ),
        (
            &[scrub, "--compare", "none.jsonl"],
            "cannot read the numbers `none.jsonl`",
        ),
        (
            &[scrub, "--compare", "not.jsonl"],
            "not.jsonl:1: expected a measurement",
        ),
        (&[scrub, "--compare", "empty.jsonl"], "holds no measurement"),
    ] {
        let (status, out, err) = program(&folder, &[&["bench"], arguments].concat());
        assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains(reason), "{err}");
    }
    let (status, _, err) = program(&folder, &["bench", scrub, "--on", "envoy", "--rounds", "3"]);
    assert_eq!(status, Some(2));
    assert!(err.contains("expected 20 to 10000 rounds"), "{err}");
    let (status, _, err) = program(&folder, &["bench", scrub, "--tolerance", "much"]);
    assert_eq!(status, Some(2));
    assert!(err.contains("expected a number of percent"), "{err}");
}

#[test]
#[ignore = "needs Envoy"]
fn processor_time_on_envoy_is_told_with_its_interval_and_what_it_is_worth() {
    let folder = folder("bench-envoy");
    let (scrub, denies) = (module("auth-scrub"), module("deny-list"));
    let scrub = scrub.to_str().unwrap();
    let words = ["bench", scrub, "--on", "envoy", "--rounds", "20", "--json"];
    let (status, out, err) = program(&folder, &words);
    assert_eq!(status, Some(0), "{err}");
    let lines: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let benches: Vec<&str> = lines.iter().filter_map(|it| it["bench"].as_str()).collect();
    assert_eq!(benches, ["get", "credentials", "post-json"]);
    for line in &lines {
        assert_eq!(
            (&line["status"], &line["rounds"]),
            (&200.into(), &20.into())
        );
        for key in [
            "microseconds",
            "microseconds_without",
            "ratio",
            "ratio_of_nothing",
        ] {
            let interval: Vec<f64> = serde_json::from_value(line[key].clone()).unwrap();
            assert!(interval.is_sorted() && interval[0] > 0.0, "{line}");
        }
        assert!(line["verdict"].is_string(), "{line}");
    }

    // Denied requests never reach the upstream: that is other work, and nothing is claimed.
    fs::write(folder.join("deny.json"), r#"{"paths": ["/orders"]}"#).unwrap();
    let denies = denies.to_str().unwrap();
    let words = [
        "bench",
        denies,
        "--config",
        "deny.json",
        "--on",
        "envoy",
        "--rounds",
        "20",
    ];
    let (status, out, err) = program(&folder, &words);
    assert_eq!(status, Some(0), "{err}");
    assert!(
        out.contains("nothing is claimed: the answer is 403 with it and 200 without"),
        "{out}"
    );

    fs::write(folder.join("bad.json"), r#"{"no_such_field": 1}"#).unwrap();
    let words = ["bench", denies, "--config", "bad.json", "--on", "envoy"];
    let (status, _, err) = program(&folder, &words);
    assert_eq!(status, Some(1));
    assert!(
        err.contains("Envoy does not start with the filters"),
        "{err}"
    );
    assert!(err.contains("no_such_field"), "{err}");
}

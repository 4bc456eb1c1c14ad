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

    let traps = module("probe");
    fs::write(
        folder.join("trap.json"),
        r#"{"request_headers": [{"trap": true}]}"#,
    )
    .unwrap();
    fs::write(folder.join("not.jsonl"), "{}\n").unwrap();
    fs::write(folder.join("empty.jsonl"), "").unwrap();
    fs::write(folder.join("s.suite.yaml"), suite("request: {}")).unwrap();
    fs::write(folder.join("none.lua"), "-- nothing\n").unwrap();
    let whole = "static_resources: {listeners: []}\n";
    fs::write(folder.join("whole.yaml"), whole).unwrap();
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
            &[traps.to_str().unwrap(), "--config", "trap.json"],
            "the module traps, and has no cost to count",
        ),
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
            &[scrub, "--lua", "none.lua"],
            "--lua is for what is measured in Envoy: add --on envoy",
        ),
        (&[scrub, "--rounds", "40"], "add --on envoy"),
        (&[scrub, "--envoy", "1.39"], "add --on envoy"),
        (
            &[scrub, "--on", "envoy", "--lua", "nowhere.lua"],
            "cannot read `nowhere.lua`",
        ),
        (
            &[scrub, "--on", "envoy", "--lua", "none.lua"],
            "neither `envoy_on_request` nor `envoy_on_response`",
        ),
        (
            &[scrub, "--on", "envoy", "--lua", "whole.yaml"],
            "`--native whole.yaml` takes an entry of a bootstrap",
        ),
        (
            &[scrub, "--on", "envoy", "--native", "none.lua"],
            "`none.lua` is a script: `--lua none.lua` takes it",
        ),
        (
            &[scrub, "--on", "envoy", "--native", "whole.yaml"],
            "`static_resources` belongs to a whole configuration",
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

/// The files beside a filter that do the same as it does, as far as the measured requests tell.
#[test]
#[ignore = "needs Envoy"]
fn filters_are_compared_with_lua_and_native_ones_that_do_the_same() {
    let folder = folder("bench-rivals");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../filters");
    let file = |name: &str| root.join(name).display().to_string();
    let lines = |words: &[&str]| -> Vec<Value> {
        let all = [
            &["bench", "--on", "envoy", "--rounds", "20", "--json"],
            words,
        ]
        .concat();
        let (status, out, err) = program(&folder, &all);
        assert_eq!(status, Some(0), "{err}");
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let (scrub, transform) = (module("auth-scrub"), module("transform"));
    let of_scrub = lines(&[
        scrub.to_str().unwrap(),
        "--native",
        &file("auth-scrub/bench/header_mutation.yaml"),
        "--lua",
        &file("auth-scrub/bench/scrub.lua"),
    ]);
    let of_transform = lines(&[
        transform.to_str().unwrap(),
        "--config",
        &file("transform/bench/headers-and-query.json"),
        "--native",
        &file("transform/bench/headers-and-query.yaml"),
        "--lua",
        &file("transform/bench/headers-and-query.lua"),
    ]);
    // The module, the native filter and the script, for each of three requests.
    assert_eq!((of_scrub.len(), of_transform.len()), (9, 9));
    for (line, at) in of_scrub.iter().chain(&of_transform).zip((0..3).cycle()) {
        assert_eq!(line["kind"], ["module", "native", "lua"][at], "{line}");
        let to = line["to"].as_array().unwrap();
        assert_eq!(to.len(), if at == 0 { 2 } else { 0 }, "{line}");
        for other in to {
            let ratio: Vec<f64> = serde_json::from_value(other["ratio"].clone()).unwrap();
            assert!(ratio.is_sorted() && ratio[0] > 0.0, "{other}");
        }
    }
    let does_otherwise = |line: &Value, at: usize| line["to"][at]["does_otherwise"].clone();
    for line in of_scrub.iter().step_by(3) {
        for at in [0, 1] {
            assert_eq!(does_otherwise(line, at), Value::Array(Vec::new()), "{line}");
        }
    }
    for line in of_transform.iter().step_by(3) {
        // Envoy's own filter writes a query in its own way where a parameter is without a value it knows.
        assert_eq!(does_otherwise(line, 1), Value::Array(Vec::new()), "{line}");
    }
}

#[test]
#[ignore = "needs Envoy"]
fn a_second_module_is_compared_with_the_first_and_what_it_does_otherwise_is_named() {
    let folder = folder("bench-second");
    let (scrub, adds) = (module("auth-scrub"), module("add-header"));
    fs::write(
        folder.join("c.json"),
        r#"{"request": [{"name": "x-from", "value": "proxy"}]}"#,
    )
    .unwrap();
    fs::copy(&adds, folder.join("other.wasm")).unwrap();
    let words = [
        "bench",
        adds.to_str().unwrap(),
        "other.wasm",
        "--config",
        "c.json",
    ];
    let (status, out, err) = program(
        &folder,
        &[&words[..], &["--on", "envoy", "--rounds", "20"]].concat(),
    );
    assert_eq!(status, Some(0), "{err}");
    let blocks = out.matches("\n  to add-header\n").count();
    assert_eq!(blocks, 3, "the second to the first, by each request: {out}");
    assert!(!out.contains("\n  to other\n"), "{out}");
    assert!(!out.contains("do not do the same"), "{out}");

    fs::write(
        folder.join("add.lua"),
        "function envoy_on_request(h)\n  h:headers():add('x-lua', '1')\nend\n",
    )
    .unwrap();
    let words = [
        "bench",
        scrub.to_str().unwrap(),
        "--lua",
        "add.lua",
        "--on",
        "envoy",
    ];
    let (status, out, err) = program(&folder, &[&words[..], &["--rounds", "20"]].concat());
    assert_eq!(status, Some(0), "{err}");
    assert!(
        out.contains("they do not do the same to this request: to the upstream `x-lua` differs"),
        "{out}"
    );

    fs::write(folder.join("bad.lua"), "function envoy_on_request(h)\n").unwrap();
    let words = [
        "bench",
        scrub.to_str().unwrap(),
        "--lua",
        "bad.lua",
        "--on",
        "envoy",
    ];
    let (status, _, err) = program(&folder, &words);
    assert_eq!(status, Some(1));
    assert!(
        err.contains("Envoy does not start with the filters"),
        "{err}"
    );
    assert!(err.contains("'end' expected"), "{err}");
}

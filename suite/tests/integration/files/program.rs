//! What the program says, and how it exits.

use std::path::Path;
use std::process::Command;

use attache_envoy::RunFolder;

use super::{sharing, suite};
use crate::both::{self, module};

pub(super) fn folder(name: &str) -> RunFolder {
    let folder = both::folder(name);
    std::fs::create_dir_all(folder.join("below")).unwrap();
    folder
}

/// Status, standard output and standard error of the program.
pub(super) fn program(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_attache-test"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_program_finds_suites_plays_them_and_says_how_it_went() {
    let folder = folder("program");
    let good = suite("request: {}\nexpect: {response: {status: 200}}");
    std::fs::write(folder.join("below/good.suite.yaml"), &good).unwrap();
    let (status, out, err) = program(&folder, &[]);
    assert_eq!(status, Some(0), "{err}");
    assert!(
        out.starts_with("below/good.suite.yaml\n  ok     a case\n1 passed in "),
        "{out}"
    );
    assert!(!out.contains('\x1b'));

    let bad = suite("request: {}\nexpect: {response: {status: 201}}");
    std::fs::write(folder.join("bad.suite.yaml"), bad).unwrap();
    std::fs::write(folder.join("worse.suite.yaml"), "version: 1\n").unwrap();
    let (status, out, err) = program(&folder, &["."]);
    assert_eq!(status, Some(1));
    assert!(
        out.contains("1 passed, 1 failed, 1 suite could not be played in "),
        "{out}"
    );
    assert!(
        err.contains("error: worse.suite.yaml:1:10: version: "),
        "{err}"
    );

    let (status, out, _) = program(&folder, &["bad.suite.yaml", "--json"]);
    assert_eq!(status, Some(1));
    let line: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&line["case"], &line["on"]),
        (&"a case".into(), &"harness".into())
    );
    assert_eq!(line["verdict"], "failed");
    assert_eq!(line["differences"][0]["key"], "expect.response.status");

    let (status, out, _) = program(&folder, &["bad.suite.yaml", "--bless"]);
    assert_eq!(status, Some(0));
    assert!(out.contains("0 passed, 1 blessed in "), "{out}");
    let text = std::fs::read_to_string(folder.join("bad.suite.yaml")).unwrap();
    assert_eq!(text, good);

    std::fs::write(folder.join("bad.suite.yaml"), sharing()).unwrap();
    let (status, out, err) = program(&folder, &["bad.suite.yaml", "--bless"]);
    assert_eq!(status, Some(1));
    assert!(out.contains("0 passed, 2 failed in "), "{out}");
    assert!(err.contains("left for you: a case too: expect."), "{err}");
}

#[test]
fn the_program_says_that_it_installs_the_target() {
    let folder = folder("program-target");
    let text = suite("request: {}");
    let module = format!("module: {}", module("auth-scrub").display());
    let text = text.replace(&module, "package: auth-scrub");
    std::fs::write(folder.join("s.suite.yaml"), text).unwrap();
    // A compiler that knows no target, and no rustup to fetch one.
    let output = Command::new(env!("CARGO_BIN_EXE_attache-test"))
        .current_dir(&*folder)
        .env("RUSTC", "/bin/echo")
        .env("PATH", folder.join("below"))
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let [building, target, error] = ["Building auth-scrub", "Target ", "error: cannot build"]
        .map(|part| err.find(part).unwrap_or_else(|| panic!("no {part}: {err}")));
    assert!(building < target && target < error, "{err}");
    assert!(err.contains("wasm32-unknown-unknown"), "{err}");
}

#[test]
fn what_the_program_cannot_do_it_says() {
    let folder = folder("program-refuses");
    for (arguments, status, reason) in [
        (
            &["nowhere"][..],
            1,
            "error: there is no file, no folder and no package `nowhere`",
        ),
        (
            &["below"],
            1,
            "error: there is no file that ends in `.suite.yaml` in `below` or below",
        ),
        (
            &["--on", "moon"],
            2,
            "possible values: harness, envoy, both",
        ),
    ] {
        let (code, out, err) = program(&folder, arguments);
        assert_eq!(code, Some(status), "{err}");
        assert!(err.contains(reason), "{err}");
        assert_eq!(out, "");
    }
    std::fs::write(folder.join("s.suite.yaml"), suite("request: {}")).unwrap();
    let (code, _, err) = program(&folder, &["--filter", "moon"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("no case has `moon` in its name"), "{err}");
}

#[test]
fn a_ci_system_gets_what_came_of_every_suite() {
    let folder = folder("program-junit");
    let good = suite("request: {}\nexpect: {response: {status: 200}}");
    std::fs::write(folder.join("good.suite.yaml"), good).unwrap();
    let bad = suite("request: {}\nexpect: {response: {status: 201}}");
    std::fs::write(folder.join("bad.suite.yaml"), bad).unwrap();
    std::fs::write(folder.join("worse.suite.yaml"), "version: 1\n").unwrap();
    let (status, _, err) = program(&folder, &["--junit", "report.xml"]);
    assert_eq!(status, Some(1), "{err}");
    let xml = std::fs::read_to_string(folder.join("report.xml")).unwrap();
    for part in [
        "<testcase classname=\"good.suite.yaml\" name=\"a case\"/>",
        "<failure message=\"expect.response.status\">expect.response.status\n",
        "<testcase classname=\"worse.suite.yaml\" name=\"the suite is played\">\n      <error message=\"",
    ] {
        assert!(xml.contains(part), "{part}\n{xml}");
    }
    let (status, _, err) = program(&folder, &["good.suite.yaml", "--junit", "no/where.xml"]);
    assert_eq!(status, Some(1));
    assert!(err.contains("error: cannot write `no/where.xml`"), "{err}");
}

#[test]
fn another_module_is_held_to_the_same_suite() {
    let folder = folder("program-plugin");
    let text = suite(
        "request: {headers: {authorization: x}}\nexpect: {upstream: {lacks: [authorization]}}",
    );
    let here = format!("module: {}", module("auth-scrub").display());
    assert!(text.contains(&here), "{text}");
    // The suite's own module is none.
    let elsewhere = text.replace(&here, "module: its-own.wasm");
    for name in ["its-own.wasm", "other.wasm"] {
        std::fs::write(folder.join(name), "").unwrap();
    }
    std::fs::write(folder.join("s.suite.yaml"), &elsewhere).unwrap();
    let (status, out, _) = program(&folder, &["s.suite.yaml"]);
    assert_eq!(status, Some(1), "{out}");
    let built = module("auth-scrub").display().to_string();
    let (status, out, err) = program(&folder, &["s.suite.yaml", "--plugin", &built]);
    assert_eq!(status, Some(0), "{out}{err}");

    // A configuration is for who has none: this one is refused, and so the chain does not start.
    std::fs::write(folder.join("bad.json"), "{\"no_such_field\": 1}").unwrap();
    let words = ["s.suite.yaml", "--plugin", &built, "--config", "bad.json"];
    let (status, out, _) = program(&folder, &words);
    assert_eq!(status, Some(1), "{out}");
    assert!(out.contains("no_such_field"), "{out}");

    let twice = elsewhere.replace("cases:", "  - {module: other.wasm}\ncases:");
    std::fs::write(folder.join("two.suite.yaml"), twice).unwrap();
    let (status, _, err) = program(&folder, &["two.suite.yaml", "--plugin", &built]);
    assert_eq!(status, Some(1));
    assert!(
        err.contains("has several plugins in the case `a case`"),
        "{err}"
    );
    let (status, _, err) = program(&folder, &["--plugin", "nowhere.wasm"]);
    assert_eq!(status, Some(1));
    assert!(
        err.contains("error: there is no file `nowhere.wasm`"),
        "{err}"
    );
    assert_eq!(program(&folder, &["--config", "bad.json"]).0, Some(2));
}

#[test]
fn coverage_names_callbacks_that_no_case_reaches() {
    let folder = folder("program-coverage");
    for (name, case) in [
        ("a", "request: {}"),
        ("b", "request: {chunks: [a], trailers: {x-t: v}}"),
    ] {
        let path = folder.join(format!("{name}.suite.yaml"));
        std::fs::write(path, suite(case)).unwrap();
    }
    let (status, out, err) = program(&folder, &["test", "a.suite.yaml", "--coverage"]);
    assert_eq!(status, Some(0), "{err}");
    let never = |out: &str| -> Vec<String> {
        let lines = out.lines().filter_map(|line| line.strip_suffix(" never"));
        lines.map(|line| line.trim().to_owned()).collect()
    };
    assert!(out.contains("\nauth-scrub.wasm: "), "{out}");
    assert!(
        out.contains("\n  proxy_on_request_headers                 1\n"),
        "{out}"
    );
    assert!(
        never(&out).contains(&"proxy_on_request_trailers".to_owned()),
        "{out}"
    );

    let (_, both, _) = program(&folder, &["test", "--coverage", "--jobs", "2"]);
    assert!(both.starts_with("a.suite.yaml\n"), "{both}");
    assert!(
        both.contains("\n  proxy_on_request_headers                 2\n"),
        "{both}"
    );
    assert!(
        !never(&both).contains(&"proxy_on_request_trailers".to_owned()),
        "{both}"
    );

    let (_, json, _) = program(&folder, &["test", "--coverage", "--json"]);
    let line: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!(line["callbacks"]["proxy_on_request_headers"], 2);

    let (status, _, err) = program(&folder, &["test", "--coverage", "--on", "envoy"]);
    assert_eq!(status, Some(1));
    assert!(
        err.contains("--coverage counts what the harness calls"),
        "{err}"
    );
}

#[test]
fn a_reader_that_has_read_enough_ends_the_program_quietly() {
    let folder = folder("unread");
    let good = suite("request: {}\nexpect: {response: {status: 200}}");
    std::fs::write(folder.join("good.suite.yaml"), good).unwrap();
    let module = module("auth-scrub");
    for words in [
        &["test", "good.suite.yaml"][..],
        &["test", "good.suite.yaml", "--json"],
        &["bench", module.to_str().unwrap()],
        &["bench", "good.suite.yaml", "--json"],
        &[
            "serve",
            "--plugin",
            &format!("a={}", module.display()),
            "--once",
        ],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_attache-test"));
        command.args(words).current_dir(&*folder).stdout(writer);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(141), "{words:?}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("roken pipe"), "{words:?}: {said}");
        assert!(!said.contains("error"), "{words:?}: {said}");
    }
}

#[test]
fn the_reference_is_what_the_help_says() {
    let mut page = String::from(
        "# `attache test`, `bench` and `record`\n\nWhat `attache VERB --help` prints; `BLESS=1 cargo test -p \
         attache-suite reference` writes it.\n[suite/README.md](../suite/README.md) is about suites.\n",
    );
    for verb in ["test", "bench", "record"] {
        let (status, out, err) = program(Path::new("."), &[verb, "--help"]);
        assert_eq!(status, Some(0), "{err}");
        assert!(
            out.contains(&format!("Examples:\n  attache {verb} ")),
            "{out}"
        );
        let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
        let help = lines.join("\n");
        page.push_str(&format!(
            "\n## attache {verb}\n\n```\n{}\n```\n",
            help.trim_end()
        ));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/attache-test.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/attache-test.md is old: BLESS=1 writes it anew"
    );
}

#[test]
fn coverage_names_rules_without_which_no_case_fails() {
    let folder = folder("rules");
    let case = "configuration:\n  rules:\n    - {request: {headers: [{name: x-a, action: remove}]}}\n    - {request: \
                {headers: [{name: x-b, action: remove}]}}\nrequest: {headers: {x-a: 1}}\nexpect: {upstream: {lacks: \
                [x-a]}}";
    std::fs::write(folder.join("r.suite.yaml"), suite(case)).unwrap();
    let (status, out, err) = program(&folder, &["test", "r.suite.yaml", "--coverage"]);
    assert_eq!(status, Some(0), "{out}{err}");
    let (_, rules) = out
        .split_once("rules of auth-scrub, and whether a case fails")
        .unwrap();
    let line = |place: &str| {
        let line = rules.lines().find(|line| line.contains(place)).unwrap();
        line.split_once(place).unwrap().1.trim().to_owned()
    };
    assert_eq!(
        (line("/rules/0"), line("/rules/1")),
        ("needed".into(), "not needed".into())
    );
}

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::modules::{Folder, foreign, guard};

fn run(folder: &Path, words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_attache-image"))
        .args(words.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(folder: &Path, words: &str) -> String {
    let output = run(folder, words);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert_eq!(output.stdout, b"", "{words}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_module_is_packaged_shown_and_deployed() {
    let folder = Folder::new("whole");
    let here = folder.path();
    fs::write(here.join("guard.wasm"), guard()).unwrap();
    fs::write(here.join("guard.json"), r#"{ "rules": [] }"#).unwrap();
    let packaged: Value =
        serde_json::from_str(&out(&run(here, "package guard.wasm -o images --json"))).unwrap();
    assert_eq!(packaged["tag"], "guard-1.2.0");
    let shown: Value = serde_json::from_str(&out(&run(here, "images images --json"))).unwrap();
    assert_eq!(shown["digest"], packaged["digest"]);
    assert_eq!(shown["module_sha256"], packaged["module_sha256"]);
    assert_eq!(shown["refused_by"], json!({}));
    assert_eq!(shown["attached"][0]["title"], "guard.schema.json");

    let text = out(&run(
        here,
        "deploy guard-1.2.0 --images images --to envoy --write modules --config guard.json",
    ));
    let filter: Value = serde_saphyr::from_str(&text).unwrap();
    let file = filter[0]["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"]
        .as_str()
        .unwrap();
    assert_eq!(fs::read(here.join(file)).unwrap(), guard());
    assert!(file.contains(packaged["module_sha256"].as_str().unwrap()));

    let istio =
        "deploy guard-1.2.0 --images images --to istio --image registry.example.com/guard:1.2.0";
    assert!(out(&run(here, istio)).contains("kind: TrafficExtension"));
    assert!(
        out(&run(here, &format!("{istio} --istio-version 1.29.2"))).contains("kind: WasmPlugin")
    );
}

#[test]
fn what_is_wrong_is_said_with_the_next_step() {
    let folder = Folder::new("wrong");
    let here = folder.path();
    fs::write(here.join("guard.wasm"), guard()).unwrap();
    fs::write(here.join("foreign.wasm"), foreign()).unwrap();
    fs::write(here.join("text.wasm"), "text").unwrap();
    fs::write(here.join("bad.json"), "{").unwrap();
    let says = |words: &str, expected: &str| {
        let said = refused(here, words);
        assert!(said.contains(expected), "{words}: {said}");
    };
    says("package nowhere.wasm", "cannot read `nowhere.wasm`");
    says("package text.wasm", "not a WebAssembly module");
    says(
        "package foreign.wasm",
        "name them with --name and --version",
    );
    says("package guard.wasm --tag a/b", "cannot name an image");
    says(
        "package ./nowhere",
        "neither a folder with a `Cargo.toml` nor a file",
    );
    says("images", "`attache package` makes one");
    out(&run(here, "package guard.wasm"));
    says("deploy guard-9 --to envoy", "(it has guard-1.2.0)");
    says(
        "deploy guard-1.2.0 --to envoy --config bad.json",
        "`bad.json` is not JSON",
    );
    says(
        "deploy guard-1.2.0 --to istio --image registry/guard:1 --write x",
        "--write is for `--to envoy`",
    );
    says(
        "deploy guard-1.2.0 --to istio --image registry/guard:1 --istio-version new",
        "not a version of Istio",
    );
    says("deploy guard-1.2.0 --to istio", "Name it with --image");
    says(
        "check bad.json --crds bad.json",
        "cannot use the CRDs in `bad.json`",
    );
    fs::write(here.join("none.yaml"), "kind: Pod\n").unwrap();
    says(
        "check bad.json --crds none.yaml",
        "has no CustomResourceDefinition",
    );
    says("package guard.wasm --test", "there is no suite to play");
    says("push guard.wasm Example.com/A", "lower-case letters");
    says(
        "push oci:nowhere:1 localhost:1/a:1",
        "not a folder of images",
    );
    says(
        "push oci:target/attache/images:2 localhost:1/a:1",
        "(it has guard-1.2.0)",
    );
    says("pull localhost:1/a:1", "cannot reach `localhost:1`");
    says("copy oci:target/attache/images http://x", "names no image");
    says(
        "pull localhost:1/a:1 --ca-file nowhere.pem",
        "cannot read `nowhere.pem`",
    );
}

#[test]
fn a_check_names_file_and_line_and_ends_with_1_where_something_is_wrong() {
    let folder = Folder::new("check");
    let here = folder.path();
    let bad = "kind: WasmPlugin\nmetadata: { name: guard }\nspec:\n  url: oci://registry/guard:1\n  phase: STATS\n  failStrategy: FAIL_RELOAD\n";
    fs::write(here.join("bad.yaml"), bad).unwrap();
    let output = run(here, "check bad.yaml");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.starts_with("bad.yaml:4: error: WasmPlugin default/guard: not pinned"),
        "{said}"
    );
    assert!(
        said.ends_with("1 document: 1 error, 0 warnings\n"),
        "{said}"
    );

    let good = bad.replace(":1\n", &format!("@sha256:{}\n", "1".repeat(64)));
    fs::write(here.join("good.yaml"), good).unwrap();
    assert_eq!(
        out(&run(here, "check good.yaml")),
        "1 document: 0 errors, 0 warnings\n"
    );
    fs::write(here.join("none.yaml"), "kind: Pod\n").unwrap();
    assert!(refused(here, "check none.yaml").contains("nothing to check"));
    assert!(refused(here, "check nowhere.yaml").contains("cannot read `nowhere.yaml`"));
}

#[test]
fn the_reference_is_what_the_help_says() {
    let mut page = String::from(
        "# `attache package` to `check`: images and manifests\n\nWhat `attache VERB --help` prints; `BLESS=1 cargo \
         test -p attache-package reference` writes it.\n[package/README.md](../package/README.md) and \
         [publishing.md](publishing.md) are about them.\n",
    );
    for verb in [
        "package", "images", "sbom", "push", "pull", "copy", "tags", "search", "registry", "sign",
        "verify", "deploy", "check",
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attache-image"));
        let output = command.args([verb, "--help"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let out = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
        let help = lines.join("\n");
        page.push_str(&format!(
            "\n## attache {verb}\n\n```\n{}\n```\n",
            help.trim_end()
        ));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/attache-image.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/attache-image.md is old: BLESS=1 writes it anew"
    );
}

#[test]
fn the_crates_of_a_program_are_listed() {
    let folder = Folder::new("program-sbom");
    let here = folder.path();
    fs::write(here.join("built"), "of bytes").unwrap();
    let package = env!("CARGO_MANIFEST_DIR");
    let list = |words: &str| {
        let text = out(&run(here, &format!("sbom --program {package} {words}")));
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let listed = list("--file built");
    assert_eq!(listed["bomFormat"], "CycloneDX");
    let program = &listed["metadata"]["component"];
    assert_eq!(program["name"], "attache-package");
    assert_eq!(
        program["hashes"][0]["content"],
        attache_package::Digest::of(b"of bytes").hex()
    );
    let components = listed["components"].as_array().unwrap();
    let named = |name: &str| {
        components
            .iter()
            .find(|component| component["name"] == name)
    };
    let clap = named("clap").unwrap();
    assert_eq!(clap["hashes"][0]["alg"], "SHA-256");
    assert!(clap["licenses"][0]["expression"].is_string(), "{clap}");
    assert!(named("attache-module").is_some());
    // For tests only, and for Windows only.
    assert_eq!(named("wat"), None);
    assert_eq!(named("windows-sys"), None);
    assert_eq!(list("")["components"], listed["components"]);

    out(&run(here, &format!("sbom --program {package} -o bom.json")));
    let written: Value = serde_json::from_slice(&fs::read(here.join("bom.json")).unwrap()).unwrap();
    assert_eq!(written["components"], listed["components"]);

    for word in [".", "attache-cli"] {
        let nowhere = refused(here, &format!("sbom --program {word}"));
        let expected = format!("there is no `{word}/Cargo.toml`: expected the folder of a package");
        assert!(nowhere.contains(&expected), "{nowhere}");
    }
    let library = refused(here, &format!("sbom --program {package}/../module"));
    assert!(
        library.contains("`attache-module` makes no program"),
        "{library}"
    );
    let module = refused(here, "sbom built.wasm");
    assert!(module.contains("cannot read `built.wasm`"), "{module}");
}

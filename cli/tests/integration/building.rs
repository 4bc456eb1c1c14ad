use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::command::{attache, folder, outside, package, said, script};

#[test]
fn help_names_all_verbs_and_the_exit_status() {
    let said = said(&mut attache(&["--help"]));
    assert_eq!(said.status, Some(0));
    for words in ["build", "run", "test", "Exit status: 0 done, 1 failed"] {
        assert!(said.out.contains(words), "{}", said.out);
    }
}

#[test]
fn arguments_that_make_no_sense_exit_with_2() {
    for arguments in [
        &["rum"][..],
        &["inspect", "x", "y"],
        &["run", "x", "--port", "99999"],
        &["build", "--whatch"],
    ] {
        assert_eq!(
            said(&mut attache(arguments)).status,
            Some(2),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_package_is_built_and_described() {
    let folder = package("described-filter", &[]);
    let said = said(&mut attache(&["build", folder.to_str().unwrap()]));
    assert_eq!(said.status, Some(0), "{}", said.err);
    assert!(
        said.out.starts_with("described-filter\n  path "),
        "{}",
        said.out
    );
    assert!(
        folder
            .join("target/attache/described-filter.wasm")
            .is_file()
    );
}

#[test]
fn a_program_gets_one_line_of_json_a_module() {
    let said = said(&mut attache(&["build", "auth-scrub", "--json"]));
    assert_eq!(said.status, Some(0), "{}", said.err);
    let line: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(line["name"], "auth-scrub");
    assert_eq!(line["root_ids"][0], "auth-scrub");
    let size = std::fs::metadata(line["path"].as_str().unwrap())
        .unwrap()
        .len();
    assert_eq!(line["bytes"], size);
}

#[test]
fn an_unknown_filter_is_told_the_known_ones() {
    for verb in ["build", "run"] {
        said(&mut attache(&[verb, "auth-scrup"])).refuses(
            "error: there is no package `auth-scrup` in this workspace; its filters are: auth-scrub",
        );
    }
}

#[test]
fn a_compile_error_is_shown_as_cargo_shows_it() {
    let folder = package(
        "misspelt-filter",
        &[("src/lib.rs", "fn f() -> u8 { \"\" }\n")],
    );
    let said = said(&mut attache(&["build", folder.to_str().unwrap()]));
    said.refuses("error[E0308]: mismatched types");
    said.refuses("error: cargo could not build `misspelt-filter`");
}

#[test]
fn a_folder_outside_of_any_workspace_is_told_what_to_do() {
    let mut command = attache(&["build", "auth-scrub"]);
    command.current_dir("/");
    said(&mut command).refuses("error: no `Cargo.toml` in / or above it (go into a checkout");
}

#[test]
fn a_word_that_was_nearly_right_is_told_the_right_one() {
    for (words, right) in [
        (&["biuld"][..], "'build'"),
        (&["build", "--jsno"], "'--json'"),
        (&["run", "x", "--onec"], "'--once'"),
    ] {
        let said = said(&mut attache(words));
        assert_eq!(said.status, Some(2), "{}", said.err);
        assert!(said.err.contains(right), "{}", said.err);
    }
}

#[test]
fn without_a_name_the_package_here_is_built() {
    let folder = package("nameless-filter", &[]);
    let said = said(attache(&["build", "--json"]).current_dir(folder.join("src")));
    assert_eq!(said.status, Some(0), "{}", said.err);
    let line: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(line["name"], "nameless-filter");
    assert_eq!(line["imports"], serde_json::json!([]));
}

#[test]
fn a_workspace_without_filters_says_how_to_make_one() {
    let folder = package("no-filter", &[]);
    fs::write(folder.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\n").unwrap();
    said(attache(&["build"]).current_dir(&folder))
        .refuses("makes a filter (`attache new NAME` makes one");
}

#[test]
fn a_module_is_not_built() {
    let folder = folder("built-already");
    fs::write(folder.join("x.wasm"), "").unwrap();
    said(attache(&["build", "x.wasm"]).current_dir(&folder))
        .refuses("error: `x.wasm` is a module already; name a package or its folder");
}

#[test]
fn a_crate_that_is_no_filter_is_told_before_anything_is_built() {
    let words = "`attache-module` makes no module: it has no library of the crate type `cdylib`; the filters \
                 of its workspace are: auth-scrub, ";
    for word in ["attache-module", "module", "./module"] {
        let said = said(&mut attache(&["build", word]));
        said.refuses(words);
        assert!(!said.err.contains("Compiling"), "{}", said.err);
    }
    for verb in ["run", "inspect"] {
        said(&mut attache(&[verb, "attache-module"])).refuses(words);
    }
    let mut command = attache(&["build"]);
    said(command.current_dir(crate::command::repository().join("module"))).refuses(words);
}

#[test]
fn a_word_that_names_no_package_is_told_what_it_names() {
    for (word, message) in [
        (
            "filters",
            "`filters` is a folder without a `Cargo.toml`, and no package has that name; the filters here are: \
             auth-scrub, ",
        ),
        (
            "filters/auth-scrub/src/lib.rs",
            "it is a file of the package in `filters/auth-scrub`: name that",
        ),
        (
            "filters/auth-scrub/Cargo.toml",
            "it is a file of the package in `filters/auth-scrub`: name that",
        ),
        ("./nowhere", "; there is nothing of that name"),
        (
            "nowhere.wasm",
            "there is no file `nowhere.wasm` (`attache build` writes modules to `target/attache/`)",
        ),
        ("auth-scrup", "did you mean `auth-scrub`?"),
    ] {
        said(&mut attache(&["build", word])).refuses(message);
    }
}

#[test]
fn a_workspace_that_cargo_does_not_read_is_shown_with_the_reason() {
    let folder = package("broken-manifest", &[]);
    fs::write(folder.join("Cargo.toml"), "[package]\nname = 1\n").unwrap();
    let said = said(attache(&["build"]).current_dir(&folder));
    said.refuses("error: cargo cannot read the workspace around ");
    said.refuses("invalid type: integer `1`");
}

#[test]
fn release_is_what_a_module_is_built_for_anyway() {
    let folder = package("released-filter", &[]);
    let said = said(attache(&["build", "--release"]).current_dir(&folder));
    assert_eq!(said.status, Some(0), "{}", said.err);
    assert!(
        said.err.contains("a module is always built for release"),
        "{}",
        said.err
    );
}

#[test]
fn the_same_sources_make_the_same_bytes_in_another_folder() {
    let source = "#[unsafe(no_mangle)] extern \"C\" fn proxy_abi_version_0_2_1() {}\n\
                  #[unsafe(no_mangle)] extern \"C\" fn proxy_on_tick(n: u32) {\n\
                  \x20   assert!(helper::positive(n), \"{n}\");\n}\n";
    let built = |name: &str| {
        let folder = outside(name);
        let dependency = folder.join("helper");
        fs::create_dir_all(dependency.join("src")).unwrap();
        let manifest = |name: &str| format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n");
        fs::write(dependency.join("Cargo.toml"), manifest("helper")).unwrap();
        // A panic of the dependency names its file, which is outside of the workspace.
        let text = "pub fn positive(n: u32) -> bool { assert!(n < 9, \"{n}\"); n > 0 }\n";
        fs::write(dependency.join("src/lib.rs"), text).unwrap();
        let filter = folder.join("filter");
        fs::create_dir_all(filter.join("src")).unwrap();
        let more = "[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n\
                    [dependencies]\nhelper = { path = \"../helper\" }\n";
        fs::write(filter.join("Cargo.toml"), manifest("filter") + more).unwrap();
        fs::write(filter.join("src/lib.rs"), source).unwrap();
        let said = said(attache(&["build"]).current_dir(&filter));
        assert_eq!(said.status, Some(0), "{}", said.err);
        let bytes = fs::read(filter.join("target/attache/filter.wasm")).unwrap();
        let text = bytes.escape_ascii().to_string();
        let here = folder.display().to_string();
        assert!(!text.contains(&here), "the module says where it was built");
        assert!(text.contains("/helper/src/lib.rs"), "{text}");
        bytes
    };
    assert!(built("one-folder") == built("another-folder"));
}

#[test]
fn what_wasm_opt_makes_of_the_module_is_what_is_left() {
    let programs = folder("wasm-opt");
    // Writes the module that it is given, and a custom section behind it.
    let tool = "for word; do case $word in *.wasm) in=$word;; esac; last=$word; done\n\
                { cat \"$in\"; printf '\\000\\002\\001x'; } > \"$last\"";
    script(&programs, "wasm-opt", tool);
    let package = package("optimised-filter", &[]);
    let mut command = attache(&["build", package.to_str().unwrap(), "--wasm-opt", "--json"]);
    let said = said(command.env("WASM_OPT", programs.join("wasm-opt")));
    assert_eq!(said.status, Some(0), "{}", said.err);
    let line: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let bytes = fs::read(line["path"].as_str().unwrap()).unwrap();
    assert!(bytes.ends_with(b"\x00\x02\x01x"));
    assert_eq!(line["bytes"], bytes.len());
    assert_eq!(line["finished_bytes"], bytes.len() - 4);
}

#[test]
fn a_wasm_opt_that_fails_or_spoils_the_module_is_not_believed() {
    let programs = folder("bad-wasm-opt");
    script(
        &programs,
        "fails",
        "echo 'Fatal: unknown opcode' >&2; exit 1",
    );
    let empty = "for last; do :; done; printf '\\000asm\\001\\000\\000\\000' > \"$last\"";
    script(&programs, "spoils", empty);
    let package = package("spoilt-filter", &[]);
    for (program, message) in [
        (
            "fails",
            "wasm-opt refuses the module: Fatal: unknown opcode",
        ),
        ("spoils", "what wasm-opt wrote cannot be loaded"),
        ("absent", "npm install -g binaryen"),
    ] {
        let mut command = attache(&["build", package.to_str().unwrap(), "--wasm-opt"]);
        said(command.env("WASM_OPT", programs.join(program))).refuses(message);
    }
    // The module that was there is still there, and whole.
    let module = fs::read(package.join("target/attache/spoilt-filter.wasm")).unwrap();
    assert!(module.len() > 8);
}

#[test]
fn a_source_that_changes_is_built_again_and_one_that_fails_is_waited_for() {
    let package = package(
        "watched-filter",
        &[("src/lib.rs", "fn f() -> u8 { \"\" }\n")],
    );
    let mut child = attache(&["build", "--watch", "--json"])
        .current_dir(&package)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut until = |words: &str| while !told.next().unwrap().unwrap().contains(words) {};
    until("Watching");
    let source = "#[unsafe(no_mangle)] extern \"C\" fn proxy_abi_version_0_2_1() {}\n";
    fs::write(package.join("src/lib.rs"), source).unwrap();
    until("Built");
    until("Watching");
    child.kill().unwrap();
    let out = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    child.wait().unwrap();
    assert!(out.contains("\"name\":\"watched-filter\""), "{out}");
}

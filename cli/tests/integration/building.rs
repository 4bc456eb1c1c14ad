use crate::command::{attache, package, said};

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
        &["run"],
        &["run", "x", "--port", "99999"],
        &["build"],
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
    said.refuses("error: cargo could not build the package in");
}

#[test]
fn a_folder_outside_of_any_workspace_is_told_what_to_do() {
    let mut command = attache(&["build", "auth-scrub"]);
    command.current_dir("/");
    said(&mut command).refuses("error: no `Cargo.toml` in / or above it (go into a checkout");
}

//! Help, completions, and the reference that is made of the help.

use std::fs;
use std::process::Command;

use crate::command::{attache, folder, repository, said};

/// The verbs that the command does by itself; the others have a program with a help of its own.
const VERBS: [&str; 5] = ["new", "build", "inspect", "run", "completions"];

fn help(words: &[&str]) -> String {
    let said = said(&mut attache(words));
    assert_eq!(said.status, Some(0), "{}", said.err);
    let lines: Vec<&str> = said.out.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned() + "\n"
}

#[test]
fn the_reference_is_what_the_help_says() {
    let mut page = String::from(
        "# The command `attache`\n\n\
         What `attache --help` and `attache VERB --help` print; `BLESS=1 cargo test -p attache-cli \
         reference` writes it.\n\
         `attache test`, `bench` and `record` have a program of their own, whose help is [attache-test.md](attache-test.md), and\n\
         [suite/README.md](../suite/README.md) is about it; so have `attache package`, `images`, `sbom`, `push`, `pull`, `copy`, `tags`, `search`,\n\
         `registry`, `sign`, `verify`, `deploy` and `check`, whose help is [attache-image.md](attache-image.md), see\n\
         [package/README.md](../package/README.md) and [publishing.md](publishing.md).\n\
         `attache control-plane`, `rollout` and `demo` have one too, whose help is [attache-control-plane.md](attache-control-plane.md), see [hot-reload.md](hot-reload.md).\n",
    );
    page.push_str(&format!("\n```\n{}```\n", help(&["--help"])));
    for verb in VERBS {
        page.push_str(&format!(
            "\n## attache {verb}\n\n```\n{}```\n",
            help(&[verb, "--help"])
        ));
    }
    let path = repository().join("docs/attache.md");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/attache.md is old: BLESS=1 writes it anew"
    );
}

#[test]
fn every_verb_has_examples_in_its_help() {
    for verb in VERBS {
        let help = help(&[verb, "--help"]);
        assert!(
            help.contains(&format!("Examples:\n  attache {verb} ")),
            "{help}"
        );
    }
}

#[test]
fn the_short_help_fits_on_a_screen() {
    for verb in VERBS {
        let lines = help(&[verb, "-h"]).lines().count();
        assert!(lines < 40, "{verb}: {lines} lines");
    }
}

#[test]
fn shells_get_a_script_that_they_can_read() {
    for (shell, check) in [
        ("bash", &["bash", "-n"][..]),
        ("zsh", &["zsh", "-n"]),
        ("fish", &["fish", "--no-execute"]),
    ] {
        let said = said(&mut attache(&["completions", shell]));
        assert_eq!(said.status, Some(0), "{}", said.err);
        for words in VERBS {
            assert!(said.out.contains(words), "{shell}: {words}");
        }
        let file = folder(&format!("completions-{shell}")).join("script");
        fs::write(&file, &said.out).unwrap();
        // A shell that is not there says nothing against it.
        if let Ok(checked) = Command::new(check[0]).args(&check[1..]).arg(&file).output() {
            assert!(checked.status.success(), "{shell}: {checked:?}");
        }
    }
}

/// `/dev/full` is a disk without room.
#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_a_failure_with_its_place() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = attache(&["completions", "bash"]);
    let output = command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.starts_with("error: cannot write to standard output: No space left on device"),
        "{err}"
    );
}

#[test]
fn bash_completes_a_verb() {
    let file = folder("completes").join("script");
    fs::write(&file, said(&mut attache(&["completions", "bash"])).out).unwrap();
    let script = "source \"$1\"; COMP_WORDS=(attache bu); COMP_CWORD=1; \
                  _attache attache bu attache; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    let completed = said(bash.args(["-c", script, "bash"]).arg(&file));
    assert_eq!(completed.out.trim(), "build", "{}", completed.err);
}

#[test]
fn a_shell_that_is_not_known_is_told_the_others() {
    let said = said(&mut attache(&["completions", "tcsh"]));
    assert_eq!(said.status, Some(2));
    assert!(
        said.err.contains("bash, elvish, fish, powershell, zsh"),
        "{}",
        said.err
    );
}

#[test]
fn nothing_is_coloured_where_nobody_wants_it() {
    for (key, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        for words in [&["--help"][..], &["inspect", "nowhere.wasm"], &["rum"]] {
            let said = said(attache(words).env(key, value));
            assert!(
                !said.out.contains('\x1b') && !said.err.contains('\x1b'),
                "{words:?}"
            );
        }
    }
}

#[test]
fn a_reader_that_has_read_enough_ends_the_command_quietly() {
    let module = crate::inspecting::module("unread");
    for words in [
        &["completions", "bash"][..],
        &["inspect", &module],
        &["inspect", &module, "--json"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = attache(words).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(141), "{words:?}: {output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{words:?}");
    }
}

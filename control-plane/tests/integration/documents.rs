use std::path::Path;
use std::process::Command;

/// What `attache` is asked for, and what this program is handed.
const VERBS: &[(&str, &str)] = &[
    ("control-plane serve", "serve"),
    ("rollout", "rollout"),
    ("rollout status", "rollout status"),
    ("rollout history", "rollout history"),
    ("rollout promote", "rollout promote"),
    ("rollout undo", "rollout undo"),
    ("demo", "demo"),
];

#[test]
fn the_reference_is_what_the_help_says() {
    let mut page = String::from(
        "# `attache control-plane`, `rollout` and `demo`: hot reload\n\nWhat `attache VERB --help` prints; `BLESS=1 cargo \
         test -p attache-control-plane reference` writes it.\n[hot-reload.md](hot-reload.md) is about them.\n",
    );
    for (verb, words) in VERBS {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attache-control-plane"));
        let output = command.args(words.split(' ')).arg("--help").output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        let out = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
        let help = lines.join("\n");
        page.push_str(&format!(
            "\n## attache {verb}\n\n```\n{}\n```\n",
            help.trim_end()
        ));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/attache-control-plane.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/attache-control-plane.md is old: BLESS=1 writes it anew"
    );
}

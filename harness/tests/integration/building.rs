//! `Plugin::guest` and `plugin!`: what a test sees whose filter does not compile.

use std::fs;
use std::path::Path;

use attache_harness::{Host, Plugin, plugin};

#[test]
fn a_compile_error_is_printed_as_cargo_prints_it() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("misspelt-guest");
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = "[workspace]\n[package]\nname = \"misspelt-guest\"\nversion = \"0.1.0\"\n\
                    edition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n";
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/lib.rs"), "fn f() -> u8 { \"\" }\n").unwrap();
    let error = Host::with(Plugin::guest(&folder, "misspelt-guest")).expect_err("it has no host");
    // What the test runner prints of a test that returns the error.
    let printed = format!("{error:?}");
    assert!(
        printed.starts_with("cannot get the module of plugin `misspelt-guest`\n  caused by: "),
        "{printed}"
    );
    assert!(
        printed.contains("error[E0308]: mismatched types\n"),
        "{printed}"
    );
    assert!(printed.contains("--> src/lib.rs:1:16"), "{printed}");
}

#[test]
fn a_package_that_is_not_there_is_told_the_filters() {
    let error = Host::with(plugin!("auth-scrup")).expect_err("there is no such package");
    let printed = format!("{error:?}");
    assert!(printed.contains("its filters are: auth-scrub"), "{printed}");
}

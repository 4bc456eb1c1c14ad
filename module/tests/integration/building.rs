use std::fs;
use std::path::{Path, PathBuf};

use attache_module::{BuildError, Guest};

/// A crate without dependencies, with its own target folder.
fn package(name: &str, manifest: &str, source: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(folder.join("src"));
    fs::create_dir_all(folder.join("src")).unwrap();
    let head = format!(
        "[workspace]\n[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"
    );
    fs::write(folder.join("Cargo.toml"), head + manifest).unwrap();
    fs::write(folder.join("src/lib.rs"), source).unwrap();
    folder
}

const CDYLIB: &str = "[lib]\ncrate-type = [\"cdylib\"]\n";

#[test]
fn a_crate_becomes_a_module_beside_its_sources() {
    let source = "#[unsafe(no_mangle)] extern \"C\" fn proxy_abi_version_0_2_1() {}\nmod part;\n";
    let folder = package("smallest-guest", CDYLIB, source);
    fs::write(folder.join("src/part.rs"), "").unwrap();
    let built = Guest::in_workspace(&folder, None)
        .build(&mut |_| ())
        .unwrap();
    assert_eq!(built.name, "smallest-guest");
    assert_eq!(
        built.path,
        folder.join("target/attache/smallest-guest.wasm")
    );
    assert_eq!(fs::read(&built.path).unwrap(), built.bytes);
    assert!(
        built.sources.contains(&folder.join("src/part.rs")),
        "{:?}",
        built.sources
    );
    assert_eq!(built.sha256.len(), 64);
}

#[test]
fn a_compile_error_is_shown_as_cargo_shows_it() {
    let folder = package("broken-guest", CDYLIB, "fn main() { let x: u8 = \"\"; }\n");
    let error = Guest::in_workspace(&folder, None)
        .build(&mut |_| ())
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, BuildError::Compile { .. }), "{text}");
    assert!(text.contains("error[E0308]: mismatched types"), "{text}");
    assert!(text.contains("src/lib.rs:1:25"), "{text}");
}

#[test]
fn a_crate_that_makes_no_module_is_told_what_it_lacks() {
    let folder = package("rlib-guest", "", "");
    let error = Guest::in_workspace(&folder, Some("rlib-guest"))
        .build(&mut |_| ())
        .unwrap_err();
    assert!(matches!(error, BuildError::NoModule { .. }), "{error}");
    assert!(error.to_string().contains("crate-type"), "{error}");
}

#[test]
fn a_package_that_is_not_there_is_named() {
    let folder = package("lonely-guest", CDYLIB, "");
    let error = Guest::in_workspace(&folder, Some("other"))
        .build(&mut |_| ())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no package `other` in this workspace; its filters are: lonely-guest"
    );
    let error = Guest::find(&folder, "other").unwrap_err();
    assert!(matches!(error, BuildError::NoSuchPackage { .. }), "{error}");
    assert!(Guest::find(&folder, "lonely-guest").is_ok());
}

#[test]
fn a_module_without_an_abi_is_refused() {
    let folder = package("abiless-guest", CDYLIB, "");
    let error = Guest::in_workspace(&folder, None)
        .build(&mut |_| ())
        .unwrap_err();
    assert_eq!(error.to_string(), "cannot finish `abiless-guest`");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("not a proxy-wasm module"), "{cause}");
}

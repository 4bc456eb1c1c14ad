//! Does nothing. A crate has to have a build script for its build dependencies to be asked for, and those of
//! this crate choose features: see `Cargo.toml`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}

//! What a filter must not do does not compile, and the message says why.
//!
//! `TRYBUILD=overwrite cargo test -p attache --test misuse` writes the messages down anew.

#[test]
fn misuse_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/misuse/*.rs");
}

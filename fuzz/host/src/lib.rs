//! What each target of the host side does with its bytes, so that a plain test can replay a corpus.
//!
//! `cargo +nightly fuzz run TARGET` in the root of the repository looks for more; each function panics where
//! something does not hold.

#![forbid(unsafe_code)]

mod image;
mod memory;

use attache_harness::Module;
use attache_module::{Facts, Inspection};
use attache_suite::{PluginTests, Suite};

pub use image::{image, layer};
pub use memory::memory;

/// What is done with a target's bytes.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 6] = [
    ("suite", suite),
    ("plugin-tests", plugin_tests),
    ("image", image),
    ("layer", layer),
    ("module", module),
    ("memory", memory),
];

/// A suite: it is read or refused, and what refuses it says where.
pub fn suite(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Suite::from_text("corpus/x.suite.yaml", text) {
        Ok(suite) => {
            let _ = suite.cases().count();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The plugin tests of others, in Protobuf's text format or as YAML.
pub fn plugin_tests(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for file in ["corpus/x.textpb", "corpus/x.yaml"] {
        match PluginTests::from_text(file, text) {
            Ok(tests) => {
                let _ = tests.names().count();
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// A module: it is loaded or refused, and so is a look into it.
pub fn module(data: &[u8]) {
    let _ = Facts::read(data);
    if let Ok(inspection) = Inspection::read(data) {
        let _ = format!("{inspection:?}");
    }
    // What could be loaded would be compiled, and kept by wasmtime's cache: bytes that cannot are enough.
    if data.len() < 256 {
        let _ = Module::load(data);
    }
}

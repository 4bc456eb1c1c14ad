//! Every public item has an example: one of its own, or one on what it belongs to that uses it.
//!
//! `rustdoc` says this with a toolchain that is not the project's, and counts an item that a type's
//! example uses as one without. So the sources are read here: as text, which `rustfmt` keeps in one
//! form. Whether the examples compile is for `cargo test --doc` to say.

mod source;

use std::path::Path;

use source::{Item, Sources};

/// What has none, and why.
const WITHOUT: [(&str, &str); 1] = [("guide", "a list of its pages, each of which has some")];

#[test]
fn every_public_item_has_an_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Sources::default();
    sources.read_folder(&folder, "").unwrap();
    let items = sources.items();
    let missing: Vec<&Item> = items.iter().filter(|item| !item.has_example()).collect();
    let names: Vec<&str> = missing.iter().map(|item| item.name.as_str()).collect();
    for (name, reason) in WITHOUT {
        assert!(
            names.contains(&name),
            "`{name}` is gone or has an example, so it is no exception any more ({reason})"
        );
    }
    let unexcused: Vec<String> = missing
        .iter()
        .filter(|item| WITHOUT.iter().all(|(name, _)| *name != item.name))
        .map(|item| format!("{}: {}", item.place, item.name))
        .collect();
    assert!(
        unexcused.is_empty(),
        "{} of {} public items have no example:\n{}",
        unexcused.len(),
        items.len(),
        unexcused.join("\n")
    );
    // The reading of sources that finds little says little.
    assert!(items.len() > 500, "only {} items were found", items.len());
    for name in [
        "filter::HttpFilter::call",
        "headers::Headers::insert",
        "metrics::kinds::Counter",
        "queue::Plugin::sender",
        "properties::xds::ROUTE_NAME",
        "guide::bodies",
        "prelude",
        "together::join!",
    ] {
        assert!(
            items.iter().any(|item| item.name == name),
            "`{name}` was not found"
        );
    }
}

#[test]
fn an_item_without_an_example_is_found() {
    let text = r#"//! A module.
//!
//! ```
//! assert_eq!(LENGTH, of_module());
//! ```

use std::{
    fmt,
};

/// Shown above.
pub const LENGTH: u8 = 1;

/// Shown nowhere; its name stands in a comment only.
pub const WIDTH: u8 = 1;

/// A type.
///
/// ```
/// let shape = Shape::new();    // WIDTH, and not .mirrored()
/// assert_eq!(shape.size(), 1);
/// ```
#[derive(Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a sample"
)]
pub struct Shape {
    /// A field.
    pub size: u8,
}

impl Shape {
    /// Shown.
    pub fn new() -> Self {}

    /// Shown.
    pub const fn size(&self) -> u8 {}

    /// Not shown.
    pub fn mirrored(self) -> Self {}

    /// ```compile_fail
    /// shape.turned();
    /// ```
    pub async fn turned(self) -> Self {}

    /// ```
    /// shape.cut();
    /// ```
    pub fn cut(self) {}

    pub(crate) fn hidden(self) {}

    #[doc(hidden)]
    pub fn secret(self) {}

    fn private(self) {}
}

/// A trait.
///
/// ```
/// impl Area for Shape {
///     fn area(&self) -> u8 { 1 }
/// }
/// ```
pub trait Area {
    /// Not shown.
    type Unit;

    /// Shown.
    fn area(&self) -> u8;

    /// Not shown.
    fn volume(
        &self,
    ) -> u8;
}

/// A function.
///
/// ```text
/// of_function()
/// ```
pub fn of_function() {}

/// Shown above, but a function has an example of its own.
pub fn of_module() {}

/// A macro.
#[macro_export]
macro_rules! shape {
    () => {
        pub fn inside() {}
    };
}

#[cfg(test)]
mod tests {
    pub fn of_a_test() {}
}
"#;
    let mut sources = Sources::default();
    sources
        .read(text, Path::new("sample.rs"), "sample")
        .unwrap();
    let items = sources.items();
    let without: Vec<&str> = items
        .iter()
        .filter(|item| !item.has_example())
        .map(|item| item.name.as_str())
        .collect();
    assert_eq!(
        without,
        [
            "sample::WIDTH",
            "sample::Shape::mirrored",
            "sample::Shape::turned",
            "sample::Area::Unit",
            "sample::Area::volume",
            "sample::of_function",
            "sample::of_module",
            "sample::shape!",
        ]
    );
    let places: Vec<&str> = items.iter().map(|item| item.place.as_str()).collect();
    assert_eq!(places.first(), Some(&"sample.rs:12"));
    assert_eq!(items.len(), 15);
}

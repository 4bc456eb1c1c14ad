use std::fs;

use attache_package::{About, Digest, Image, ImageError, Layout, LayoutError};

use crate::modules::{Folder, foreign, guard};

fn image() -> Image {
    let mut image = Image::new(&guard(), About::new("guard", "1.2.0")).unwrap();
    image
        .refer("text/markdown", "README.md", b"# Guard\n".to_vec())
        .unwrap();
    image
}

#[test]
fn the_same_module_gives_the_same_image() {
    assert_eq!(image().descriptor(), image().descriptor());
    let other = Image::new(&foreign(), About::new("guard", "1.2.0")).unwrap();
    assert_ne!(image().descriptor(), other.descriptor());
}

#[test]
fn an_image_says_what_the_module_says() {
    let image = image();
    let notes = &image.manifest().annotations;
    let note = |name: &str| notes.get(name).map(String::as_str);
    assert_eq!(note("module.wasm.image/variant"), Some("compat"));
    assert_eq!(note("org.opencontainers.image.version"), Some("1.2.0"));
    assert_eq!(note("attache.image/abi"), Some("0.2.1"));
    assert_eq!(note("attache.image/root-ids"), Some("guard"));
    assert_eq!(note("attache.image/capabilities"), Some("proxy_log"));
    let digest = Digest::of(&guard()).hex();
    assert_eq!(note("attache.image/module-sha256"), Some(digest.as_str()));
}

#[test]
fn a_module_comes_back_as_it_went_in() {
    let folder = Folder::new("back");
    let layout = Layout::create(folder.path()).unwrap();
    layout.add(&image(), "1.2.0").unwrap();
    let digest = image().descriptor().digest;
    for name in ["1.2.0", &digest.to_string()] {
        assert_eq!(layout.module(name).unwrap().bytes, guard());
    }
    let attached = layout.referrers(digest).unwrap();
    let [(descriptor, content)] = &attached[..] else {
        panic!("{attached:?}");
    };
    assert_eq!(descriptor.artifact_type.as_deref(), Some("text/markdown"));
    assert_eq!(content, b"# Guard\n");
}

#[test]
fn a_tag_moves_to_the_image_that_came_last() {
    let folder = Folder::new("moves");
    let layout = Layout::create(folder.path()).unwrap();
    layout.add(&image(), "latest").unwrap();
    layout.add(&image(), "1.2.0").unwrap();
    let other = Image::new(&foreign(), About::new("other", "2.0.0")).unwrap();
    layout.add(&other, "latest").unwrap();
    assert_eq!(layout.tags().unwrap(), ["1.2.0", "latest"]);
    assert_eq!(layout.module("latest").unwrap().bytes, foreign());
    assert_eq!(layout.module("1.2.0").unwrap().bytes, guard());
    // Whatever was added twice is there once.
    layout.add(&image(), "1.2.0").unwrap();
    assert_eq!(layout.index().unwrap().manifests.len(), 3);
}

#[test]
fn a_byte_that_was_changed_is_noticed_wherever_it_is() {
    let folder = Folder::new("changed");
    let layout = Layout::create(folder.path()).unwrap();
    layout.add(&image(), "1.2.0").unwrap();
    let descriptor = image().descriptor();
    let layer = image().manifest().layers[0].clone();
    for digest in [descriptor.digest, layer.digest] {
        let path = folder.path().join("blobs/sha256").join(digest.hex());
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        fs::write(&path, &bad).unwrap();
        let error = layout.module("1.2.0").unwrap_err();
        assert!(matches!(error, LayoutError::Changed { .. }), "{error}");
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        let error = layout.module("1.2.0").unwrap_err();
        assert!(matches!(error, LayoutError::Changed { .. }), "{error}");
        fs::write(&path, &good).unwrap();
    }
    assert!(layout.module("1.2.0").is_ok());
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let folder = Folder::new("else");
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let error = Layout::create(folder.path()).unwrap_err();
    assert!(matches!(error, LayoutError::NotALayout { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(Layout::open(&folder.path().join("nowhere")).is_err());
}

#[test]
fn an_unknown_tag_is_refused_with_the_known_ones() {
    let folder = Folder::new("unknown");
    let layout = Layout::create(folder.path()).unwrap();
    layout.add(&image(), "1.2.0").unwrap();
    let error = layout.module("1.3.0").unwrap_err().to_string();
    assert!(
        error.contains("has no image `1.3.0` (it has 1.2.0)"),
        "{error}"
    );
}

#[test]
fn what_is_no_module_becomes_no_image() {
    let refused = Image::new(b"#!/bin/sh", About::new("guard", "1.2.0"));
    assert!(matches!(refused, Err(ImageError::Module(_))), "{refused:?}");
    for (name, version) in [("", "1"), ("a b", "1"), ("a", "1\n2"), ("a", "")] {
        let refused = Image::new(&guard(), About::new(name, version));
        assert!(
            matches!(refused, Err(ImageError::Word { .. })),
            "{refused:?}"
        );
    }
}

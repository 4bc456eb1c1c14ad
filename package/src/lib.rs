//! Modules as OCI images: writes them, reads them, and says who would refuse them.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use attache_package::{About, Image, Layout};
//!
//! # let module = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")))"#)?;
//! # let folder = std::env::temp_dir().join(format!("attache-package-doc-{}", std::process::id()));
//! let image = Image::new(&module, About::new("my-filter", "1.2.0"))?;
//! let layout = Layout::create(&folder)?;
//! layout.add(&image, "1.2.0")?;
//! assert_eq!(layout.module("1.2.0")?.bytes, module);
//! # std::fs::remove_dir_all(folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! * [`Image`]: one manifest, one configuration, one layer; the same bytes from the same module
//! * [`Layout`]: images in a folder, as the OCI image layout has them
//! * [`registry`]: images in registries; [`Graph`] is one with all that goes with it
//! * [`signing`]: who has signed an image, and whose signatures count
//! * [`Consumer`]: by which rules Istio, Envoy Gateway and the others read an image
//! * [`Plugin`]: manifests that make Istio, Envoy Gateway or Envoy load one
//! * [`check()`]: what is wrong with manifests and bootstraps that somebody wrote
//! * [`Digest`], [`Descriptor`], [`Manifest`]: the pieces

#![forbid(unsafe_code)]

mod annotations;
mod bom;
mod check;
mod consumer;
mod digest;
mod document;
mod graph;
mod image;
mod layer;
mod layout;
mod manifest;
mod manifests;
pub mod registry;
pub mod signing;

pub use crate::annotations::About;
pub use crate::bom::{BomError, Linked, bill_of_materials};
pub use crate::check::{
    Admission, CheckError, Checked, Crds, Finding, Severity, check, check_admitted, check_against,
};
pub use crate::consumer::{Consumer, Found, Refusal};
pub use crate::digest::{Digest, DigestError};
pub use crate::graph::{Attached, Graph, LeftOut};
pub use crate::image::{Image, ImageError, Referrer};
pub use crate::layer::{LayerError, MODULE_LIMIT};
pub use crate::layout::{Layout, LayoutError, Published};
pub use crate::manifest::{Descriptor, Index, Manifest, Platform, media_type};
pub use crate::manifests::{Failure, ManifestError, Phase, Plugin, Target};

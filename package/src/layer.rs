//! The one layer of an image: a tar file, compressed by gzip.

use std::io::{self, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use tar::{Archive, Builder, EntryType, Header};

/// The most bytes that Istio and Envoy Gateway take for a module: 256 MiB.
///
/// Istio's `ISTIO_WASM_MAX_BINARY_SIZE_BYTES` raises it there.
pub const MODULE_LIMIT: u64 = 256 * 1024 * 1024;

/// The name that every loader looks for.
pub(crate) const MODULE_NAME: &str = "plugin.wasm";

/// What a layer may hold beside the module. More is no filter's image, but work for who reads it.
const BESIDE_LIMIT: u64 = 16 * 1024 * 1024;

/// Why no module comes out of a layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// It is not a tar file compressed by gzip, or it ends early.
    #[error("the layer is not a whole gzip-compressed tar file")]
    Form(#[source] io::Error),
    /// No entry has the name.
    #[error("the layer has no file `plugin.wasm` (it has {names})")]
    NoModule {
        /// Those that it has, the first few.
        names: String,
    },
    /// An entry has the name and is no file.
    #[error("`{path}` in the layer is a {kind}, expected a file")]
    NotAFile {
        /// Its path, escaped.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// The module is larger than any loader takes.
    #[error("the module in the layer is larger than {limit} bytes")]
    ModuleTooLarge {
        /// The limit.
        limit: u64,
    },
    /// It unpacks to more than a filter's image has reason to.
    #[error(
        "the layer unpacks to more than {limit} bytes before the module is reached; is it compressed to mislead?"
    )]
    TooLarge {
        /// The limit.
        limit: u64,
    },
}

/// Files as a layer: the layer's bytes, and those of the tar file in it.
///
/// The same files give the same bytes: no times, no owners, no compression level that varies.
pub(crate) struct Layer {
    pub(crate) compressed: Vec<u8>,
    pub(crate) tar: Vec<u8>,
}

impl Layer {
    pub(crate) fn of(files: &[(&str, &[u8])]) -> io::Result<Self> {
        let mut archive = Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(0o644);
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(bytes.len() as u64);
            archive.append_data(&mut header, name, *bytes)?;
        }
        let tar = archive.into_inner()?;
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
        gzip.write_all(&tar)?;
        Ok(Self {
            compressed: gzip.finish()?,
            tar,
        })
    }
}

/// The module in a layer: the first entry whose base name is `plugin.wasm`, as the loaders of Istio and
/// Envoy Gateway have it (`pkg/wasm/imagefetcher.go`, `extractWasmPluginBinary`).
///
/// Nothing is written anywhere, so paths that climb out of a folder are harmless here.
pub(crate) fn module(layer: &[u8], limit: u64) -> Result<Vec<u8>, LayerError> {
    let most = limit.saturating_add(BESIDE_LIMIT);
    let mut unpacked = Bounded {
        inner: MultiGzDecoder::new(layer),
        left: most,
        cut: false,
    };
    let found = search(&mut unpacked, limit);
    match found {
        Err(LayerError::Form(_)) if unpacked.cut => Err(LayerError::TooLarge { limit: most }),
        found => found,
    }
}

fn search(unpacked: &mut impl Read, limit: u64) -> Result<Vec<u8>, LayerError> {
    let mut archive = Archive::new(unpacked);
    let mut names = Vec::new();
    for entry in archive.entries().map_err(LayerError::Form)? {
        let mut entry = entry.map_err(LayerError::Form)?;
        let path = entry.path().map_err(LayerError::Form)?.into_owned();
        if path.file_name() != Some(Path::new(MODULE_NAME).as_os_str()) {
            names.push(escaped(&path));
            continue;
        }
        let kind = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => None,
            EntryType::Link => Some("hard link"),
            EntryType::Symlink => Some("symbolic link"),
            EntryType::Directory => Some("folder"),
            _ => Some("special file"),
        };
        if let Some(kind) = kind {
            return Err(LayerError::NotAFile {
                path: escaped(&path),
                kind,
            });
        }
        if entry.size() > limit {
            return Err(LayerError::ModuleTooLarge { limit });
        }
        let mut module = Vec::new();
        entry.read_to_end(&mut module).map_err(LayerError::Form)?;
        if module.len() as u64 != entry.size() {
            return Err(LayerError::Form(io::ErrorKind::UnexpectedEof.into()));
        }
        return Ok(module);
    }
    let more = names.len().saturating_sub(5);
    names.truncate(5);
    let mut names = match names[..] {
        [] => "none".to_owned(),
        _ => names.join(", "),
    };
    if more > 0 {
        names += &format!(" and {more} more");
    }
    Err(LayerError::NoModule { names })
}

fn escaped(path: &Path) -> String {
    attache_module::harmless(&path.to_string_lossy())
}

/// A reader that ends with an error when more is read than it may give.
struct Bounded<R> {
    inner: R,
    left: u64,
    cut: bool,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => {
                self.cut = true;
                Err(io::Error::other("more than the limit"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut archive = Builder::new(Vec::new());
        for (name, kind, bytes) in entries {
            let mut header = Header::new_gnu();
            // `set_path` refuses what climbs out; an attacker's tool does not.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            archive.append(&header, *bytes).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn a_module_comes_out_as_it_went_in() {
        let layer =
            Layer::of(&[("plugin.wasm", b"module"), ("runtime-config.json", b"{}")]).unwrap();
        assert_eq!(module(&layer.compressed, 100).unwrap(), b"module");
        assert_eq!(gzip_header_time(&layer.compressed), 0);
    }

    fn gzip_header_time(bytes: &[u8]) -> u32 {
        u32::from_le_bytes(bytes[4..8].try_into().unwrap())
    }

    #[test]
    fn the_first_file_of_that_base_name_counts_wherever_it_lies() {
        let regular = EntryType::Regular;
        let tar = tar_of(&[
            ("notes", regular, b"x"),
            ("../../etc/plugin.wasm", regular, b"first"),
            ("plugin.wasm", regular, b"second"),
        ]);
        assert_eq!(module(&gzip(&tar), 100).unwrap(), b"first");
    }

    #[test]
    fn a_link_is_never_followed() {
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Directory] {
            let error = module(&gzip(&tar_of(&[("plugin.wasm", kind, b"")])), 100);
            assert!(
                matches!(error, Err(LayerError::NotAFile { .. })),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_layer_without_the_module_says_what_it_has() {
        let tar = tar_of(&[("filter.wasm", EntryType::Regular, b"x")]);
        let error = module(&gzip(&tar), 100).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the layer has no file `plugin.wasm` (it has filter.wasm)"
        );
    }

    #[test]
    fn what_is_compressed_to_mislead_is_read_up_to_a_limit_only() {
        let zeros = vec![0; usize::try_from(BESIDE_LIMIT).unwrap() + 200];
        let tar = tar_of(&[
            ("zeros", EntryType::Regular, &zeros),
            ("plugin.wasm", EntryType::Regular, b"x"),
        ]);
        let error = module(&gzip(&tar), 100);
        assert!(
            matches!(error, Err(LayerError::TooLarge { .. })),
            "{error:?}"
        );

        let tar = tar_of(&[("plugin.wasm", EntryType::Regular, &[0; 101])]);
        let error = module(&gzip(&tar), 100);
        assert!(
            matches!(error, Err(LayerError::ModuleTooLarge { limit: 100 })),
            "{error:?}"
        );
    }

    #[test]
    fn a_layer_that_was_cut_is_refused_wherever() {
        let layer = Layer::of(&[("plugin.wasm", &[7; 3_000])])
            .unwrap()
            .compressed;
        for end in 0..layer.len() - 8 {
            let cut = module(&layer[..end], 10_000);
            assert!(
                matches!(cut, Err(LayerError::Form(_) | LayerError::NoModule { .. }))
                    || cut.as_deref().is_ok_and(|module| module == [7; 3_000]),
                "{end}: {cut:?}"
            );
        }
    }
}

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::install::hexadecimal;
use crate::plugin::{EntryPoint, NotUtf8, Plugin, utf8};
use crate::yaml::{Yaml, quoted};

/// The environment variable of the module that makes each resource differ.
const GENERATION: &str = "ATTACHE_GENERATION";

/// A place in a filter chain whose plugin Envoy reads from a file, and reads
/// again when the file is replaced: extension configuration discovery (ECDS)
/// from the file system.
///
/// ```no_run
/// # use attache_envoy::{Discovered, Plugin};
/// # fn main() -> Result<(), attache_envoy::WriteError> {
/// let discovered = Discovered::new("auth-scrub", "/tmp/attache/plugins");
/// discovered.write(&Plugin::new("auth-scrub", "/tmp/attache/modules/0123.wasm"))?;
/// # Ok(())
/// # }
/// ```
///
/// Envoy compares a resource with the one it got last, and takes an equal one
/// for applied, even if it had refused it. So each file that is written holds a
/// new generation, as the environment variable `ATTACHE_GENERATION` of the
/// module. Envoy does not notice either when a module changes under its name:
/// store each under the digest of its bytes, as [`ModuleStore`] does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Discovered {
    name: String,
    folder: PathBuf,
}

/// Why a file that Envoy reads could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The plugin is of another place in the filter chain.
    #[error("plugin `{plugin}` cannot be pushed to `{place}`: the names must be the same")]
    OtherName {
        /// The name of the plugin.
        plugin: String,
        /// The name of the place.
        place: String,
    },
    /// The plugin has a path that configuration cannot express.
    #[error("{reason}")]
    Path {
        /// Which one.
        reason: String,
    },
    /// The file could not be written.
    #[error("cannot write `{}`", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Discovered {
    /// The place for the plugin of this name, whose file is in this folder.
    pub fn new(name: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            folder: folder.into(),
        }
    }

    /// The name of the plugin, and of the filter in the chain.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that Envoy watches.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.yaml", file_stem(&self.name)))
    }

    /// Replaces the file at one blow, so that Envoy reads all of the old one or
    /// all of the new one, and always differs from the last.
    ///
    /// # Errors
    ///
    /// [`WriteError`].
    pub fn write(&self, plugin: &Plugin) -> Result<PathBuf, WriteError> {
        if plugin.name != self.name {
            return Err(WriteError::OtherName {
                plugin: plugin.name.clone(),
                place: self.name.clone(),
            });
        }
        self.replace_with(self.resource(plugin, next_generation()))
    }

    /// Replaces the file like [`write`](Self::write), without a generation: plugins whose VMs are the
    /// same go on sharing them. A plugin that is to differ from the last and does not,
    /// [`nack_on_code_cache_miss`](Plugin::nack_on_code_cache_miss) tells apart.
    ///
    /// # Errors
    ///
    /// [`WriteError`].
    pub fn write_in_place(&self, plugin: &Plugin) -> Result<PathBuf, WriteError> {
        if plugin.name != self.name {
            return Err(WriteError::OtherName {
                plugin: plugin.name.clone(),
                place: self.name.clone(),
            });
        }
        self.replace_with(self.exact(plugin, next_generation()))
    }

    fn replace_with(&self, resource: Result<String, NotUtf8>) -> Result<PathBuf, WriteError> {
        let text = resource.map_err(|error| WriteError::Path {
            reason: error.to_string(),
        })?;
        let path = self.path();
        replace(&path, text.as_bytes())?;
        Ok(path)
    }

    /// The prefix of what Envoy counts about this place.
    pub(crate) fn statistics(&self) -> String {
        // Names of statistics have no colons (Envoy, `source/common/stats/utility.cc`).
        let name = self.name.replace("://", "_").replace(":/", "_");
        let name = name.replace(':', "_");
        format!("extension_config_discovery.http_filter.{name}.")
    }

    /// A discovery response with one resource, `envoy.config.core.v3.TypedExtensionConfig`.
    fn resource(&self, plugin: &Plugin, generation: u64) -> Result<String, NotUtf8> {
        let mut plugin = plugin.clone();
        plugin
            .environment
            .insert(GENERATION.to_owned(), generation.to_string());
        self.exact(&plugin, generation)
    }

    /// The same, with the plugin as it is.
    fn exact(&self, plugin: &Plugin, version: u64) -> Result<String, NotUtf8> {
        let mut yaml = Yaml::default();
        let mut done = Ok(());
        yaml.line(&format!("version_info: \"{version}\""));
        yaml.within("resources:", |yaml| {
            yaml.within(
                "- \"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                |yaml| {
                    yaml.field("name", &self.name);
                    done = plugin.write(yaml, EntryPoint::HttpFilter);
                },
            );
        });
        done.map(|()| yaml.finish())
    }

    /// Writes the filter's `config_discovery`, which refers to the file.
    pub(crate) fn refer(&self, yaml: &mut Yaml) -> Result<(), NotUtf8> {
        let path = self.path();
        let path = quoted(utf8(&path)?);
        yaml.line("# Envoy reads this filter from a file, and again when the file is replaced.");
        yaml.within("config_discovery:", |yaml| {
            yaml.within("config_source:", |yaml| {
                yaml.line("resource_api_version: V3");
                yaml.line(&format!("path_config_source: {{ path: {path} }}"));
            });
            yaml.line(
                "type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]",
            );
        });
        Ok(())
    }
}

/// A folder of modules that are named after the sha256 of their bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ModuleStore {
    folder: PathBuf,
}

impl ModuleStore {
    /// The store in this folder, which need not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Keeps a module, and returns the path of its file, `<sha256>.wasm`.
    ///
    /// # Errors
    ///
    /// [`WriteError::Storage`].
    pub fn keep(&self, module: &[u8]) -> Result<PathBuf, WriteError> {
        let path = self
            .folder
            .join(format!("{}.wasm", hexadecimal(&Sha256::digest(module))));
        if !path.is_file() {
            replace(&path, module)?;
        }
        Ok(path)
    }
}

/// Writes a file beside its place and moves it there.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let storage = |source| WriteError::Storage {
        path: path.to_owned(),
        source,
    };
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let beside = path.with_extension(format!("{}-{number}.new", std::process::id()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(storage)?;
    }
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|error| {
        // The file that could not be finished is of no use to anybody.
        let _ = fs::remove_file(&beside);
        storage(error)
    })
}

/// Nanoseconds since 1970, made to grow with each call even if the clock does not.
fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    let last = LAST.fetch_max(now, Ordering::Relaxed);
    if last < now {
        now
    } else {
        LAST.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A name that is safe as the name of a file; other bytes are written as `%` and their number.
fn file_stem(name: &str) -> String {
    let mut stem = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => stem.push(char::from(byte)),
            byte => stem.push_str(&format!("%{byte:02x}")),
        }
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_resources_are_the_same() {
        let generations: Vec<u64> = (0..1000).map(|_| next_generation()).collect();
        assert!(generations.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_resource_holds_the_plugin_and_its_generation() {
        let text = Discovered::new("p", "/f")
            .resource(&Plugin::new("p", "/m.wasm"), 7)
            .unwrap();
        assert!(text.contains("- \"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig\n    name: \"p\"\n"), "{text}");
        assert!(text.contains("\"ATTACHE_GENERATION\": \"7\""), "{text}");
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let discovered = Discovered::new("../a b", "/f");
        assert_eq!(discovered.path(), PathBuf::from("/f/%2e%2e%2fa%20b.yaml"));
    }

    #[test]
    fn a_plugin_of_another_name_is_refused() {
        let error = Discovered::new("p", "/f")
            .write(&Plugin::new("q", "/m.wasm"))
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("plugin `q` cannot be pushed to `p`"),
            "{error}"
        );
    }

    #[test]
    fn modules_are_named_after_their_bytes() {
        let folder = std::env::temp_dir().join(format!("attache-modules-{}", std::process::id()));
        let path = ModuleStore::new(&folder).keep(b"").unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.wasm";
        assert_eq!(path, folder.join(empty));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }
}

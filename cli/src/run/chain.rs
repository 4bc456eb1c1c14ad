//! The filters of a run, in the order in which a request passes them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use attache_envoy::{Discovered, Environment, ModuleStore, Plugin, RunFolder};
use attache_module::configuration;

use crate::arguments::Run;
use crate::screen::Screen;
use crate::subject::{Loaded, Subject, check_policy};

/// A filter, as the command line names it.
pub(super) struct Wanted {
    subject: Subject,
    pub(super) config: Option<PathBuf>,
    pub(super) root_id: Option<String>,
}

/// All filters that the command line names, in order.
pub(super) fn wanted(arguments: &Run, screen: &Screen) -> anyhow::Result<Vec<Wanted>> {
    let words: Vec<&str> = arguments
        .filters
        .iter()
        .chain(&arguments.insert)
        .map(String::as_str)
        .collect();
    let policy = arguments.policy.as_deref();
    check_policy(policy, &words)?;
    if words.is_empty() {
        let [config, root_id] =
            [&arguments.config, &arguments.root_id].map(|given| match &given[..] {
                [] => Ok(None),
                [one] => Ok(Some(one.clone())),
                _ => bail!("one filter has one --config and one --root-id"),
            });
        return Ok(vec![Wanted {
            subject: Subject::named(None, None, screen)?,
            config: config?.map(PathBuf::from),
            root_id: root_id?,
        }]);
    }
    let names: Vec<String> = words.iter().map(|word| name_of(word)).collect();
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            bail!(
                "two filters of this chain are called `{name}`, and Envoy tells them apart by their names; \
                 name a copy of the module under another name, such as `{name}-2.wasm`"
            );
        }
    }
    let configs = assigned("config", &arguments.config, &names)?;
    let root_ids = assigned("root-id", &arguments.root_id, &names)?;
    let mut all = Vec::new();
    for ((word, config), root_id) in words.into_iter().zip(configs).zip(root_ids) {
        all.push(Wanted {
            subject: Subject::named(Some(word), policy, screen)?,
            config: config.map(PathBuf::from),
            root_id,
        });
    }
    Ok(all)
}

/// What the filter of a word is called: the file or the folder without what stands before it.
fn name_of(word: &str) -> String {
    let path = Path::new(word);
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let stem = match path.extension() {
        Some(ending) if ending == "wasm" => absolute.file_stem(),
        _ => absolute.file_name(),
    };
    let name = stem.unwrap_or(path.as_os_str()).to_string_lossy();
    // An image has a tag or a digest behind its name.
    name.split([':', '@']).next().unwrap_or_default().to_owned()
}

/// Gives each filter what an option says of it: `VALUE` of the only one, `NAME=VALUE` of one of several.
fn assigned(
    option: &str,
    given: &[String],
    names: &[String],
) -> anyhow::Result<Vec<Option<String>>> {
    let mut all = vec![None; names.len()];
    for text in given {
        let named = text.split_once('=').and_then(|(name, value)| {
            let at = names.iter().position(|known| known == name)?;
            Some((at, value))
        });
        let (at, value) = match (named, names) {
            (Some(named), _) => named,
            (None, [_]) => (0, text.as_str()),
            (None, _) => bail!(
                "`--{option} {text}` does not say which filter is meant; write `--{option} NAME=…`, where NAME is one of: {}",
                names.join(", ")
            ),
        };
        if all[at].replace(value.to_owned()).is_some() {
            bail!("`{}` has --{option} twice", names[at]);
        }
    }
    Ok(all)
}

impl Wanted {
    /// The configuration as it is now.
    pub(super) fn configuration(&self) -> anyhow::Result<Option<String>> {
        self.config.as_deref().map(read_configuration).transpose()
    }

    /// The configuration that lies in the package's folder, where none was given.
    pub(super) fn unused_configuration(&self) -> Option<PathBuf> {
        let Subject::Guest(guest) = &self.subject else {
            return None;
        };
        let path = guest.folder()?.join("config.json");
        (self.config.is_none() && path.is_file()).then_some(path)
    }
}

/// Builds or reads all modules.
pub(super) fn load(wanted: &[Wanted], screen: &Screen) -> anyhow::Result<Vec<Loaded>> {
    wanted.iter().map(|one| one.subject.load(screen)).collect()
}

/// Refuses what would let every request pass among HTTP filters, for it is none, and a configuration that its
/// filter cannot read.
pub(super) fn check(loaded: &[Loaded], wanted: &[Wanted]) -> anyhow::Result<()> {
    for (loaded, wanted) in loaded.iter().zip(wanted) {
        // Our SDK reads JSON and nothing else.
        if let (Some(_), Some(path)) = (&loaded.facts.description, &wanted.config) {
            must_be_json(&configuration(path)?, path)?;
        }
        let root_id = root_id(loaded, wanted);
        let described = loaded.facts.description.iter();
        let mut filters = described.flat_map(|it| &it.filters);
        let found = filters.find(|it| it.root_id == root_id);
        if let Some(kind) = found.map(|it| &it.kind).filter(|kind| *kind != "http") {
            bail!(
                "`{root_id}` is of the kind `{kind}`, and `attache run` runs HTTP filters; `attache test --on \
                 envoy` plays a suite of any kind in Envoy"
            );
        }
    }
    Ok(())
}

/// Which filter of its module is meant.
fn root_id(loaded: &Loaded, wanted: &Wanted) -> String {
    let declared = loaded.facts.declarations.first();
    let named = wanted.root_id.clone();
    named
        .or_else(|| declared.map(|declaration| declaration.root_id.clone()))
        .unwrap_or_default()
}

/// Where the files of this run are, and what the plugins are called.
pub(super) struct Place {
    pub(super) folder: RunFolder,
    members: Vec<Member>,
}

/// A plugin in the chain.
struct Member {
    name: String,
    root_id: String,
}

impl Place {
    pub(super) fn new(loaded: &[Loaded], wanted: &[Wanted]) -> anyhow::Result<Self> {
        let target = loaded.iter().find_map(|one| one.target.as_ref());
        let runs = match target {
            Some(target) => target.join("run"),
            None => attache_envoy::cache_folder(&Environment::current())?.join("run"),
        };
        let folder = RunFolder::claim(&runs.join(title(loaded).replace(", ", "+")))
            .with_context(|| format!("cannot use a folder in `{}`", runs.display()))?;
        let member = |(loaded, wanted): (&Loaded, &Wanted)| Member {
            name: loaded.name.clone(),
            root_id: root_id(loaded, wanted),
        };
        Ok(Self {
            folder,
            members: loaded.iter().zip(wanted).map(member).collect(),
        })
    }

    /// The plugins as they are now.
    pub(super) fn plugins(
        &self,
        loaded: &[Loaded],
        wanted: &[Wanted],
    ) -> anyhow::Result<Vec<Plugin>> {
        let mut plugins = Vec::new();
        for ((member, loaded), wanted) in self.members.iter().zip(loaded).zip(wanted) {
            let module = ModuleStore::new(self.folder.join("modules")).keep(&loaded.bytes)?;
            let mut plugin = Plugin::new(&member.name, module);
            plugin.root_id.clone_from(&member.root_id);
            plugin.configuration = wanted.configuration()?;
            let described = loaded.facts.description.as_ref();
            plugin.allow_on_headers_stop_iteration =
                described.is_some_and(|it| it.host_options.allow_on_headers_stop_iteration);
            plugins.push(plugin);
        }
        Ok(plugins)
    }

    /// What the filters are called, in their order.
    pub(super) fn names(&self) -> Vec<String> {
        self.members.iter().map(|it| it.name.clone()).collect()
    }

    /// What the chain is called.
    pub(super) fn title(&self) -> String {
        self.names().join(", ")
    }

    /// Where Envoy reads the plugins from.
    pub(super) fn discovered(&self) -> Vec<Discovered> {
        let place = |member: &Member| Discovered::new(&member.name, self.folder.join("plugins"));
        self.members.iter().map(place).collect()
    }

    /// Writes the plugins for an Envoy that starts.
    pub(super) fn write(&self, plugins: &[Plugin]) -> anyhow::Result<()> {
        for (discovered, plugin) in self.discovered().iter().zip(plugins) {
            discovered.write(plugin)?;
        }
        Ok(())
    }
}

/// What a chain is called.
pub(super) fn title(loaded: &[Loaded]) -> String {
    let names: Vec<&str> = loaded.iter().map(|one| one.name.as_str()).collect();
    names.join(", ")
}

/// The configuration's text, which is JSON where it says so: modules of other SDKs take any text.
fn read_configuration(path: &Path) -> anyhow::Result<String> {
    let text = configuration(path)?;
    let shown = path.display();
    if path.to_string_lossy().ends_with(".suite.yaml") {
        bail!("`{shown}` is a suite, which `attache test {shown}` plays; a configuration is JSON");
    }
    let named = path.extension().is_some_and(|ending| ending == "json");
    if named || text.trim_start().starts_with('{') {
        must_be_json(&text, path)?;
    }
    Ok(text)
}

fn must_be_json(text: &str, path: &Path) -> anyhow::Result<()> {
    serde_json::from_str::<serde_json::Value>(text)
        .map(drop)
        .with_context(|| format!("the configuration `{}` is not JSON", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assign(given: &[&str], names: &[&str]) -> anyhow::Result<Vec<Option<String>>> {
        let owned = |words: &[&str]| {
            words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>()
        };
        assigned("config", &owned(given), &owned(names))
    }

    #[test]
    fn an_option_is_for_the_filter_that_it_names() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(assign(&["f"], &["a"]).unwrap(), [some("f")]);
        assert_eq!(assign(&["x=f"], &["a"]).unwrap(), [some("x=f")]);
        assert_eq!(assign(&["b=f"], &["a", "b"]).unwrap(), [None, some("f")]);
        for given in [&["f"][..], &["c=f"], &["a=f", "a=g"]] {
            assert!(assign(given, &["a", "b"]).is_err(), "{given:?}");
        }
    }

    #[test]
    fn filters_are_called_after_their_files() {
        for (word, name) in [
            ("auth-scrub", "auth-scrub"),
            ("./x/gate", "gate"),
            ("a/b.wasm", "b"),
            ("ghcr.io/me/gate:1.2.0", "gate"),
        ] {
            assert_eq!(name_of(word), name);
        }
    }

    #[test]
    fn a_text_that_says_nothing_of_json_is_for_the_module_to_read() {
        let folder = std::env::temp_dir().join(format!("attache-chain-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let read = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            read_configuration(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read("c.txt", "the secret\n").unwrap(), "the secret");
        for (name, text) in [("c.json", "the secret"), ("c", " {a: b}")] {
            assert!(read(name, text).unwrap_err().ends_with("is not JSON"));
        }
        assert!(
            read("a.suite.yaml", "x")
                .unwrap_err()
                .contains("is a suite")
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}

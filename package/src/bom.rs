use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::digest::Digest;

/// The target that modules are built for.
const MODULES: &str = "wasm32-unknown-unknown";

/// Why the crates in a module or program cannot be listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BomError {
    /// Cargo, or the compiler, could not be run.
    #[error("cannot run `{what}`")]
    Cargo {
        /// What was to be run.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// It refused.
    #[error("`{what}` failed in `{}`: {said}", folder.display())]
    Refused {
        /// What was run.
        what: &'static str,
        /// Where.
        folder: PathBuf,
        /// Its words.
        said: String,
    },
    /// What it said is not understood.
    #[error("`cargo metadata` said something else than expected")]
    Form(#[from] serde_json::Error),
    /// The folder is none of a package.
    #[error("there is no `{}`: expected the folder of a package", manifest.display())]
    NoManifest {
        /// What was looked for.
        manifest: PathBuf,
    },
    /// The package makes no program.
    #[error("`{name}` makes no program: it has no target of kind `bin`")]
    NoProgram {
        /// The package.
        name: String,
    },
    /// There is no such package.
    #[error("`{}` holds no package of its own", folder.display())]
    NoPackage {
        /// The folder.
        folder: PathBuf,
    },
    /// The lock file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The lock file is not TOML.
    #[error("`{}` is not a lock file of cargo", path.display())]
    LockForm {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: toml::de::Error,
    },
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    description: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

impl Package {
    /// Whether it has a target of this kind.
    fn makes(&self, kind: &str) -> bool {
        let is_kind = |target: &Target| target.kind.iter().any(|known| known == kind);
        self.targets.iter().any(is_kind)
    }
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// None for what is linked; `dev` and `build` are not in what is made.
    kind: Option<String>,
}

#[derive(Default, Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// What a list of crates is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Linked {
    /// A filter's module, by its digest.
    Module(Digest),
    /// A program for the machine that cargo runs on, by its digest where one was built.
    Program(Option<Digest>),
}

/// The crates that the package in a folder is linked of, as CycloneDX 1.6 in JSON.
///
/// Procedural macros are among them: cargo does not tell them from what is linked. What a crate needs only for a
/// feature is listed where any package of the workspace wants that feature. There is no serial number and no time in
/// it, so that the same crates give the same bytes.
///
/// # Errors
///
/// [`BomError`], when cargo cannot tell, or the lock file cannot be read.
pub fn bill_of_materials(folder: &Path, what: Linked) -> Result<Vec<u8>, BomError> {
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(BomError::NoManifest { manifest });
    }
    let (target, digest) = match what {
        Linked::Module(digest) => (MODULES.to_owned(), Some(digest)),
        Linked::Program(digest) => (this_machine(folder)?, digest),
    };
    let metadata = ask_cargo(folder, &target)?;
    let manifest = fs::canonicalize(manifest).unwrap_or_default();
    let is_root = |package: &&Package| {
        fs::canonicalize(&package.manifest_path).is_ok_and(|path| path == manifest)
    };
    let root = metadata
        .packages
        .iter()
        .find(is_root)
        .ok_or_else(|| BomError::NoPackage {
            folder: folder.to_owned(),
        })?;
    if matches!(what, Linked::Program(_)) && !root.makes("bin") {
        return Err(BomError::NoProgram {
            name: root.name.clone(),
        });
    }
    let checksums = checksums(&metadata.workspace_root.join("Cargo.lock"))?;
    Ok(serde_json::to_vec_pretty(&document(
        &metadata, root, &checksums, digest,
    ))?)
}

fn ask_cargo(folder: &Path, target: &str) -> Result<Metadata, BomError> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "metadata",
        // What was built is listed, and no other set of crates is looked for.
        "--locked",
        "--format-version",
        "1",
        "--filter-platform",
        target,
    ]);
    let said = said(command.current_dir(folder), "cargo metadata", folder)?;
    Ok(serde_json::from_slice(&said)?)
}

/// The target that programs are built for where none is named.
fn this_machine(folder: &Path) -> Result<String, BomError> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.arg("-vV").current_dir(folder);
    let said = said(&mut command, "rustc -vV", folder)?;
    let said = String::from_utf8_lossy(&said);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| BomError::Refused {
        what: "rustc -vV",
        folder: folder.to_owned(),
        said: "it does not say `host: …`".to_owned(),
    })
}

fn said(command: &mut Command, what: &'static str, folder: &Path) -> Result<Vec<u8>, BomError> {
    let output = command
        .output()
        .map_err(|source| BomError::Cargo { what, source })?;
    if !output.status.success() {
        return Err(BomError::Refused {
            what,
            folder: folder.to_owned(),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(output.stdout)
}

fn checksums(path: &Path) -> Result<BTreeMap<(String, String), String>, BomError> {
    let text = fs::read_to_string(path).map_err(|source| BomError::Lock {
        path: path.to_owned(),
        source,
    })?;
    let lock: Lock = toml::from_str(&text).map_err(|source| BomError::LockForm {
        path: path.to_owned(),
        source,
    })?;
    let with_sum = |locked: Locked| Some(((locked.name, locked.version), locked.checksum?));
    Ok(lock.package.into_iter().filter_map(with_sum).collect())
}

fn document(
    metadata: &Metadata,
    root: &Package,
    checksums: &BTreeMap<(String, String), String>,
    digest: Option<Digest>,
) -> Value {
    let sum = digest.map(|digest| digest.hex());
    let edges = linked(metadata, &root.id);
    let by_id: BTreeMap<&str, &Package> = metadata
        .packages
        .iter()
        .map(|package| (package.id.as_str(), package))
        .collect();
    let name = |id: &&str| by_id.get(id).map(|package| purl(package));
    let mut components: Vec<(String, Value)> = Vec::new();
    let mut dependencies: Vec<(String, Value)> = Vec::new();
    for (id, needs) in &edges {
        let Some(package) = by_id.get(id) else {
            continue;
        };
        let purl = purl(package);
        if *id != root.id {
            let sum = checksums.get(&(package.name.clone(), package.version.clone()));
            components.push((purl.clone(), component("library", package, sum)));
        }
        let mut needs: Vec<String> = needs.iter().filter_map(name).collect();
        needs.sort_unstable();
        dependencies.push((purl.clone(), json!({ "ref": purl, "dependsOn": needs })));
    }
    let sorted = |mut values: Vec<(String, Value)>| {
        values.sort_by(|one, other| one.0.cmp(&other.0));
        values
            .into_iter()
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
    };
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": component("application", root, sum.as_ref()) },
        "components": sorted(components),
        "dependencies": sorted(dependencies),
    })
}

/// What is linked from a package on, and what each of these needs itself.
fn linked<'m>(metadata: &'m Metadata, root: &'m str) -> BTreeMap<&'m str, BTreeSet<&'m str>> {
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let mut found = BTreeMap::new();
    let mut left = vec![root];
    while let Some(id) = left.pop() {
        if found.contains_key(id) {
            continue;
        }
        let needs: BTreeSet<&str> = nodes.get(id).map_or_else(BTreeSet::new, |node| {
            let is_linked =
                |needed: &&Dependency| needed.dep_kinds.iter().any(|kind| kind.kind.is_none());
            node.deps
                .iter()
                .filter(is_linked)
                .map(|needed| needed.pkg.as_str())
                .collect()
        });
        left.extend(&needs);
        found.insert(id, needs);
    }
    found
}

fn component(kind: &str, package: &Package, sha256: Option<&String>) -> Value {
    let purl = purl(package);
    let mut component = json!({
        "type": kind,
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
    });
    if let Some(description) = &package.description {
        component["description"] = json!(description.trim());
    }
    if let Some(license) = &package.license {
        // Cargo's older way to say OR.
        component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
    }
    if let Some(repository) = &package.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    if let Some(sha256) = sha256 {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sha256 }]);
    }
    component
}

/// A package URL (github.com/package-url/purl-spec, type `cargo`).
fn purl(package: &Package) -> String {
    format!(
        "pkg:cargo/{}@{}",
        package.name,
        package.version.replace('+', "%2B")
    )
}

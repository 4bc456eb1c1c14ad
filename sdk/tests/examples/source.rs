//! The public items of a crate's sources, and the examples in what is said of them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// What `filters!` expands to, and nobody else names.
const EXPANDED: [&str; 4] = ["describe", "entry", "kind", "registry"];

/// A public item.
#[derive(Debug)]
pub(crate) struct Item {
    /// Its path in the sources, such as `headers::Headers::insert`.
    pub(crate) name: String,
    /// File and line.
    pub(crate) place: String,
    kind: Kind,
    /// The module whose source it stands in.
    module: String,
    /// The code of its own examples.
    own: String,
    /// The code of the examples of what it belongs to.
    above: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Module,
    /// A type, trait, function or macro.
    Standing,
    Constant,
    /// A method, or an associated constant or type.
    Member,
}

impl Item {
    /// Whether there is an example of its own, or one of what it belongs to that uses it. Modules,
    /// types, traits, functions and macros have one of their own.
    pub(crate) fn has_example(&self) -> bool {
        let may_be_above = matches!(self.kind, Kind::Constant | Kind::Member);
        !self.own.trim().is_empty() || (may_be_above && self.is_used_above())
    }

    fn is_used_above(&self) -> bool {
        let name = last(&self.name);
        self.above.match_indices(name).any(|(at, _)| {
            let (before, after) = (&self.above[..at], &self.above[at + name.len()..]);
            if before.ends_with(is_of_word) || after.starts_with(is_of_word) {
                return false;
            }
            match self.kind {
                Kind::Member => is_member(before, after),
                _ => true,
            }
        })
    }

    /// The type or trait of a member.
    fn owner(&self) -> Option<&str> {
        let (owner, _) = self.name.rsplit_once("::")?;
        (self.kind == Kind::Member).then_some(owner)
    }
}

/// Whether what stands around a name says that it is a member's: a call, a path or a definition, and
/// neither a module's nor a field's.
fn is_member(before: &str, after: &str) -> bool {
    if let Some(path) = before.strip_suffix("::") {
        let owner = path.rsplit(|letter| !is_of_word(letter)).next();
        return owner.is_none_or(|owner| owner.is_empty() || owner.starts_with(char::is_uppercase));
    }
    let is_call = after.starts_with('(') || after.starts_with("::<");
    let is_defined = ["fn ", "type ", "const "]
        .iter()
        .any(|sign| before.ends_with(sign));
    is_defined || (before.ends_with('.') && is_call)
}

fn last(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// What has been read so far.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    items: Vec<Item>,
    /// The examples of modules.
    modules: BTreeMap<String, String>,
}

impl Sources {
    /// Reads all sources below a folder, which is that of `module`.
    pub(crate) fn read_folder(&mut self, folder: &Path, module: &str) -> io::Result<()> {
        let mut entries: Vec<_> = folder.read_dir()?.collect::<Result<_, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for path in entries.iter().map(std::fs::DirEntry::path) {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let inner = match &*stem {
                "lib" => String::new(),
                stem => within(module, stem),
            };
            if EXPANDED.contains(&&*inner) {
                continue;
            }
            if path.is_dir() {
                self.read_folder(&path, &inner)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                self.read(&std::fs::read_to_string(&path)?, &path, &inner)?;
            }
        }
        Ok(())
    }

    /// Reads a source, in the form that `rustfmt` gives it.
    pub(crate) fn read(&mut self, text: &str, path: &Path, module: &str) -> io::Result<()> {
        let mut said = String::new();
        let mut told = Told::default();
        let mut place = Place::Module;
        for (line, number) in text.lines().zip(1..) {
            if let Some(line) = line.strip_prefix("//!") {
                said.push_str(line);
                said.push('\n');
                continue;
            }
            if told.takes(line, path)? {
                continue;
            }
            let told = std::mem::take(&mut told);
            if told.is_of_tests && line == "mod tests {" {
                break;
            }
            if let Some((kind, name)) = place.item(line, &told)
                && !(told.is_hidden || told.is_of_tests)
            {
                self.items.push(Item {
                    name: within(module, &name),
                    place: format!("{}:{number}", path.display()),
                    kind,
                    module: module.to_owned(),
                    own: code(&told.docs),
                    above: String::new(),
                });
            }
            place.pass(line);
        }
        self.modules.insert(module.to_owned(), code(&said));
        Ok(())
    }

    /// All items, with the examples of what they belong to.
    pub(crate) fn items(self) -> Vec<Item> {
        let Self { mut items, modules } = self;
        let of_types: Vec<(String, String)> = items
            .iter()
            .filter(|item| item.kind == Kind::Standing)
            .map(|item| (item.name.clone(), item.own.clone()))
            .collect();
        for item in &mut items {
            let of_module = |name: &str| modules.get(name).cloned().unwrap_or_default();
            match item.owner() {
                None if item.kind == Kind::Module => item.own.push_str(&of_module(&item.name)),
                None => item.above = of_module(&item.module),
                Some(owner) => {
                    // Methods may stand in the module whose subject they are, and their type elsewhere.
                    let same = of_types.iter().find(|(name, _)| name == owner);
                    item.above = match same {
                        Some((_, examples)) => examples.clone(),
                        None => of_types
                            .iter()
                            .filter(|(name, _)| last(name) == last(owner))
                            .map(|(_, examples)| examples.clone())
                            .chain([of_module(&item.module)])
                            .collect(),
                    };
                }
            }
        }
        items
    }
}

fn within(module: &str, name: &str) -> String {
    match module {
        "" => name.to_owned(),
        module => format!("{module}::{name}"),
    }
}

/// What stands before an item.
#[derive(Default)]
struct Told {
    docs: String,
    is_hidden: bool,
    is_exported: bool,
    is_of_tests: bool,
    /// An attribute goes on for more lines.
    is_open: bool,
}

impl Told {
    /// Whether a line is said of the item that follows.
    fn takes(&mut self, line: &str, path: &Path) -> io::Result<bool> {
        let line = line.trim_start();
        if self.is_open {
            self.is_open = line != ")]";
            return Ok(true);
        }
        if let Some(line) = line.strip_prefix("///") {
            self.docs.push_str(line);
            self.docs.push('\n');
            return Ok(true);
        }
        if let Some(file) = line.strip_prefix("#[doc = include_str!(\"") {
            let file = file.trim_end_matches("\")]");
            self.docs
                .push_str(&std::fs::read_to_string(path.with_file_name(file))?);
            return Ok(true);
        }
        self.is_hidden |= line == "#[doc(hidden)]";
        self.is_exported |= line == "#[macro_export]";
        self.is_of_tests |= line == "#[cfg(test)]";
        self.is_open = line.starts_with("#[") && !line.ends_with(']');
        Ok(line.starts_with("#[") || line.starts_with("// "))
    }
}

/// What the line that comes stands in.
enum Place {
    Module,
    Impl(String),
    Trait(String),
    Other,
}

impl Place {
    /// The item that a line begins.
    fn item(&self, line: &str, told: &Told) -> Option<(Kind, String)> {
        match self {
            Self::Module => match line.strip_prefix("macro_rules! ") {
                Some(rest) if told.is_exported => {
                    Some((Kind::Standing, format!("{}!", word(rest))))
                }
                Some(_) => None,
                None => top_level(line),
            },
            Self::Impl(owner) => {
                let name = member(line.strip_prefix("    pub ")?)?;
                Some((Kind::Member, format!("{owner}::{name}")))
            }
            Self::Trait(owner) => {
                let name = member(line.strip_prefix("    ")?)?;
                Some((Kind::Member, format!("{owner}::{name}")))
            }
            Self::Other => None,
        }
    }

    /// Goes past a line.
    fn pass(&mut self, line: &str) {
        match self {
            // What ends stands at the margin.
            _ if line == "}" || (line.ends_with(';') && !line.starts_with(' ')) => {
                *self = Self::Module
            }
            Self::Module => {
                if let Some(rest) = line.strip_prefix("pub trait ") {
                    *self = Self::Trait(word(rest).to_owned());
                } else if line.starts_with("impl") {
                    *self = Self::Impl(type_of_impl(line).to_owned());
                } else if !line.starts_with('#') && line.ends_with(['{', '(']) {
                    *self = Self::Other;
                }
                if line.ends_with('}') {
                    *self = Self::Module;
                }
            }
            Self::Impl(_) | Self::Trait(_) | Self::Other => {}
        }
    }
}

/// An item of a module.
fn top_level(line: &str) -> Option<(Kind, String)> {
    let rest = line.strip_prefix("pub ")?;
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    let kinds = [
        ("mod ", Kind::Module),
        ("struct ", Kind::Standing),
        ("enum ", Kind::Standing),
        ("trait ", Kind::Standing),
        ("type ", Kind::Standing),
        ("fn ", Kind::Standing),
        ("const fn ", Kind::Standing),
        ("const ", Kind::Constant),
        ("static ", Kind::Constant),
    ];
    let found = |(sign, kind)| Some((kind, word(rest.strip_prefix(sign)?).to_owned()));
    kinds.into_iter().find_map(found)
}

/// The name of a method, or of an associated constant or type.
fn member(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    ["fn ", "const fn ", "const ", "type "]
        .into_iter()
        .find_map(|sign| rest.strip_prefix(sign))
        .map(word)
}

/// The type in `impl<K: Ord> Cache<K> {`.
fn type_of_impl(line: &str) -> &str {
    let rest = line.trim_start_matches("impl");
    let (mut depth, mut before) = (0, ' ');
    let end = rest.find(|letter| {
        depth += match letter {
            '<' => 1,
            // Not that of `->`.
            '>' if before != '-' => -1,
            _ => 0,
        };
        before = letter;
        depth == 0 && letter == ' '
    });
    word(
        rest.get(end.unwrap_or(0)..)
            .unwrap_or_default()
            .trim_start(),
    )
}

fn word(text: &str) -> &str {
    let end = text.find(|letter| !is_of_word(letter));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// What a reader sees of the examples in a documentation, without comments. One that must not compile
/// is no example.
fn code(docs: &str) -> String {
    let mut code = String::new();
    let mut shown = None;
    for line in docs.lines().map(str::trim) {
        if let Some(info) = line.strip_prefix("```") {
            shown = match shown {
                Some(_) => None,
                None => Some(matches!(info, "" | "rust" | "no_run" | "should_panic")),
            };
        } else if shown == Some(true) && line != "#" && !line.starts_with("# ") {
            let line = match line.find("//") {
                Some(at) if line[..at].ends_with(':') => line,
                Some(at) => &line[..at],
                None => line,
            };
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

//! What takes how many bytes of a module.

use std::collections::BTreeMap;

use wasmparser::{KnownCustom, Name, Parser, Payload, TypeRef};

use crate::facts::ReadError;

/// The bytes of a module, by what they are for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Sizes {
    /// All of them.
    pub module: usize,
    /// Those of functions.
    pub code: usize,
    /// Those of the memory's beginning.
    pub data: usize,
    /// Those of custom sections: names, debug information, descriptions.
    pub custom: usize,
    /// How many functions it has.
    pub functions: usize,
    /// The functions, the largest first.
    pub by_function: Vec<FunctionSize>,
    /// The crates that the functions are of, the largest first; empty where the functions have no names,
    /// or no names of Rust.
    pub by_crate: Vec<CrateSize>,
}

/// A function.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FunctionSize {
    /// Its number in the module, imports first.
    pub index: u32,
    /// Its name, as the toolchain left it and a person reads it.
    pub name: Option<String>,
    /// Its bytes.
    pub bytes: usize,
}

/// The functions of a crate.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CrateSize {
    /// Its name.
    pub name: String,
    /// Their bytes.
    pub bytes: usize,
}

impl Sizes {
    pub(super) fn read(bytes: &[u8], known: &BTreeMap<u32, String>) -> Result<Self, ReadError> {
        let mut sizes = Self {
            module: bytes.len(),
            ..Self::default()
        };
        let mut imported = 0;
        let mut names: BTreeMap<u32, String> = known.clone();
        let mut bodies = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let function =
                            matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                        imported += u32::from(function);
                    }
                }
                Payload::CodeSectionStart { size, .. } => sizes.code = size as usize,
                Payload::CodeSectionEntry(body) => bodies.push(body.range().len()),
                Payload::DataSection(section) => sizes.data = section.range().len(),
                Payload::CustomSection(section) => {
                    sizes.custom += section.range().len();
                    if let KnownCustom::Name(section) = section.as_known() {
                        read_names(section, &mut names);
                    }
                }
                _ => {}
            }
        }
        sizes.functions = bodies.len();
        let mut crates: BTreeMap<String, usize> = BTreeMap::new();
        for (index, bytes) in (imported..).zip(bodies) {
            let symbol = names.get(&index).map(String::as_str);
            if let Some(of) = symbol.and_then(crate_of) {
                *crates.entry(of).or_default() += bytes;
            }
            sizes.by_function.push(FunctionSize {
                index,
                name: symbol.map(readable),
                bytes,
            });
        }
        sizes
            .by_function
            .sort_by_key(|function| std::cmp::Reverse(function.bytes));
        let crates = crates.into_iter();
        sizes.by_crate = crates
            .map(|(name, bytes)| CrateSize { name, bytes })
            .collect();
        sizes.by_crate.sort_by_key(|of| std::cmp::Reverse(of.bytes));
        Ok(sizes)
    }
}

/// Names are for people: what cannot be read of them is left out.
fn read_names(section: wasmparser::NameSectionReader<'_>, names: &mut BTreeMap<u32, String>) {
    for part in section {
        let Ok(Name::Function(functions)) = part else {
            continue;
        };
        for naming in functions.into_iter().map_while(Result::ok) {
            names.insert(naming.index, naming.name.to_owned());
        }
    }
}

fn readable(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}

/// The crate of a function of Rust: the first word of its path, or of the type that the method is on.
fn crate_of(symbol: &str) -> Option<String> {
    let path = format!("{:#}", rustc_demangle::try_demangle(symbol).ok()?);
    let path = path.trim_start_matches(['<', '&', '*', '(', '[', ' ']);
    let path = ["dyn ", "mut ", "const "]
        .iter()
        .fold(path, |path, word| path.strip_prefix(word).unwrap_or(path));
    let end = path.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let name = path.get(..end.unwrap_or(path.len()))?;
    // `<T as core::fmt::Debug>::fmt` is of nobody in particular, and `u32` of `core`.
    match name {
        "" => None,
        "bool" | "char" | "str" | "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64"
        | "isize" => Some("core".to_owned()),
        name => Some(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_belongs_to_a_crate() {
        for (symbol, of) in [
            ("_ZN5alloc3vec4push17h1234567890abcdefE", Some("alloc")),
            (
                "_ZN72_$LT$attache..entry..Root$u20$as$u20$proxy_wasm..traits..RootContext$GT$7on_tick17h1234567890abcdefE",
                Some("attache"),
            ),
            (
                "_ZN42_$LT$$RF$T$u20$as$u20$core..fmt..Debug$GT$3fmt17h1234567890abcdefE",
                Some("T"),
            ),
            ("_RNvCs1234_7mycrate3foo", Some("mycrate")),
            ("malloc", None),
        ] {
            assert_eq!(crate_of(symbol).as_deref(), of, "{symbol}");
        }
    }

    #[test]
    fn the_largest_comes_first() {
        let text = "(module (import \"env\" \"f\" (func)) (func $small) \
                    (func $large (drop (i64.const 1234567890))))";
        let sizes = Sizes::read(&wat::parse_str(text).unwrap(), &BTreeMap::new()).unwrap();
        let names: Vec<_> = sizes
            .by_function
            .iter()
            .map(|f| f.name.as_deref())
            .collect();
        assert_eq!(names, [Some("large"), Some("small")]);
        assert_eq!(sizes.by_function[0].index, 2);
        assert_eq!(sizes.functions, 2);
        assert!(sizes.code > 0 && sizes.custom > 0 && sizes.by_crate.is_empty());
    }
}

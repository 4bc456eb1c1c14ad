//! The types of host functions, and the versions of the ABI that have them.

use wasmtime::{FuncType, ValType};

use crate::abi::AbiVersion;

/// A function that a module may import.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    pub(crate) parameters: &'static [Number],
    pub(crate) results: &'static [Number],
    pub(crate) versions: Versions,
}

impl Signature {
    /// Whether an import declares this type.
    pub(crate) fn accepts(&self, declared: &FuncType) -> bool {
        let matches = |declared: &mut dyn Iterator<Item = ValType>, own: &[Number]| {
            declared
                .map(|ty| Number::of(&ty))
                .eq(own.iter().map(|number| Some(*number)))
        };
        matches(&mut declared.params(), self.parameters)
            && matches(&mut declared.results(), self.results)
    }

    /// The type as Envoy writes it, such as `i32 i32 -> i32`.
    pub(crate) fn describe(&self) -> String {
        let names = |numbers: &[Number]| numbers.iter().map(|number| number.name()).collect();
        arrow(names(self.parameters), names(self.results))
    }
}

/// A function's type as Envoy writes it: `i32 i32 -> i32`, `i32 -> void`.
pub(crate) fn describe(ty: &FuncType) -> String {
    let names = |types: &mut dyn Iterator<Item = ValType>| {
        types
            .map(|ty| Number::of(&ty).map_or("unknown", Number::name))
            .collect()
    };
    arrow(names(&mut ty.params()), names(&mut ty.results()))
}

/// Parameters and results of i32 as Envoy writes them.
pub(crate) fn describe_i32(parameters: usize, results: usize) -> String {
    arrow(vec!["i32"; parameters], vec!["i32"; results])
}

fn arrow(parameters: Vec<&str>, results: Vec<&str>) -> String {
    let side = |names: Vec<&str>| match names.is_empty() {
        true => "void".to_owned(),
        false => names.join(" "),
    };
    format!("{} -> {}", side(parameters), side(results))
}

/// A type of wasm that a host function has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Number {
    I32,
    I64,
    F32,
    F64,
}

impl Number {
    fn of(ty: &ValType) -> Option<Self> {
        match ty {
            ValType::I32 => Some(Self::I32),
            ValType::I64 => Some(Self::I64),
            ValType::F32 => Some(Self::F32),
            ValType::F64 => Some(Self::F64),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }
}

/// The wasm type of a parameter or a result of a host function.
pub(crate) trait Parameter {
    const NUMBER: Number;
}

impl Parameter for u32 {
    const NUMBER: Number = Number::I32;
}

impl Parameter for i64 {
    const NUMBER: Number = Number::I64;
}

impl Parameter for u64 {
    const NUMBER: Number = Number::I64;
}

/// The versions of the ABI that offer a function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Versions {
    All,
    Only010,
    Since020,
    Since021,
}

impl Versions {
    pub(crate) fn have(self, abi: AbiVersion) -> bool {
        match self {
            Self::All => true,
            Self::Only010 => abi == AbiVersion::V0_1_0,
            Self::Since020 => abi >= AbiVersion::V0_2_0,
            Self::Since021 => abi >= AbiVersion::V0_2_1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_as_envoy_writes_them() {
        let signature = Signature {
            name: "f",
            parameters: &[Number::I32, Number::I64],
            results: &[],
            versions: Versions::All,
        };
        assert_eq!(signature.describe(), "i32 i64 -> void");
        assert_eq!(describe_i32(0, 1), "void -> i32");
    }

    #[test]
    fn each_version_has_its_functions() {
        let have = |versions: Versions| {
            [AbiVersion::V0_1_0, AbiVersion::V0_2_0, AbiVersion::V0_2_1]
                .map(|abi| versions.have(abi))
        };
        assert_eq!(have(Versions::Only010), [true, false, false]);
        assert_eq!(have(Versions::Since020), [false, true, true]);
        assert_eq!(have(Versions::Since021), [false, false, true]);
    }
}

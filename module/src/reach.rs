//! Which functions and data of a module can be used at all.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use wasmparser::{
    BinaryReaderError, ConstExpr, ElementItems, ExternalKind, FunctionBody, Operator, Parser,
    Payload, TableInit, TypeRef,
};

use crate::references::{References, Target, first_slot};
use crate::traits::is_unused;

/// What a module needs.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// The functions, as indices in the module's function space, imports first.
    pub(crate) functions: BTreeSet<u32>,
    /// The data that nobody reads: the number of the segment, and where in it.
    pub(crate) dead_data: Vec<(usize, Range<usize>)>,
    /// The linker's names of functions.
    pub(crate) names: BTreeMap<u32, String>,
}

/// What can be used when of the exports only those that `keep` accepts exist.
///
/// Where the linker left no word on who refers to whom, whatever stands in an element segment counts
/// as reachable, because an indirect call may name it, and so does all data.
pub(crate) fn reachable(
    bytes: &[u8],
    keep: impl Fn(&str) -> bool,
) -> Result<Live, BinaryReaderError> {
    let references = References::read(bytes)?;
    let start = Start::read(bytes, &keep, references.is_none())?;
    let references = references.unwrap_or_default();

    let mut live = Live::default();
    let mut chunks = BTreeSet::new();
    let mut todo = references.others.clone();
    todo.extend(start.roots.iter().copied().map(Target::Function));
    while let Some(target) = todo.pop() {
        match target {
            Target::Function(function) if live.functions.insert(function) => {
                todo.extend(references.functions.get(&function).into_iter().flatten());
                let body = function
                    .checked_sub(start.imported)
                    .and_then(|index| start.bodies.get(usize::try_from(index).ok()?));
                if let Some(body) = body {
                    for operator in body.get_operators_reader()? {
                        todo.extend(called(&operator?).map(Target::Function));
                    }
                }
            }
            Target::Chunk(chunk) if chunks.insert(chunk) => {
                let targets = references.chunks.get(chunk);
                let targets = targets.into_iter().flat_map(|chunk| &chunk.targets);
                let is_used = |target: &&Target| match target {
                    Target::Function(function) => {
                        let name = references.names.get(function);
                        !name.is_some_and(|name| is_unused(name, &keep))
                    }
                    Target::Chunk(_) => true,
                };
                todo.extend(targets.filter(is_used));
            }
            Target::Function(_) | Target::Chunk(_) => {}
        }
    }
    live.dead_data = references
        .chunks
        .into_iter()
        .enumerate()
        .filter(|(index, _)| !chunks.contains(index))
        .map(|(_, chunk)| (chunk.segment, chunk.range))
        .collect();
    live.names = references.names;
    Ok(live)
}

/// Where the search begins, and what it goes through.
#[derive(Default)]
struct Start<'a> {
    imported: u32,
    roots: Vec<u32>,
    bodies: Vec<FunctionBody<'a>>,
}

impl<'a> Start<'a> {
    fn read(
        bytes: &'a [u8],
        keep: impl Fn(&str) -> bool,
        with_table: bool,
    ) -> Result<Self, BinaryReaderError> {
        let mut start = Self::default();
        let Self {
            imported,
            roots,
            bodies,
        } = &mut start;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        if let TypeRef::Func(_) | TypeRef::FuncExact(_) = import?.ty {
                            *imported += 1;
                        }
                    }
                }
                Payload::TableSection(section) => {
                    for table in section {
                        if let TableInit::Expr(expression) = table?.init {
                            constant(&expression, roots)?;
                        }
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        constant(&global?.init_expr, roots)?;
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ExternalKind::Func && keep(export.name) {
                            roots.push(export.index);
                        }
                    }
                }
                Payload::StartSection { func, .. } => roots.push(func),
                Payload::ElementSection(section) => {
                    for element in section {
                        let element = element?;
                        let known = first_slot(&element.kind).is_some() && !with_table;
                        match element.items {
                            ElementItems::Functions(_) if known => {}
                            ElementItems::Functions(functions) => {
                                for function in functions {
                                    roots.push(function?);
                                }
                            }
                            ElementItems::Expressions(_, expressions) => {
                                for expression in expressions {
                                    constant(&expression?, roots)?;
                                }
                            }
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => bodies.push(body),
                _ => {}
            }
        }
        Ok(start)
    }
}

fn constant(expression: &ConstExpr<'_>, roots: &mut Vec<u32>) -> Result<(), BinaryReaderError> {
    for operator in expression.get_operators_reader() {
        roots.extend(called(&operator?));
    }
    Ok(())
}

fn called(operator: &Operator<'_>) -> Option<u32> {
    match operator {
        Operator::Call { function_index }
        | Operator::ReturnCall { function_index }
        | Operator::RefFunc { function_index } => Some(*function_index),
        _ => None,
    }
}

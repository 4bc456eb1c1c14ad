//! Which functions of a module can run at all.

use std::collections::BTreeSet;

use wasmparser::{
    BinaryReaderError, ConstExpr, ElementItems, ExternalKind, FunctionBody, Operator, Parser,
    Payload, TableInit, TypeRef,
};

/// The functions that can run when of the exports only those that `keep` accepts exist, as indices
/// in the module's function space, imports first.
///
/// Whatever stands in an element segment counts as reachable: an indirect call may name it.
pub(crate) fn reachable(
    bytes: &[u8],
    keep: impl Fn(&str) -> bool,
) -> Result<BTreeSet<u32>, BinaryReaderError> {
    let mut imported = 0_u32;
    let mut roots = Vec::new();
    let mut bodies: Vec<FunctionBody<'_>> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let TypeRef::Func(_) | TypeRef::FuncExact(_) = import?.ty {
                        imported += 1;
                    }
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    if let TableInit::Expr(expression) = table?.init {
                        constant(&expression, &mut roots)?;
                    }
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    constant(&global?.init_expr, &mut roots)?;
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
                    match element?.items {
                        ElementItems::Functions(functions) => {
                            for function in functions {
                                roots.push(function?);
                            }
                        }
                        ElementItems::Expressions(_, expressions) => {
                            for expression in expressions {
                                constant(&expression?, &mut roots)?;
                            }
                        }
                    }
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body),
            _ => {}
        }
    }

    let mut reached = BTreeSet::new();
    while let Some(function) = roots.pop() {
        if !reached.insert(function) {
            continue;
        }
        let body = function
            .checked_sub(imported)
            .and_then(|index| bodies.get(usize::try_from(index).ok()?));
        if let Some(body) = body {
            for operator in body.get_operators_reader()? {
                roots.extend(target(&operator?));
            }
        }
    }
    Ok(reached)
}

fn constant(expression: &ConstExpr<'_>, roots: &mut Vec<u32>) -> Result<(), BinaryReaderError> {
    for operator in expression.get_operators_reader() {
        roots.extend(target(&operator?));
    }
    Ok(())
}

fn target(operator: &Operator<'_>) -> Option<u32> {
    match operator {
        Operator::Call { function_index }
        | Operator::ReturnCall { function_index }
        | Operator::RefFunc { function_index } => Some(*function_index),
        _ => None,
    }
}

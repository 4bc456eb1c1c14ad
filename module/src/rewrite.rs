use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, CustomSection, DataSection, ElementSection, Elements, ExportSection,
    FunctionSection, ImportSection, Module,
};
use wasmparser::{DataKind, ElementItems, Parser, Payload, TypeRef};

use crate::reach::Live;
use crate::references::{constant, first_slot};

/// So many zeros in a row cost more than a segment that begins after them.
const WORTH_A_SEGMENT: usize = 16;

/// A function is needed that was dropped.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("function {function} is needed and was dropped")]
pub(crate) struct Dropped {
    function: u32,
}

/// Writes a module again: with the exports that `keep` accepts, with what of functions and data is
/// alive, with numbers as short as they can be, and with `sections` as its only custom sections.
pub(crate) fn rewrite(
    bytes: &[u8],
    live: &Live,
    keep: &dyn Fn(&str) -> bool,
    sections: &[(&str, &[u8])],
) -> Result<Vec<u8>, Error<Dropped>> {
    let mut rewriter = Rewriter {
        numbers: live.functions.iter().copied().zip(0..).collect(),
        imported: 0,
        keep,
        segments: segments(bytes, live)?,
    };
    let mut module = Module::new();
    utils::parse_core_module(&mut rewriter, &mut module, Parser::new(0), bytes)?;
    for (name, data) in sections {
        module.section(&CustomSection {
            name: Cow::Borrowed(name),
            data: Cow::Borrowed(data),
        });
    }
    Ok(module.finish())
}

/// A data segment in the pieces that have something in them.
struct Pieces {
    address: u32,
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

/// The segments without their dead data; `None` where they have to stay as they are, because code
/// names them by their number.
fn segments(bytes: &[u8], live: &Live) -> Result<Option<Vec<Pieces>>, wasmparser::Error> {
    let mut segments = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::DataSection(section) = payload? {
            for (index, data) in section.into_iter().enumerate() {
                let data = data?;
                let DataKind::Active {
                    memory_index: 0,
                    offset_expr,
                } = &data.kind
                else {
                    return Ok(None);
                };
                let Some(address) = constant(offset_expr) else {
                    return Ok(None);
                };
                let mut bytes = data.data.to_vec();
                let dead = live.dead_data.iter().filter(|(known, _)| *known == index);
                for (_, range) in dead {
                    if let Some(dead) = bytes.get_mut(range.clone()) {
                        dead.fill(0);
                    }
                }
                segments.push(Pieces {
                    address,
                    ranges: pieces(&bytes),
                    bytes,
                });
            }
        }
    }
    Ok(Some(segments))
}

/// What lies between long runs of zeros; memory is zero without being told.
fn pieces(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    let filled = bytes.iter().enumerate().filter(|(_, byte)| **byte != 0);
    for (place, _) in filled {
        match pieces.last_mut() {
            Some(last) if place - last.end < WORTH_A_SEGMENT => last.end = place + 1,
            _ => pieces.push(place..place + 1),
        }
    }
    pieces
}

struct Rewriter<'a> {
    /// The new number of each function that stays.
    numbers: BTreeMap<u32, u32>,
    imported: u32,
    keep: &'a dyn Fn(&str) -> bool,
    segments: Option<Vec<Pieces>>,
}

type Done = Result<(), Error<Dropped>>;

impl Rewriter<'_> {
    /// Whether the function that the module defines at this place stays.
    fn stays(&self, defined: usize) -> bool {
        u32::try_from(defined)
            .ok()
            .and_then(|defined| defined.checked_add(self.imported))
            .is_some_and(|function| self.numbers.contains_key(&function))
    }
}

impl Reencode for Rewriter<'_> {
    type Error = Dropped;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Dropped>> {
        let number = self.numbers.get(&function).copied();
        number.ok_or(Error::UserError(Dropped { function }))
    }

    fn parse_custom_section(
        &mut self,
        _module: &mut Module,
        _section: wasmparser::CustomSectionReader<'_>,
    ) -> Done {
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Done {
        for import in section.into_imports() {
            let import = import?;
            if let TypeRef::Func(_) | TypeRef::FuncExact(_) = import.ty {
                let function = self.imported;
                self.imported += 1;
                if !self.numbers.contains_key(&function) {
                    continue;
                }
            }
            utils::parse_import(self, imports, import)?;
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Done {
        for (defined, ty) in section.into_iter().enumerate() {
            let ty = ty?;
            if self.stays(defined) {
                functions.function(self.type_index(ty)?);
            }
        }
        Ok(())
    }

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: wasmparser::Export<'_>,
    ) -> Done {
        if (self.keep)(export.name) {
            utils::parse_export(self, exports, export)?;
        }
        Ok(())
    }

    fn parse_element(
        &mut self,
        elements: &mut ElementSection,
        element: wasmparser::Element<'_>,
    ) -> Done {
        let (Some(first), ElementItems::Functions(functions)) =
            (first_slot(&element.kind), element.items.clone())
        else {
            return utils::parse_element(self, elements, element);
        };
        let mut run: Vec<u32> = Vec::new();
        let mut slot = first;
        let mut flush = |run: &mut Vec<u32>, end: u32| {
            if let Some(start) = u32::try_from(run.len())
                .ok()
                .and_then(|length| end.checked_sub(length))
                && !run.is_empty()
            {
                let offset = ConstExpr::i32_const(start.cast_signed());
                let functions = Elements::Functions(std::mem::take(run).into());
                elements.active(None, &offset, functions);
            }
        };
        for function in functions {
            match self.numbers.get(&function?) {
                Some(number) => run.push(*number),
                None => flush(&mut run, slot),
            }
            slot = slot.saturating_add(1);
        }
        flush(&mut run, slot);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Done {
        for (defined, body) in section.into_iter().enumerate() {
            let body = body?;
            if self.stays(defined) {
                self.parse_function_body(code, body)?;
            }
        }
        Ok(())
    }

    fn data_count(&mut self, count: u32) -> Result<u32, Error<Dropped>> {
        let pieces = self.segments.as_ref().map(|segments| {
            segments
                .iter()
                .map(|segment| segment.ranges.len())
                .sum::<usize>()
        });
        Ok(pieces
            .and_then(|pieces| u32::try_from(pieces).ok())
            .unwrap_or(count))
    }

    fn parse_data_section(
        &mut self,
        data: &mut DataSection,
        section: wasmparser::DataSectionReader<'_>,
    ) -> Done {
        let Some(segments) = self.segments.take() else {
            return utils::parse_data_section(self, data, section);
        };
        for segment in segments {
            for range in segment.ranges {
                let address = u32::try_from(range.start)
                    .ok()
                    .and_then(|start| segment.address.checked_add(start));
                if let (Some(address), Some(bytes)) = (address, segment.bytes.get(range)) {
                    let offset = ConstExpr::i32_const(address.cast_signed());
                    data.active(0, &offset, bytes.iter().copied());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_of_zeros_are_left_out_of_the_data() {
        let mut bytes = vec![0; 100];
        for place in [20, 22, 37, 60] {
            bytes[place] = 1;
        }
        assert_eq!(pieces(&bytes), [20..38, 60..61]);
        assert!(pieces(&[0; 40]).is_empty());
    }
}

//! What the linker knows of who refers to whom (`wasm-ld --emit-relocs`).
//!
//! Without it, whatever stands in a module's function table may be called by anybody, and whatever
//! stands in its data may be read. With it, both are nodes of a graph. The sections and their numbers:
//! WebAssembly tool-conventions, `Linking.md`.

use std::collections::BTreeMap;
use std::ops::Range;

use wasmparser::{
    BinaryReaderError, ConstExpr, DataKind, DefinedDataSymbol, ElementItems, ElementKind,
    KnownCustom, Linking, Operator, Parser, Payload, RelocationEntry, RelocationType, SymbolInfo,
    TypeRef,
};

/// Who refers to whom, apart from direct calls, which stand in the code itself.
#[derive(Debug, Default)]
pub(crate) struct References {
    /// What the code of a function takes the address of, by the function's index.
    pub(crate) functions: BTreeMap<u32, Vec<Target>>,
    /// The parts of the data, in order.
    pub(crate) chunks: Vec<Chunk>,
    /// What data refers to that belongs to no part.
    pub(crate) others: Vec<Target>,
    /// The names of functions, as the linker knows them.
    pub(crate) names: BTreeMap<u32, String>,
}

/// Something that is referred to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// A function, by its index.
    Function(u32),
    /// A part of the data, by its place in [`References::chunks`].
    Chunk(usize),
}

/// A part of the data that is needed as a whole or not at all.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    /// The number of the data segment.
    pub(crate) segment: usize,
    /// Where in the segment.
    pub(crate) range: Range<usize>,
    /// What it refers to.
    pub(crate) targets: Vec<Target>,
}

impl References {
    /// Reads what the linker left; `None` where it left nothing, or where what it left does not fit
    /// the module.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, BinaryReaderError> {
        let layout = Layout::read(bytes)?;
        if layout.symbols.is_empty() || layout.relocations.is_empty() {
            return Ok(None);
        }
        Ok(layout.references(bytes))
    }
}

/// The parts of a module that relocations speak of, as ranges of its bytes.
#[derive(Default)]
struct Layout {
    /// Where the content of the code and data sections begins.
    code: Option<Section>,
    data: Option<Section>,
    /// The bodies in order; the first has the index after the imported functions.
    bodies: Vec<Range<usize>>,
    imported: u32,
    segments: Vec<Segment>,
    /// What stands in the function table.
    table: BTreeMap<u32, u32>,
    symbols: Vec<Symbol>,
    names: BTreeMap<u32, String>,
    relocations: Vec<(u32, RelocationEntry)>,
}

#[derive(Clone, Copy)]
struct Section {
    /// Its number among all sections of the module.
    number: u32,
    /// Where its content begins.
    start: usize,
}

struct Segment {
    address: u32,
    bytes: Range<usize>,
}

#[derive(Clone, Copy)]
enum Symbol {
    Function(u32),
    Data(DefinedDataSymbol),
    Other,
}

impl Layout {
    fn read(bytes: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut layout = Self::default();
        let mut number = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            match &payload {
                Payload::ImportSection(section) => {
                    for import in section.clone().into_imports() {
                        let function =
                            matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                        layout.imported += u32::from(function);
                    }
                }
                Payload::ElementSection(section) => {
                    for element in section.clone() {
                        layout.element(element?)?;
                    }
                }
                Payload::CodeSectionStart { range, .. } => {
                    let start = range.start;
                    layout.code = Some(Section { number, start });
                }
                Payload::CodeSectionEntry(body) => layout.bodies.push(body.range()),
                Payload::DataSection(section) => {
                    let start = section.range().start;
                    layout.data = Some(Section { number, start });
                    for data in section.clone() {
                        layout.segment(data?);
                    }
                }
                Payload::CustomSection(section) => layout.custom(&section.as_known())?,
                _ => {}
            }
            // The code's entries come after their section.
            let counts = !matches!(payload, Payload::CodeSectionEntry(_));
            number += u32::from(counts && payload.as_section().is_some());
        }
        Ok(layout)
    }

    fn element(&mut self, element: wasmparser::Element<'_>) -> Result<(), BinaryReaderError> {
        if let Some(first) = first_slot(&element.kind)
            && let ElementItems::Functions(functions) = element.items
        {
            for (index, function) in (first..).zip(functions) {
                self.table.insert(index, function?);
            }
        }
        Ok(())
    }

    fn segment(&mut self, data: wasmparser::Data<'_>) {
        let address = match &data.kind {
            DataKind::Active { offset_expr, .. } => constant(offset_expr).unwrap_or_default(),
            DataKind::Passive => 0,
        };
        let end = data.range.end;
        let bytes = end.saturating_sub(data.data.len())..end;
        self.segments.push(Segment { address, bytes });
    }

    fn custom(&mut self, section: &KnownCustom<'_>) -> Result<(), BinaryReaderError> {
        match section {
            KnownCustom::Linking(linking) => {
                for part in linking.subsections() {
                    if let Linking::SymbolTable(symbols) = part? {
                        for symbol in symbols {
                            self.symbols.push(match symbol? {
                                SymbolInfo::Func { index, name, .. } => {
                                    if let Some(name) = name {
                                        self.names.insert(index, name.to_owned());
                                    }
                                    Symbol::Function(index)
                                }
                                SymbolInfo::Data {
                                    symbol: Some(place),
                                    ..
                                } => Symbol::Data(place),
                                _ => Symbol::Other,
                            });
                        }
                    }
                }
            }
            KnownCustom::Reloc(section) => {
                for entry in section.entries() {
                    self.relocations.push((section.section_index(), entry?));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn references(&self, bytes: &[u8]) -> Option<References> {
        let mut references = References {
            chunks: self.chunks()?,
            names: self.names.clone(),
            ..References::default()
        };
        for (section, entry) in &self.relocations {
            let is = |known: Option<Section>| known.filter(|known| known.number == *section);
            let (in_code, start) = match (is(self.code), is(self.data)) {
                (Some(code), _) => (true, code.start),
                (None, Some(data)) => (false, data.start),
                (None, None) => continue,
            };
            let place = start.checked_add(usize::try_from(entry.offset).ok()?)?;
            let found = number(bytes.get(place..)?, entry.ty);
            let targets = self.targets(entry, found, &references.chunks)?;
            let list = if in_code {
                let body = self.bodies.partition_point(|body| body.end <= place);
                self.bodies.get(body).filter(|body| body.contains(&place))?;
                let function = self.imported.checked_add(u32::try_from(body).ok()?)?;
                references.functions.entry(function).or_default()
            } else {
                match self.chunk_of_byte(place, &references.chunks) {
                    Some(chunk) => &mut references.chunks.get_mut(chunk)?.targets,
                    None => &mut references.others,
                }
            };
            list.extend(targets);
        }
        Some(references)
    }

    /// What an entry refers to. `None` where the bytes at its place say something else: then the
    /// entries are not about these bytes.
    fn targets(
        &self,
        entry: &RelocationEntry,
        found: Option<u32>,
        chunks: &[Chunk],
    ) -> Option<Vec<Target>> {
        use RelocationType as Type;

        let symbol = |index: u32| self.symbols.get(usize::try_from(index).ok()?).copied();
        match entry.ty {
            Type::FunctionIndexLeb | Type::FunctionIndexI32 => match symbol(entry.index)? {
                Symbol::Function(function) => {
                    (found? == function).then(|| vec![Target::Function(function)])
                }
                _ => None,
            },
            Type::TableIndexSleb | Type::TableIndexI32 => match symbol(entry.index)? {
                Symbol::Function(function) => {
                    // A missing weak function has the address 0.
                    let stands = self.table.get(&found?);
                    (found? == 0 || stands == Some(&function))
                        .then(|| vec![Target::Function(function)])
                }
                _ => None,
            },
            Type::MemoryAddrLeb | Type::MemoryAddrSleb | Type::MemoryAddrI32 => {
                match symbol(entry.index)? {
                    Symbol::Data(place) => self.addressed(place, entry.addend, found?, chunks),
                    // The linker's own marks, such as `__heap_base`, have no data.
                    _ => Some(Vec::new()),
                }
            }
            Type::TypeIndexLeb | Type::GlobalIndexLeb | Type::TableNumberLeb => Some(Vec::new()),
            _ => None,
        }
    }

    /// The data that an address is in, by the symbol and by the address itself.
    fn addressed(
        &self,
        place: DefinedDataSymbol,
        addend: i64,
        found: u32,
        chunks: &[Chunk],
    ) -> Option<Vec<Target>> {
        let index = usize::try_from(place.index).ok()?;
        // What is zero at first has no segment in the file.
        let Some(segment) = self.segments.get(index) else {
            return Some(Vec::new());
        };
        let base = i64::from(segment.address) + i64::from(place.offset);
        if i64::from(found) != base + addend {
            return None;
        }
        let offset = usize::try_from(place.offset).ok()?;
        let exact = usize::try_from(i64::from(place.offset) + addend).ok();
        let mut targets: Vec<usize> = [Some(offset), exact]
            .into_iter()
            .flatten()
            .filter_map(|offset| chunk_at(chunks, index, offset))
            .collect();
        targets.dedup();
        Some(targets.into_iter().map(Target::Chunk).collect())
    }

    fn chunk_of_byte(&self, place: usize, chunks: &[Chunk]) -> Option<usize> {
        let inside = |segment: &Segment| segment.bytes.contains(&place);
        let index = self.segments.iter().position(inside)?;
        let start = self.segments.get(index)?.bytes.start;
        chunk_at(chunks, index, place.checked_sub(start)?)
    }

    /// The data's symbols, those that overlap as one.
    fn chunks(&self) -> Option<Vec<Chunk>> {
        let mut ranges = Vec::new();
        for symbol in &self.symbols {
            if let Symbol::Data(place) = symbol {
                let segment = usize::try_from(place.index).ok()?;
                let start = usize::try_from(place.offset).ok()?;
                let end = start.checked_add(usize::try_from(place.size).ok()?)?;
                match self.segments.get(segment) {
                    Some(known) if end <= known.bytes.len() => ranges.push((segment, start, end)),
                    Some(_) => return None,
                    None => {}
                }
            }
        }
        ranges.sort_unstable();
        let mut chunks: Vec<Chunk> = Vec::new();
        for (segment, start, end) in ranges {
            match chunks.last_mut() {
                Some(last) if last.segment == segment && start < last.range.end => {
                    last.range.end = last.range.end.max(end);
                }
                _ if start < end => chunks.push(Chunk {
                    segment,
                    range: start..end,
                    targets: Vec::new(),
                }),
                _ => {}
            }
        }
        Some(chunks)
    }
}

fn chunk_at(chunks: &[Chunk], segment: usize, offset: usize) -> Option<usize> {
    let after =
        chunks.partition_point(|chunk| (chunk.segment, chunk.range.start) <= (segment, offset));
    let index = after.checked_sub(1)?;
    let chunk = chunks.get(index)?;
    (chunk.segment == segment && chunk.range.contains(&offset)).then_some(index)
}

/// The number at a place that the linker wrote to.
fn number(bytes: &[u8], ty: RelocationType) -> Option<u32> {
    if ty.extent() == 4 {
        return Some(u32::from_le_bytes(bytes.first_chunk().copied()?));
    }
    // Five bytes of seven bits each, signed or not: the sign is cut off with the rest.
    let digits: &[u8; 5] = bytes.first_chunk()?;
    let number = digits.iter().rev().fold(0_u64, |number, &digit| {
        number << 7 | u64::from(digit & 0x7f)
    });
    u32::try_from(number & u64::from(u32::MAX)).ok()
}

/// The slot of the function table that an element segment begins at, where that is plain.
pub(crate) fn first_slot(kind: &ElementKind<'_>) -> Option<u32> {
    match kind {
        ElementKind::Active {
            table_index: None | Some(0),
            offset_expr,
        } => constant(offset_expr),
        _ => None,
    }
}

/// The value of `i32.const`; `None` for another expression.
pub(crate) fn constant(expression: &ConstExpr<'_>) -> Option<u32> {
    let mut operators = expression.get_operators_reader();
    match (operators.read().ok()?, operators.read().ok()?) {
        (Operator::I32Const { value }, Operator::End) => Some(value.cast_unsigned()),
        _ => None,
    }
}

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, ImportSection, MemArg, MemorySection, MemoryType, Module, TypeSection,
    ValType,
};

/// Whether a filter accepts its configuration.
#[derive(Clone, Copy)]
pub(crate) enum Verdict {
    Accepts,
    Refuses,
}

/// Where the results of host calls are written, and where the host's data goes.
const RESULTS: i32 = 2048;
const HOST_DATA: i32 = 4096;

/// A proxy-wasm module without any SDK. It logs its configuration byte for byte
/// when it is configured, at info or at error, and writes the request header
/// `x-module` with `value`.
pub(crate) fn module(value: &str, verdict: Verdict) -> Vec<u8> {
    const I32: ValType = ValType::I32;
    let mut types = TypeSection::new();
    for (parameters, results) in [(0, 0), (1, 1), (2, 0), (3, 1), (5, 1), (2, 1)] {
        types
            .ty()
            .function(vec![I32; parameters], vec![I32; results]);
    }
    let mut imports = ImportSection::new();
    imports.import(
        "env",
        "proxy_replace_header_map_value",
        EntityType::Function(4),
    );
    imports.import("env", "proxy_log", EntityType::Function(3));
    imports.import("env", "proxy_get_buffer_bytes", EntityType::Function(4));

    let mut functions = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    let bodies = [
        ("proxy_abi_version_0_2_1", 0, Function::new([])),
        ("malloc", 1, malloc()),
        ("proxy_on_context_create", 2, Function::new([])),
        ("proxy_on_request_headers", 3, request_headers(value)),
        ("proxy_on_configure", 5, configure(verdict)),
    ];
    for (index, (name, signature, mut body)) in (3..).zip(bodies) {
        functions.function(signature);
        exports.export(name, ExportKind::Func, index);
        body.instructions().end();
        code.function(&body);
    }
    exports.export("memory", ExportKind::Memory, 0);

    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 2,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut data = DataSection::new();
    data.active(
        0,
        &ConstExpr::i32_const(0),
        format!("x-module{value}").into_bytes(),
    );

    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&memories);
    module.section(&exports).section(&code).section(&data);
    module.finish()
}

fn malloc() -> Function {
    let mut body = Function::new([]);
    body.instructions().i32_const(HOST_DATA);
    body
}

fn request_headers(value: &str) -> Function {
    let (name, length) = (8, i32::try_from(value.len()).unwrap());
    let mut body = Function::new([]);
    let mut code = body.instructions();
    // Map type 0, name and value; then action Continue.
    code.i32_const(0)
        .i32_const(0)
        .i32_const(name)
        .i32_const(name)
        .i32_const(length);
    code.call(0).drop().i32_const(0);
    body
}

fn configure(verdict: Verdict) -> Function {
    let (level, result) = match verdict {
        Verdict::Accepts => (2, 1),
        Verdict::Refuses => (4, 0),
    };
    let word = |offset| MemArg {
        offset,
        align: 2,
        memory_index: 0,
    };
    let mut body = Function::new([]);
    let mut code = body.instructions();
    // Buffer 7 is the plugin's configuration; parameter 1 is its size.
    code.i32_const(7)
        .i32_const(0)
        .local_get(1)
        .i32_const(RESULTS)
        .i32_const(RESULTS + 4);
    code.call(2).drop();
    code.i32_const(level)
        .i32_const(RESULTS)
        .i32_load(word(0))
        .i32_const(RESULTS)
        .i32_load(word(4));
    code.call(1).drop().i32_const(result);
    body
}

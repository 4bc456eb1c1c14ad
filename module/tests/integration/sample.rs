//! A module to finish, written function by function.

use wasm_encoder::{
    CodeSection, CustomSection, ExportKind, ExportSection, Function, FunctionSection,
    ImportSection, Instruction, Module, TypeSection,
};

/// What stands in the sample; the default is what Envoy accepts.
pub(crate) struct Sample<'a> {
    pub(crate) imports: &'a [(&'a str, &'a str)],
    /// Exported functions; each calls a function of its own that nothing else calls.
    pub(crate) exports: &'a [&'a str],
    pub(crate) declarations: Option<&'a str>,
}

impl Default for Sample<'_> {
    fn default() -> Self {
        Self {
            imports: &[("env", "proxy_log")],
            exports: &[
                "proxy_abi_version_0_2_1",
                "malloc",
                "proxy_on_context_create",
                "proxy_on_configure",
                "proxy_on_request_headers",
                "proxy_on_request_body",
                "proxy_on_request_trailers",
                "proxy_on_response_headers",
                "proxy_on_log",
                "proxy_on_delete",
                "proxy_on_tick",
            ],
            declarations: None,
        }
    }
}

impl Sample<'_> {
    /// Function `imports + 2n` is export `n`, the one after it its callee.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut imports = ImportSection::new();
        for (module, name) in self.imports {
            imports.import(module, name, wasm_encoder::EntityType::Function(0));
        }
        let mut functions = FunctionSection::new();
        let mut exports = ExportSection::new();
        let mut code = CodeSection::new();
        let mut index = u32::try_from(self.imports.len()).unwrap();
        for name in self.exports {
            functions.function(0).function(0);
            exports.export(name, ExportKind::Func, index);
            let mut caller = Function::new([]);
            caller.instruction(&Instruction::Call(index + 1));
            caller.instruction(&Instruction::End);
            let mut callee = Function::new([]);
            callee.instruction(&Instruction::Nop);
            callee.instruction(&Instruction::End);
            code.function(&caller).function(&callee);
            index += 2;
        }
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions);
        module.section(&exports).section(&code);
        if let Some(declarations) = self.declarations {
            module.section(&CustomSection {
                name: "attache.filters".into(),
                data: declarations.as_bytes().into(),
            });
        }
        module.section(&CustomSection {
            name: "producers".into(),
            data: b"\0".as_slice().into(),
        });
        module.finish()
    }
}

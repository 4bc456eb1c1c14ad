//! The one wasmtime engine of a process.

mod ticker;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, Extern, ExternType, ImportType, Instance,
    InstanceAllocationStrategy, InstancePre, Linker, Memory, Module, OptLevel,
    PoolingAllocationConfig, Ref, Store, Strategy, Table,
};

use crate::abi::AbiVersion;
use crate::error::HostError;
use crate::imports;
use crate::vm::VmState;

pub(crate) use self::ticker::Ticker;

/// What guest code may use of the stack: V8's `--stack-size` in Envoy, 984 KiB. wasmtime's frames are
/// larger: 2.2 times where a function has no locals, 1.6 times where it has ten
/// (`the_stack_is_half_as_deep_as_v8s_or_deeper` in the integration tests).
///
/// As many frames as in V8 would take 2.1 MiB and 1.5 MiB. Guests run on the thread of the test, which
/// has 2 MiB in all, as has a thread of `nested/along.rs`; the host calls of the deepest frame need up to
/// a quarter of a MiB of it in a debug build, expressions and a test's own closures more. A guest that
/// recurses on purpose would then end the whole test process, where now it is a trap of its VM. A stack
/// of the guest's own is had by wasmtime's fibers only, at a price for every callback. So the harness is
/// the stricter one: what it plays, Envoy has the stack for.
const STACK_LIMIT: usize = 984 << 10;

/// What V8 lets a memory grow to in Envoy.
pub(crate) const MEMORY_LIMIT: usize = 1 << 30;

/// What V8 lets a table grow to.
pub(crate) const TABLE_LIMIT: usize = 10_000_000;

/// VMs of one process that can live at once where the pooling allocator is in use. A slot costs
/// address space, not memory.
const POOL_SIZE: u32 = 512;

/// Modules that a process keeps compiled; the oldest goes first.
const MODULES_KEPT: usize = 64;

/// Engines and host functions. Shared by all hosts: they are immutable once built.
pub(crate) struct Shared {
    /// What nearly every module runs on.
    usual: Backend,
    /// What a module runs on that does not fit into the pool: it has many memories, say.
    spare: OnceLock<Backend>,
    /// What a module runs on that is compiled in less time.
    quick: OnceLock<Backend>,
    /// Modules by their bytes: tests of one binary load the same few again and again. A list, since
    /// to compare them is cheaper than to hash one.
    compiled: Mutex<Vec<(Vec<u8>, Effort, Linked)>>,
    ticker: Mutex<Option<Arc<Ticker>>>,
}

/// What a module is compiled for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Effort {
    /// To run often: the code is optimised, and kept for other processes.
    #[default]
    Usual,
    /// To be there soon, and run a few times.
    Quick,
}

/// An engine and what it offers to modules.
struct Backend {
    engine: Engine,
    /// One for each version of the ABI, by its number in [`AbiVersion`].
    linkers: [Linker<VmState>; 3],
}

impl Backend {
    fn build(engine: Engine) -> wasmtime::Result<Self> {
        let linkers = [
            imports::linker(&engine, AbiVersion::V0_1_0)?,
            imports::linker(&engine, AbiVersion::V0_2_0)?,
            imports::linker(&engine, AbiVersion::V0_2_1)?,
        ];
        Ok(Self { engine, linkers })
    }
}

impl Shared {
    /// The process's engine, built at the first call.
    pub(crate) fn get() -> wasmtime::Result<&'static Self> {
        static SHARED: OnceLock<Shared> = OnceLock::new();
        if let Some(shared) = SHARED.get() {
            return Ok(shared);
        }
        let built = Self::build()?;
        Ok(SHARED.get_or_init(|| built))
    }

    fn build() -> wasmtime::Result<Self> {
        // Where the address space for the pool cannot be reserved, VMs start slower, but they do.
        let engine = Engine::new(&cached(true)).or_else(|_| Engine::new(&cached(false)))?;
        Ok(Self {
            usual: Backend::build(engine)?,
            spare: OnceLock::new(),
            quick: OnceLock::new(),
            compiled: Mutex::default(),
            ticker: Mutex::default(),
        })
    }

    fn spare(&self) -> wasmtime::Result<&Backend> {
        built(&self.spare, &cached(false))
    }

    /// By wasmtime's baseline compiler where wasmtime vouches for it as for the other (tier 1 of
    /// <https://docs.wasmtime.dev/stability-tiers.html>), without optimising elsewhere; the faster register
    /// allocator is in no tier. Without a cache: to compress and write its entry takes a while, too.
    fn quick(&self) -> wasmtime::Result<&Backend> {
        let mut config = config(false);
        if cfg!(target_arch = "x86_64") {
            // What it does not compile goes the usual way.
            config
                .strategy(Strategy::Winch)
                .wasm_exceptions(false)
                .wasm_function_references(false)
                .wasm_gc(false)
                .wasm_relaxed_simd(false)
                .wasm_tail_call(false);
        } else {
            config.cranelift_opt_level(OptLevel::None);
        }
        built(&self.quick, &config)
    }

    /// Compiles a module, for the pool if it fits and is to run often.
    pub(crate) fn compile(&self, bytes: &[u8], effort: Effort) -> wasmtime::Result<Module> {
        if effort == Effort::Quick
            && let Ok(quick) = self.quick()
            && let Ok(module) = Module::from_binary(&quick.engine, bytes)
        {
            return Ok(module);
        }
        Module::from_binary(&self.usual.engine, bytes)
            .or_else(|_| Module::from_binary(&self.spare()?.engine, bytes))
    }

    fn backend(&self, module: &Module) -> wasmtime::Result<&Backend> {
        let is_of = |backend: &Backend| Engine::same(module.engine(), &backend.engine);
        if is_of(&self.usual) {
            return Ok(&self.usual);
        }
        match self.quick.get() {
            Some(quick) if is_of(quick) => Ok(quick),
            _ => self.spare(),
        }
    }

    /// What interrupts guest code; it runs for at least as long as this is held.
    pub(crate) fn ticker() -> Result<Arc<Ticker>, HostError> {
        let failed = |reason| HostError::Engine { reason };
        let shared = Self::get().map_err(|error| failed(format!("{error:#}")))?;
        let tick = || {
            shared.usual.engine.increment_epoch();
            for other in [&shared.spare, &shared.quick] {
                if let Some(backend) = other.get() {
                    backend.engine.increment_epoch();
                }
            }
        };
        Ticker::shared(&shared.ticker, tick).map_err(|error| failed(error.to_string()))
    }

    /// A module from the cache of this process, if it was linked before, and with no less effort.
    pub(crate) fn cached(&self, bytes: &[u8], effort: Effort) -> Option<Linked> {
        let compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |spent: Effort| spent == effort || spent == Effort::Usual;
        let known = compiled
            .iter()
            .find(|(known, spent, _)| fits(*spent) && known == bytes)?;
        Some(known.2.clone())
    }

    /// Links a compiled module and remembers it.
    pub(crate) fn link(
        &self,
        bytes: &[u8],
        effort: Effort,
        module: Module,
        abi: AbiVersion,
    ) -> wasmtime::Result<Linked> {
        let made = |import: ImportType<'_>| {
            matches!(import.ty(), ExternType::Memory(_) | ExternType::Table(_))
        };
        let code = if module.imports().any(made) {
            Code::Asks(module)
        } else {
            Code::Ready(self.backend(&module)?.linkers[abi as usize].instantiate_pre(&module)?)
        };
        let linked = Linked {
            abi,
            calls_back: module_calls_back(&code),
            code,
        };
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() >= MODULES_KEPT {
            compiled.remove(0);
        }
        compiled.push((bytes.to_vec(), effort, linked.clone()));
        Ok(linked)
    }
}

/// A compiled module with its imports.
#[derive(Clone)]
pub(crate) struct Linked {
    pub(crate) abi: AbiVersion,
    /// Whether it may make a host call that calls the guest back before it returns.
    pub(crate) calls_back: bool,
    code: Code,
}

#[derive(Clone)]
enum Code {
    Ready(InstancePre<VmState>),
    /// It imports memories or tables, which each VM gets for itself.
    Asks(Module),
}

impl Code {
    fn module(&self) -> &Module {
        match self {
            Self::Ready(linked) => linked.module(),
            Self::Asks(module) => module,
        }
    }
}

/// Whether a module may make a host call that calls the guest back before it returns.
fn module_calls_back(code: &Code) -> bool {
    let calls =
        |import: ImportType<'_>| import.module() == "env" && CALLING_BACK.contains(&import.name());
    code.module().imports().any(calls)
}

/// Host calls that call the guest back before they return.
const CALLING_BACK: [&str; 2] = ["envoy_resolve_dns", "proxy_grpc_stream"];

impl Linked {
    pub(crate) fn module(&self) -> &Module {
        self.code.module()
    }

    /// Makes an instance, and the memory that the host uses if it is not the module's own.
    pub(crate) fn instantiate(
        &self,
        store: &mut Store<VmState>,
    ) -> wasmtime::Result<(Instance, Option<Memory>)> {
        match &self.code {
            Code::Ready(linked) => Ok((linked.instantiate(store)?, None)),
            Code::Asks(module) => self.instantiate_asking(module, store),
        }
    }

    /// As Envoy: a memory or table of just the type that is asked for, whatever its name; of several
    /// memories the last one counts.
    fn instantiate_asking(
        &self,
        module: &Module,
        store: &mut Store<VmState>,
    ) -> wasmtime::Result<(Instance, Option<Memory>)> {
        let shared = Shared::get()?;
        let linker = &shared.backend(module)?.linkers[self.abi as usize];
        let mut imported = None;
        let mut imports: Vec<Extern> = Vec::new();
        for import in module.imports() {
            imports.push(match import.ty() {
                ExternType::Memory(ty) => {
                    let memory = Memory::new(&mut *store, ty)?;
                    imported = Some(memory);
                    memory.into()
                }
                ExternType::Table(ty) => {
                    let null = Ref::null(ty.element().heap_type());
                    Table::new(&mut *store, ty, null)?.into()
                }
                _ => linker
                    .get_by_import(&mut *store, &import)
                    .ok_or_else(|| wasmtime::Error::msg("an import that was checked is gone"))?,
            });
        }
        Ok((Instance::new(store, module, &imports)?, imported))
    }
}

/// A backend that is made when it is first needed.
fn built<'a>(place: &'a OnceLock<Backend>, config: &Config) -> wasmtime::Result<&'a Backend> {
    if let Some(backend) = place.get() {
        return Ok(backend);
    }
    let built = Backend::build(Engine::new(config)?)?;
    Ok(place.get_or_init(|| built))
}

/// A configuration by which compiled modules are kept for other processes.
///
/// Without a home directory there is no cache, and each process compiles for itself. Its entries
/// carry no checksum, and there is no safe way to load one that was checked (`Module::load`).
fn cached(pooling: bool) -> Config {
    let mut config = config(pooling);
    if let Ok(cache) = Cache::new(CacheConfig::new()) {
        config.cache(Some(cache));
    }
    config
}

fn config(pooling: bool) -> Config {
    let mut config = Config::new();
    config.consume_fuel(true).epoch_interruption(true);
    config.max_wasm_stack(STACK_LIMIT);
    // What V8 takes in Envoy and wasmtime not unasked. V8 also takes the exceptions of old
    // (`try`, `catch`), which wasmtime does not have.
    config
        .wasm_exceptions(true)
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_memory64(true)
        .wasm_multi_memory(true)
        .wasm_relaxed_simd(true)
        .wasm_tail_call(true)
        .wasm_threads(true)
        .shared_memory(false);
    // Nothing reads them, and a cached module is smaller without.
    config.generate_address_map(false).native_unwind_info(false);
    if pooling {
        let mut pool = PoolingAllocationConfig::default();
        pool.total_core_instances(POOL_SIZE)
            .total_memories(POOL_SIZE)
            .total_tables(POOL_SIZE * 2)
            .max_tables_per_module(2)
            .table_elements(TABLE_LIMIT)
            .max_core_instance_size(16 << 20)
            .max_memory_size(MEMORY_LIMIT)
            // A slot is cleaned by the pages that were touched, where Linux can tell (6.7): a VM then
            // starts in a quarter of the time.
            .pagemap_scan(Enabled::Auto)
            .linear_memory_keep_resident(1 << 20)
            .table_keep_resident(1 << 16);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_compiled_under_another_configuration_is_not_taken() {
        let folder = std::env::temp_dir().join(format!("harness-cache-{}", std::process::id()));
        let mut places = CacheConfig::new();
        places.with_directory(&folder);
        let cache = Cache::new(places).expect("a folder for the cache");
        let bytes =
            wat::parse_str("(module (func (export \"f\") (loop (br 0))))").expect("a module");
        let compile = |change: fn(&mut Config) -> &mut Config| {
            let mut config = config(false);
            change(&mut config).cache(Some(cache.clone()));
            let engine = Engine::new(&config).expect("an engine");
            Module::from_binary(&engine, &bytes).expect("it compiles");
            (cache.cache_hits(), cache.cache_misses())
        };
        let first = compile(|config| config);
        assert_eq!(first, (0, 1));
        assert_eq!(compile(|config| config), (1, 1), "the same again");
        assert_eq!(compile(|config| config.consume_fuel(false)), (1, 2));
        assert_eq!(compile(|config| config.epoch_interruption(false)), (1, 3));
        // The worker of the cache may still write beside the entries.
        drop(std::fs::remove_dir_all(folder));
    }
}

//! Asks a module to describe itself, in an interpreter without a host.

use wasmi::{
    Config, Engine, Extern, ExternType, Func, Instance, Linker, Module, Store, StoreLimits,
    StoreLimitsBuilder, TrapCode, Val,
};

/// The export that answers.
pub(crate) const EXPORT: &str = "attache_describe";

/// How much it may execute; auth-scrub needs 1.9 million.
const FUEL: u64 = 50_000_000;

/// How much memory it may have, in bytes.
const MEMORY: usize = 64 << 20;

/// How long its answer may be, in bytes.
const LONGEST: usize = 256 << 10;

/// Why a module could not be asked for its description.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The interpreter does not take it.
    #[error("the interpreter cannot load it (is it built with target features such as `simd128`?)")]
    Load(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The export is not what `filters!` makes.
    #[error("its export `{EXPORT}` is not a function of no parameters that returns an i64")]
    NotAFunction,
    /// It asked for a host.
    #[error("it calls `{call}`, and a module is described without a host")]
    HostCall {
        /// The host call.
        call: String,
    },
    /// It did not end.
    #[error("it did not end within {FUEL} instructions")]
    Endless,
    /// It wanted too much memory.
    #[error("it wanted more than {} MiB of memory", MEMORY >> 20)]
    Memory,
    /// It trapped.
    #[error(
        "it trapped: {trap} (does a `JsonSchema`, `default` or `schema_with` of a configuration panic?)"
    )]
    Trap {
        /// The trap.
        trap: String,
    },
    /// The answer is no part of its memory.
    #[error("its answer is {length} bytes at {start}, which are not all in its memory")]
    Outside {
        /// Where it said that the answer begins.
        start: u64,
        /// How long it said that the answer is.
        length: u64,
    },
    /// The answer is too long.
    #[error("its answer has {length} bytes, at most {LONGEST} are allowed")]
    TooLong {
        /// How long it is.
        length: u64,
    },
}

/// The host call that a module tried.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` was called")]
struct Called(String);

impl wasmi::errors::HostError for Called {}

/// What the module answers, as it stands.
pub(crate) fn ask(bytes: &[u8]) -> Result<Vec<u8>, AskError> {
    let load = |error: wasmi::Error| AskError::Load(error.into());
    let mut config = Config::default();
    config.consume_fuel(true).ignore_custom_sections(true);
    let engine = Engine::new(&config);
    let module = Module::new(&engine, bytes).map_err(load)?;
    let limits = StoreLimitsBuilder::new()
        .memory_size(MEMORY)
        .trap_on_grow_failure(true)
        .build();
    let mut store = Store::new(&engine, limits);
    store.limiter(|limits| limits);
    store.set_fuel(FUEL).map_err(load)?;
    let instance = instantiate(&engine, &module, &mut store).map_err(explain)?;
    let function = instance
        .get_typed_func::<(), i64>(&store, EXPORT)
        .map_err(|_| AskError::NotAFunction)?;
    let answer = function
        .call(&mut store, ())
        .map_err(explain)?
        .cast_unsigned();
    let (start, length) = (answer >> 32, answer & u64::from(u32::MAX));
    if length > LONGEST as u64 {
        return Err(AskError::TooLong { length });
    }
    let part = || {
        let memory = instance.get_memory(&store, "memory")?.data(&store);
        let start = usize::try_from(start).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        memory.get(start..end).map(<[u8]>::to_vec)
    };
    part().ok_or(AskError::Outside { start, length })
}

/// With imports that end the call.
fn instantiate(
    engine: &Engine,
    module: &Module,
    store: &mut Store<StoreLimits>,
) -> Result<Instance, wasmi::Error> {
    let mut linker = Linker::new(engine);
    for import in module.imports() {
        if let ExternType::Func(ty) = import.ty() {
            let name = import.name().to_owned();
            let refuse = move |_: wasmi::Caller<'_, StoreLimits>, _: &[Val], _: &mut [Val]| {
                Err(wasmi::Error::host(Called(name.clone())))
            };
            let function = Func::new(&mut *store, ty.clone(), refuse);
            linker.define(import.module(), import.name(), Extern::Func(function))?;
        }
    }
    linker.instantiate_and_start(store, module)
}

fn explain(error: wasmi::Error) -> AskError {
    if let Some(Called(call)) = error.downcast_ref() {
        return AskError::HostCall { call: call.clone() };
    }
    match error.as_trap_code() {
        Some(TrapCode::OutOfFuel) => AskError::Endless,
        Some(TrapCode::GrowthOperationLimited) => AskError::Memory,
        Some(trap) => AskError::Trap {
            trap: trap.to_string(),
        },
        None => AskError::Load(error.into()),
    }
}

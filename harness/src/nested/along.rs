//! The machine in a host call.
//!
//! A guest that may be called back inside of a host call takes the whole machine along. What has to be done
//! for others in the middle of the call is then done in a thread, while the host call waits and runs
//! its own guest for it: only there is the guest's instance at hand.

use std::collections::{BTreeMap, VecDeque};
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Sender};
use std::thread;

use wasmtime::{AsContextMut, Caller, TypedFunc};

use crate::call::Call;
use crate::codec::Codec;
use crate::connection::TcpReply;
use crate::engine::Ticker;
use crate::entries::Entries;
use crate::error::HostError;
use crate::limits::Limits;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::vm::{
    Arguments, Calling, Entry, Failure, Find, Instance, Order, Results, Role, VmState, lend,
};

/// What Rust gives a thread, and what guests are limited for.
const STACK: usize = 2 << 20;

impl Proxy {
    /// Calls an export, if there is one, and takes the machine along.
    pub(crate) fn call_along<P: Arguments, R: Results>(
        &mut self,
        index: usize,
        calling: Calling,
        find: Find<TypedFunc<P, R>>,
        arguments: P,
    ) -> Option<Result<R, Failure>> {
        let entry = calling.entry;
        let vm = &mut self.vms[index];
        let function = find(&vm.callbacks).clone()?;
        let before = calling.begin(&mut self.world, vm.state(), &arguments);
        let mut failed = vm.failed;
        let instance = std::mem::replace(&mut vm.instance, Instance::Away(None));
        let (instance, result) = match instance {
            Instance::Own(mut store) => {
                self.board(store.data_mut());
                let result = lend(&mut store, &mut failed, &mut self.world, entry, |store| {
                    function.call(store, arguments)
                });
                self.alight(store.data_mut());
                (Instance::Own(store), result)
            }
            Instance::Lent(state, orders) => {
                let job = Job {
                    entry,
                    function,
                    arguments,
                };
                let Some((state, result)) = self.order(&orders, state, &mut failed, job) else {
                    return Some(Err(Failure::gone()));
                };
                (Instance::Lent(state, orders), result)
            }
            away @ Instance::Away(_) => (away, Err(Failure::gone())),
        };
        let vm = &mut self.vms[index];
        vm.instance = instance;
        vm.failed |= failed || result.is_err();
        calling.end(&mut self.world, vm.state(), before, &result);
        Some(result)
    }

    /// Has a callback made by the host call that waits with the instance. None where that has ended by a
    /// panic, and taken the machine with it.
    fn order<P: Arguments, R: Results>(
        &mut self,
        orders: &Sender<Order>,
        mut state: Box<VmState>,
        failed: &mut bool,
        job: Job<P, R>,
    ) -> Option<(Box<VmState>, Result<R, Failure>)> {
        self.board(&mut state);
        let mut world = std::mem::take(&mut self.world);
        let mut fails = *failed;
        let (answer, answered) = mpsc::channel();
        let run = move |caller: &mut Caller<'_, VmState>| {
            std::mem::swap(caller.data_mut(), &mut *state);
            let result = lend(caller, &mut fails, &mut world, job.entry, |caller| {
                job.function.call(caller, job.arguments)
            });
            std::mem::swap(caller.data_mut(), &mut *state);
            // Where nobody waits for it, the test is ending by a panic.
            drop(answer.send((state, world, fails, result)));
        };
        orders.send(Order::Run(Box::new(run))).ok()?;
        let (mut state, world, fails, result) = answered.recv().ok()?;
        self.world = world;
        *failed |= fails;
        self.alight(&mut state);
        Some((state, result))
    }

    /// Puts all but the world into the state of a VM, and an empty machine with the world in its place.
    fn board(&mut self, state: &mut VmState) {
        let mut machine = state.machine.take().unwrap_or_default();
        std::mem::swap(self, &mut machine);
        std::mem::swap(&mut self.world, &mut machine.world);
        state.machine = Some(machine);
    }

    /// Takes it back.
    fn alight(&mut self, state: &mut VmState) {
        if let Some(machine) = &mut state.machine {
            std::mem::swap(&mut self.world, &mut machine.world);
            std::mem::swap(self, machine);
        }
    }
}

/// A callback to be made by whoever has the instance.
struct Job<P, R> {
    entry: Entry,
    function: TypedFunc<P, R>,
    arguments: P,
}

impl Default for Proxy {
    /// One that has nothing and serves nobody.
    fn default() -> Self {
        Self {
            world: Box::default(),
            vms: Vec::new(),
            bases: Vec::new(),
            vms_created: 0,
            vms_active: 0,
            reloads: BTreeMap::new(),
            released: VecDeque::new(),
            buried: Vec::new(),
            ended: true,
            threads: Vec::new(),
            plugins: Vec::new(),
            entries: Entries::default(),
            upstream_codec: Codec::default(),
            tcp_upstream: Box::new(|_| TcpReply::none()),
            tcp_clusters: BTreeMap::new(),
            limits: Limits::default(),
            flushed: BTreeMap::new(),
            environment: BTreeMap::new(),
            _ticker: None,
        }
    }
}

impl Call<'_> {
    /// Does what the guest deferred, in the middle of this call. None where the machine is not at hand.
    pub(super) fn move_machine(&mut self) -> Option<Moved> {
        let mut machine = self.state().machine.take()?;
        let moved = self.move_this(&mut machine);
        self.state().machine = Some(machine);
        moved
    }

    fn move_this(&mut self, machine: &mut Proxy) -> Option<Moved> {
        // No start comes here: the machine moves for streams.
        let limit = machine.limits.of("");
        let fuel = self.caller.get_fuel().ok()?;
        let state = self.state();
        let index = state.index;
        let vm = machine.vms.get_mut(index)?;
        let frame = state.frame();
        let about = state.about();
        let size = state.memory_total;
        let blank = state.blank();
        let (orders, received) = mpsc::channel();
        std::mem::swap(&mut state.world, &mut machine.world);
        vm.failed |= state.failed_inside;
        let state = Box::new(std::mem::replace(state, blank));
        vm.instance = Instance::Lent(state, orders.clone());
        machine.world.entered.push(about);

        let ended = thread::scope(|scope| {
            let over = Over(orders);
            let thread = thread::Builder::new()
                .name("harness-inside".to_owned())
                .stack_size(STACK)
                .spawn_scoped(scope, || {
                    let _over = over;
                    machine.run_deferred(index)
                })?;
            while let Ok(Order::Run(run)) = received.recv() {
                run(&mut self.caller);
            }
            // A panic may have come from deep within, with the machine at hand there.
            Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        machine.world.entered.pop();
        let vm = machine.vms.get_mut(index)?;
        let gone = vm.role == Role::Gone;
        let failed = vm.failed;
        let instance = std::mem::replace(&mut vm.instance, Instance::Away(None));
        let state = self.state();
        if let Instance::Lent(lent, _) = instance {
            *state = *lent;
        }
        std::mem::swap(&mut state.world, &mut machine.world);
        state.return_to(frame);
        if state.world.mutated(Rule::InnerActionsEndTheChoice) {
            state.effective = state.current;
        }
        state.failed_inside |= failed;
        state.grown_inside += state.memory_total.saturating_sub(size);
        let moved = ended.unwrap_or_else(|error: std::io::Error| {
            let reason = error.to_string();
            Err(HostError::Engine { reason })
        });
        // The rest of the callback has its fuel for itself, and its time anew: others may have taken it.
        let deadline = Ticker::ticks(limit.deadline);
        self.caller.as_context_mut().set_epoch_deadline(deadline);
        self.caller.set_fuel(fuel).ok()?;
        (!gone).then_some(moved)
    }
}

/// Tells the host call that waits that the machine is done, also where that ended by a panic.
struct Over(Sender<Order>);

impl Drop for Over {
    fn drop(&mut self) {
        // Where nobody waits any more there is nothing to end.
        drop(self.0.send(Order::Over));
    }
}

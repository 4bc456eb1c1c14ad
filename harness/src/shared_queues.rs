//! `proxy_register_shared_queue` and kin, and `proxy_on_queue_ready`.
//!
//! The rules are those of `shared_queue.cc` of proxy-wasm-cpp-host.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::abi::Status;
use crate::call::{Answer, Call};
use crate::error::HostError;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::vm::{Phase, VmState};

/// What all queues of a host may hold. Envoy has no limit, and grows.
const MAX_BYTES: usize = 256 << 20;

/// Notifications that may follow from one another, until they are taken for endless.
const MAX_NOTIFICATIONS: usize = 100_000;

/// The queues of all VMs, by the token that guests name them by.
#[derive(Default)]
pub(crate) struct SharedQueues {
    tokens: HashMap<(String, Vec<u8>), u32>,
    queues: BTreeMap<u32, Queue>,
    /// One count for everything, as Envoy has one for the process.
    last_token: u32,
    bytes: usize,
    /// Notifications that wait for the callbacks being made to return.
    ready: VecDeque<(Registrant, u32)>,
}

#[derive(Default)]
struct Queue {
    values: VecDeque<Vec<u8>>,
    registrant: Registrant,
}

/// Whom a queue notifies: a root context, found by its number in the VM that the thread has by
/// then. The canary's registration therefore reaches the main thread's VM.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Registrant {
    pub(crate) thread: usize,
    /// Any plugin of the VM.
    pub(crate) plugin: usize,
    pub(crate) root: u32,
}

impl SharedQueues {
    /// Whether notifications wait.
    pub(crate) fn wait(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The messages of all queues.
    pub(crate) fn len(&self) -> usize {
        self.queues.values().map(|queue| queue.values.len()).sum()
    }

    /// Names a queue, or takes over the notifications of one. What is in it stays.
    fn register(&mut self, vm_id: &str, name: Vec<u8>, registrant: Registrant) -> u32 {
        let last = &mut self.last_token;
        let token = *self
            .tokens
            .entry((vm_id.to_owned(), name))
            .or_insert_with(|| {
                *last += 1;
                *last
            });
        self.queues.entry(token).or_default().registrant = registrant;
        token
    }

    fn resolve(&self, vm_id: &str, name: Vec<u8>) -> Option<u32> {
        self.tokens.get(&(vm_id.to_owned(), name)).copied()
    }

    fn enqueue(&mut self, token: u32, value: Vec<u8>) -> Result<(), Status> {
        let queue = self.queues.get_mut(&token).ok_or(Status::NotFound)?;
        self.bytes += value.len();
        queue.values.push_back(value);
        self.ready.push_back((queue.registrant, token));
        Ok(())
    }

    fn dequeue(&mut self, token: u32) -> Result<Vec<u8>, Status> {
        let queue = self.queues.get_mut(&token).ok_or(Status::NotFound)?;
        let value = queue.values.pop_front().ok_or(Status::Empty)?;
        self.bytes -= value.len();
        Ok(value)
    }

    /// Drops the queues of a `vm_id`, whose last VM is gone.
    pub(crate) fn forget(&mut self, vm_id: &str) {
        let mut gone = Vec::new();
        self.tokens.retain(|(owner, _), token| {
            let stays = owner != vm_id;
            if !stays {
                gone.push(*token);
            }
            stays
        });
        for queue in gone.iter().filter_map(|token| self.queues.remove(token)) {
            self.bytes -= queue.values.iter().map(Vec::len).sum::<usize>();
        }
    }
}

impl Proxy {
    /// Makes the next notification that waits, if there is one. It comes even where the queue has
    /// been drained since, and is lost where its VM has failed or its root is gone.
    pub(crate) fn notify_queue(&mut self) -> Result<bool, HostError> {
        let Some((registrant, token)) = self.world.shared_queues.ready.pop_front() else {
            return Ok(false);
        };
        let queues = &self.world.shared_queues;
        let drained = queues
            .queues
            .get(&token)
            .is_none_or(|queue| queue.values.is_empty());
        if drained && self.world.mutated(Rule::DrainedQueuesAreNotTold)
            || self.world.mutated(Rule::QueuesAreNotTold)
        {
            return Ok(true);
        }
        let more = queues.ready.iter().any(|(_, other)| *other == token);
        if more && self.world.mutated(Rule::QueuesAreToldOnce) {
            return Ok(true);
        }
        if let Some(vm) = self.vm_of(registrant)
            && !self.vms[vm].failed
            && self.vms[vm].state().roots.contains_key(&registrant.root)
        {
            self.call(
                vm,
                (Phase::Queue, registrant.root, None),
                "proxy_on_queue_ready",
                |all| &all.queue_ready,
                (registrant.root, token),
            )?;
            self.run_deferred(vm)?;
        }
        Ok(true)
    }

    /// Tells of what waits by now in one go, so that a context which the first of them deletes is known to the last
    /// (`DispatcherImpl::runPostCallbacks`); false if nothing waits.
    pub(crate) fn notify_posted(&mut self, count: &mut usize) -> Result<bool, HostError> {
        let posted = self.world.shared_queues.ready.len();
        for _ in 0..posted {
            self.notify_queue()?;
            self.count_notification(count)?;
        }
        Ok(posted > 0)
    }

    /// Makes all notifications that wait, where more of Envoy's own work comes behind them.
    pub(crate) fn notify_queues(&mut self) -> Moved {
        let mut notifications = 0;
        while !self.world.mutated(Rule::QueuesAreToldLast) && self.notify_queue()? {
            self.count_notification(&mut notifications)?;
        }
        Ok(())
    }

    /// Refuses to go on when notifications, or call-outs from answers to call-outs, never end.
    pub(crate) fn count_notification(&self, count: &mut usize) -> Moved {
        *count += 1;
        if *count <= MAX_NOTIFICATIONS {
            return Ok(());
        }
        Err(HostError::HostCallLimit {
            call: "proxy_on_queue_ready`, `envoy_on_resolve_dns` or an answer to a call-out, such as `proxy_on_http_call_response",
            limit: "100,000 notifications that followed from one another without time between them",
            timeline: self.world.timeline.first(50),
        })
    }

    fn vm_of(&self, registrant: Registrant) -> Option<usize> {
        let base = self.plugins.get(registrant.plugin)?.base;
        self.vm_on(registrant.thread, base)
    }
}

pub(crate) fn register(call: &mut Call<'_>, name: u32, size: u32, token: u32) -> Answer {
    let name = call.bytes(name, size)?;
    let state = call.state();
    let root = state.context().map_or(0, |context| context.root);
    let registrant = Registrant {
        thread: state.thread,
        plugin: state.first_plugin,
        root,
    };
    let vm_id = own_vm_id(state);
    let registrant = if state.world.mutated(Rule::FirstRegistrantIsTold) {
        let queues = &state.world.shared_queues;
        let known = queues.resolve(&vm_id, name.clone());
        let known = known.and_then(|token| queues.queues.get(&token));
        known.map_or(registrant, |queue| queue.registrant)
    } else {
        registrant
    };
    let found = state.world.shared_queues.register(&vm_id, name, registrant);
    call.write_u32(token, found)
}

/// Finds a queue that somebody has registered; an empty `vm_id` is the guest's own.
pub(crate) fn resolve(
    call: &mut Call<'_>,
    vm_id: u32,
    vm_id_size: u32,
    name: u32,
    size: u32,
    token: u32,
) -> Answer {
    let vm_id = call.bytes(vm_id, vm_id_size)?;
    let name = call.bytes(name, size)?;
    let state = call.state();
    let vm_id = if vm_id.is_empty() && !state.world.mutated(Rule::NoVmIdIsNobodys) {
        own_vm_id(state)
    } else {
        String::from_utf8(vm_id).map_err(|_| Status::NotFound)?
    };
    let found = state
        .world
        .shared_queues
        .resolve(&vm_id, name)
        .ok_or(Status::NotFound)?;
    call.write_u32(token, found)
}

pub(crate) fn enqueue(call: &mut Call<'_>, token: u32, value: u32, size: u32) -> Answer {
    call.number(token);
    let value = call.bytes(value, size)?;
    let queues = &mut call.world().shared_queues;
    if queues.bytes + value.len() > MAX_BYTES || queues.ready.len() >= MAX_NOTIFICATIONS {
        return Err(call.give_up(|timeline| HostError::HostCallLimit {
            call: "proxy_enqueue_shared_queue",
            limit: "256 MiB or 100,000 notifications that wait in shared queues",
            timeline: timeline.first(50),
        }));
    }
    Ok(queues.enqueue(token, value)?)
}

pub(crate) fn dequeue(call: &mut Call<'_>, token: u32, value: u32, size: u32) -> Answer {
    call.number(token);
    let last = call.mutated(Rule::QueuesAreStacks);
    let queues = &mut call.world().shared_queues;
    if let Some(queue) = queues.queues.get_mut(&token).filter(|_| last) {
        queue.values.make_contiguous().reverse();
    }
    let taken = queues.dequeue(token)?;
    if let Some(queue) = queues.queues.get_mut(&token).filter(|_| last) {
        queue.values.make_contiguous().reverse();
    }
    call.give(&taken, value, size)
}

/// All plugins of a VM have the same.
fn own_vm_id(state: &VmState) -> String {
    state.world.plugins[state.first_plugin].vm_id.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_token_and_its_values_until_its_vm_id_is_forgotten() {
        let mut queues = SharedQueues::default();
        let name = || b"jobs".to_vec();
        let second = Registrant {
            thread: 1,
            plugin: 0,
            root: 1,
        };
        assert_eq!(queues.register("vm", name(), Registrant::default()), 1);
        assert_eq!(queues.register("other", name(), Registrant::default()), 2);
        assert_eq!(queues.enqueue(1, b"a".to_vec()), Ok(()));
        assert_eq!(queues.register("vm", name(), second), 1);
        assert_eq!(queues.enqueue(1, b"b".to_vec()), Ok(()));
        let notified: Vec<usize> = queues.ready.iter().map(|(to, _)| to.thread).collect();
        assert_eq!(notified, [0, 1], "the last registrant is notified");
        assert_eq!(queues.dequeue(1), Ok(b"a".to_vec()));
        queues.forget("vm");
        assert_eq!(queues.dequeue(1), Err(Status::NotFound));
        assert_eq!(queues.resolve("vm", name()), None);
        assert_eq!(
            (queues.bytes, queues.resolve("other", name())),
            (0, Some(2))
        );
        assert_eq!(queues.dequeue(2), Err(Status::Empty));
    }
}

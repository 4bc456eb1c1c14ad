//! `envoy_resolve_dns` and `envoy_on_resolve_dns`.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use wasmtime::AsContextMut;

use crate::abi::Status;
use crate::call::{Answer, Call};
use crate::error::HostError;
use crate::host::HostBuilder;
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::proxy::Proxy;
use crate::stats_sink::StatsBuffer;
use crate::timeline::Event;
use crate::vm::{LastBuffer, Phase, VmState};

/// What waits for an answer in one host, until it is taken for endless.
const MAX_WAITING: usize = 100_000;

/// The names that a host can resolve, and the lookups under way.
#[derive(Debug, Default)]
pub(crate) struct Dns {
    names: BTreeMap<String, Option<Vec<Address>>>,
    waiting: VecDeque<Lookup>,
    /// One count for the host, so that no VM takes the answer to another's lookup.
    numbered: u64,
}

/// An address and how long it may be kept.
#[derive(Clone, Copy, Debug)]
struct Address {
    ip: IpAddr,
    ttl: Duration,
}

#[derive(Debug)]
struct Lookup {
    vm: usize,
    root: u32,
    number: u64,
    token: u32,
    answer: Vec<u8>,
}

impl HostBuilder {
    /// Lets `envoy_resolve_dns` find the addresses of a name, each with a time to live that is told
    /// in whole seconds. A name that was not given has no address.
    pub fn dns(
        mut self,
        name: impl Into<String>,
        addresses: impl IntoIterator<Item = IpAddr>,
        ttl: Duration,
    ) -> Self {
        let addresses = addresses.into_iter().map(|ip| Address { ip, ttl });
        let addresses = Some(addresses.collect());
        self.dns.names.insert(name.into(), addresses);
        self
    }

    /// Lets the lookup of a name fail, as where no server answers.
    pub fn dns_failure(mut self, name: impl Into<String>) -> Self {
        self.dns.names.insert(name.into(), None);
        self
    }
}

impl Dns {
    /// What a lookup finds; empty if it fails.
    fn answer(&self, name: &str) -> Vec<u8> {
        match self.names.get(name) {
            Some(Some(addresses)) => message(addresses),
            Some(None) => Vec::new(),
            None => message(&[]),
        }
    }
}

/// What is known without a question to a server, and therefore answered inside of the call: an
/// address as such, `localhost` from the hosts file, a name that none can have. None for others.
fn at_once(name: &str) -> Option<Vec<u8>> {
    let literal = |ip| {
        message(&[Address {
            ip,
            ttl: Duration::ZERO,
        }])
    };
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Some(literal(ip));
    }
    if name == "localhost" {
        return Some(literal(Ipv6Addr::LOCALHOST.into()));
    }
    let possible =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'/' | b'*');
    (!name.bytes().all(possible)).then(Vec::new)
}

/// Buffer 8: the count, the times to live in seconds, the addresses with a NUL behind each, and
/// with a port of 0.
fn message(addresses: &[Address]) -> Vec<u8> {
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = number(addresses.len() as u64).to_vec();
    for address in addresses {
        bytes.extend(number(address.ttl.as_secs()));
    }
    for address in addresses {
        bytes.extend(SocketAddr::new(address.ip, 0).to_string().into_bytes());
        bytes.push(0);
    }
    bytes
}

/// Begins a lookup for the root of the effective context. A name that Envoy knows by itself is
/// answered before the call returns: the callback runs inside of it.
pub(crate) fn resolve(call: &mut Call<'_>, name: u32, size: u32, token: u32) -> Answer {
    let name = call.bytes(name, size)?;
    let state = call.state();
    let root = state.context().ok_or(Status::NotFound)?.root;
    state.dns_token += 1 + u32::from(state.world.mutated(Rule::LookupTokensSkip));
    let number = state.dns_token;
    call.write_u32(token, number)?;
    let name = String::from_utf8_lossy(&name).into_owned();
    let known = at_once(&name).map(|answer| altered(call, answer));
    let later = known.is_some() && call.mutated(Rule::LookupsAreAnsweredLater);
    if let Some(answer) = known.clone().filter(|_| !later) {
        return call_back(call, root, number, answer);
    }
    let state = call.state();
    let vm = state.index;
    let dns = &mut state.world.dns;
    if dns.waiting.len() >= MAX_WAITING {
        return Err(call.give_up(|timeline| HostError::HostCallLimit {
            call: "envoy_resolve_dns",
            limit: "100,000 lookups under way",
            timeline: timeline.first(50),
        }));
    }
    dns.numbered += 1;
    let answer = known.unwrap_or_else(|| dns.answer(&name));
    let lookup = Lookup {
        vm,
        root,
        number: dns.numbered,
        token: number,
        answer,
    };
    state.lookups.insert(lookup.number);
    state.world.dns.waiting.push_back(lookup);
    Ok(())
}

/// The answer as it is with another rule.
fn altered(call: &mut Call<'_>, answer: Vec<u8>) -> Vec<u8> {
    if answer.is_empty() {
        return match call.mutated(Rule::LookupFailuresHaveACount) {
            true => message(&[]),
            false => answer,
        };
    }
    if call.mutated(Rule::AddressesHaveNoPort) {
        let end = answer.len().saturating_sub(":0\0".len());
        return [&answer[..end], b"\0"].concat();
    }
    answer
}

/// Answers inside of the host call.
fn call_back(call: &mut Call<'_>, root: u32, token: u32, answer: Vec<u8>) -> Answer {
    let name = "envoy_on_resolve_dns";
    let off = u32::from(call.mutated(Rule::LookupsAreMiscounted));
    let size = u32::try_from(answer.len()).unwrap_or(u32::MAX) + off;
    call.lint(
        LintKind::DnsAnsweredInside,
        "`envoy_on_resolve_dns` ran before `envoy_resolve_dns` returned",
    );
    let state = call.state();
    state.show_answer(root, answer);
    let dead = state.failed_inside && !state.world.mutated(Rule::FailedVmsAreEnteredAgain);
    let Some(function) = state.resolve_dns.clone().filter(|_| !dead) else {
        return Ok(());
    };
    let outer = (state.phase, state.current, state.effective);
    (state.phase, state.current, state.effective) = (Phase::Dns, root, root);
    state.count_crossing();
    let context = state.contexts.get(&root);
    let plugin = context.map_or(state.first_plugin, |context| context.plugin);
    let slot = state.slot;
    let event = Event::Callback {
        plugin: state.world.plugins[plugin].name.clone(),
        name,
        arguments: [root, token, size].into(),
    };
    state.world.timeline(slot).push(event);
    let result = function.call(call.caller.as_context_mut(), (root, token, size));
    let state = call.state();
    (state.phase, state.current, state.effective) = outer;
    if state.world.mutated(Rule::InnerContextStays) {
        state.effective = root;
    }
    if let Err(error) = result {
        call.outlive(name, error)?;
    }
    call.settle_inside(name)
}

impl VmState {
    /// Lets buffer 8 of a root show an answer.
    fn show_answer(&mut self, root: u32, content: Vec<u8>) {
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        if let Some(context) = self.contexts.get_mut(&root) {
            context.last_buffer = LastBuffer::HandedOut(Box::new(StatsBuffer { content, size }));
        }
    }
}

impl Proxy {
    /// Answers the next lookup that waits, if there is one; false if there is none. The answer is
    /// lost where the VM has failed or is gone.
    pub(crate) fn answer_lookup(&mut self) -> Result<bool, HostError> {
        let Some(lookup) = self.world.dns.waiting.pop_front() else {
            return Ok(false);
        };
        let Some(vm) = self.vms.get_mut(lookup.vm).filter(|vm| !vm.failed) else {
            return Ok(true);
        };
        let state = vm.state();
        let size = u32::try_from(lookup.answer.len()).unwrap_or(u32::MAX);
        if !state.lookups.remove(&lookup.number) {
            return Ok(true);
        }
        if !state.roots.contains_key(&lookup.root) {
            return Ok(true);
        }
        state.show_answer(lookup.root, lookup.answer);
        self.call(
            lookup.vm,
            (Phase::Dns, lookup.root, None),
            "envoy_on_resolve_dns",
            |all| &all.resolve_dns,
            (lookup.root, lookup.token, size),
        )?;
        self.run_deferred(lookup.vm)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_impossible_names_are_answered_at_once() {
        let v4 = b"\x01\0\0\0\0\0\0\x00127.0.0.1:0\0".to_vec();
        let v6 = b"\x01\0\0\0\0\0\0\0[::1]:0\0".to_vec();
        assert_eq!(at_once("127.0.0.1"), Some(v4));
        assert_eq!(at_once("::1"), Some(v6.clone()));
        assert_eq!(at_once("localhost"), Some(v6));
        assert_eq!(at_once("bad name"), Some(Vec::new()));
        assert_eq!(at_once("example.com"), None);
        assert_eq!(at_once(""), None);
    }
}

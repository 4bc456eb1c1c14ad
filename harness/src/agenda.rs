//! What happens at which time: ticks of guests, answers of clusters, timeouts.
//!
//! The clock moves only when the test moves it. What is due at one time happens in the order in
//! which it was put on the agenda.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::abi::Direction;
use crate::calls::CallId;
use crate::error::HostError;
use crate::exchange::StreamId;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::stream::Stream;
use crate::vm::Phase;

/// A place on the agenda: a time, and a number that tells those of one time apart.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Moment {
    time: Duration,
    number: u64,
}

impl Moment {
    pub(crate) fn number(self) -> u64 {
        self.number
    }
}

/// What is to happen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A root context's timer.
    Tick { vm: usize, root: u32 },
    /// Stats sinks are told, again and again.
    FlushStats { interval: Duration },
    /// The upstream's answer to a stream begins to arrive.
    Answer { slot: usize, stream: StreamId },
    /// A peer that paused sends on.
    Arrival {
        slot: usize,
        stream: StreamId,
        direction: Direction,
    },
    /// A request is sent to the upstream again.
    Retry { slot: usize, stream: StreamId },
    /// The upstream has taken too long.
    RouteTimeout { slot: usize, stream: StreamId },
    /// The upstream of a TCP connection does the next thing.
    FromUpstream { slot: usize, stream: StreamId },
    /// The upstream of a TCP connection has ended, and was told of the end.
    UpstreamOver { slot: usize, stream: StreamId },
    /// A call-out goes on or ends.
    Call {
        vm: usize,
        token: u32,
        id: CallId,
        cluster: usize,
    },
}

/// Everything that is to happen, in order.
#[derive(Default)]
pub(crate) struct Agenda {
    events: BTreeMap<Moment, Event>,
    numbered: u64,
}

impl Agenda {
    /// How much waits.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Puts an event on the agenda; what is due now happens when the host is idle next.
    pub(crate) fn schedule(&mut self, time: Duration, event: Event) -> Moment {
        self.numbered += 1;
        let moment = Moment {
            time,
            number: self.numbered,
        };
        self.events.insert(moment, event);
        moment
    }

    /// Takes an event off, if it is still there.
    pub(crate) fn cancel(&mut self, moment: Moment) {
        self.events.remove(&moment);
    }

    /// Takes the first event that is due at `time` or was due before.
    fn take_due(&mut self, time: Duration) -> Option<(Moment, Event)> {
        let first = self.events.first_entry()?;
        (first.key().time <= time).then(|| first.remove_entry())
    }

    /// When the next event is due that is no tick.
    fn next_but_ticks(&self) -> Option<Duration> {
        let mut events = self.events.iter();
        events
            .find(|(_, event)| !matches!(event, Event::Tick { .. } | Event::FlushStats { .. }))
            .map(|(moment, _)| moment.time)
    }
}

impl Proxy {
    /// Lets happen what is due until a time, in order, and moves the clock there.
    pub(crate) fn advance_to(&mut self, until: Duration) -> Moved {
        self.run_until_idle()?;
        loop {
            let idle = self.first_idle(until);
            let before = idle.map_or(until, |(time, _)| time);
            if let Some((moment, event)) = self.world.agenda.take_due(before) {
                let now = self.world.clock.now();
                self.world.clock.set(moment.time.max(now));
                self.fire(moment, event)?;
            } else if let Some((time, slot)) = idle {
                self.world.clock.set(time);
                match self.world.streams[slot].tcp {
                    Some(_) => self.end_idle_connection(slot)?,
                    None => self.end_idle(slot)?,
                }
            } else {
                break;
            }
            self.run_until_idle()?;
        }
        self.world.clock.set(until);
        Ok(())
    }

    /// The stream on which nothing moves for too long first, and when that is.
    fn first_idle(&self, until: Duration) -> Option<(Duration, usize)> {
        let timeout = self.world.idle_timeout;
        let streams = self.world.streams.iter().enumerate();
        let idle_at = |stream: &Stream| match stream.tcp {
            Some(_) => stream.tcp_idle_at(),
            None if timeout.is_zero() || !stream.is_open() => None,
            None => Some(stream.active_at.saturating_add(timeout)),
        };
        streams
            .filter_map(|(slot, stream)| Some((idle_at(stream)?, slot)))
            .filter(|(time, _)| *time <= until)
            .min()
    }

    /// Moves the clock until nothing but ticks is left on the agenda, or to `until`.
    pub(crate) fn advance_until_idle(&mut self, until: Duration) -> Moved {
        self.run_until_idle()?;
        while let Some(next) = self.world.agenda.next_but_ticks()
            && next <= until
        {
            self.advance_to(next)?;
        }
        Ok(())
    }

    /// Does the next thing that is due now; false if there is none.
    pub(crate) fn run_due(&mut self) -> Result<bool, crate::HostError> {
        let now = self.world.clock.now();
        let Some((moment, event)) = self.world.agenda.take_due(now) else {
            return Ok(false);
        };
        self.fire(moment, event)?;
        Ok(true)
    }

    fn fire(&mut self, moment: Moment, event: Event) -> Moved {
        match event {
            Event::Tick { vm, root } => self.tick(moment, vm, root),
            Event::FlushStats { interval } => {
                self.schedule_flush(interval);
                self.flush_stats()
            }
            Event::Answer { slot, stream } if self.world.is_open(slot, stream) => {
                self.respond_late(slot)
            }
            Event::FromUpstream { slot, stream } if self.world.is_open(slot, stream) => {
                self.arrive_from_upstream(slot)
            }
            Event::UpstreamOver { slot, stream } if self.world.is_open(slot, stream) => {
                self.upstream_is_over(slot)
            }
            Event::Arrival {
                slot,
                stream,
                direction,
            } if self.world.is_open(slot, stream) => {
                self.world.streams[slot].flow(direction).waiting = false;
                self.read_on(slot, direction)
            }
            Event::RouteTimeout { slot, stream } if self.world.is_open(slot, stream) => {
                self.time_out(slot)
            }
            Event::Retry { slot, stream } if self.world.is_open(slot, stream) => {
                self.try_again(slot)
            }
            Event::Call { vm, token, id, .. } => self.call_is_due(vm, token, id),
            // The stream is over.
            Event::Answer { .. }
            | Event::Arrival { .. }
            | Event::RouteTimeout { .. }
            | Event::Retry { .. }
            | Event::UpstreamOver { .. }
            | Event::FromUpstream { .. } => Ok(()),
        }
    }

    /// Calls `proxy_on_tick`, unless the timer was set anew or its VM is gone.
    fn tick(&mut self, moment: Moment, vm: usize, root: u32) -> Moved {
        let Some(guest) = self.vms.get_mut(vm).filter(|vm| !vm.failed) else {
            return Ok(());
        };
        let roots = &mut guest.state().roots;
        let timer = roots.get_mut(&root).and_then(|root| root.tick.as_mut());
        let Some(timer) = timer.filter(|timer| timer.due == moment) else {
            return Ok(());
        };
        let mut next = moment.time + timer.period;
        if self.world.mutated(Rule::TicksSlowDown) {
            next += timer.period;
        }
        let once = self.world.mutated(Rule::TicksOnce);
        timer.due = self.world.schedule(next, Event::Tick { vm, root });
        if once {
            self.world.cancel(timer.due);
        }
        guest.state().timers.moved = false;
        self.call(
            vm,
            (Phase::Tick, root, None),
            "proxy_on_tick",
            |all| &all.tick,
            (root,),
        )?;
        self.run_deferred(vm)?;
        let state = self.vms[vm].state();
        let goes_on = state
            .roots
            .get(&root)
            .is_some_and(|root| root.tick.is_some());
        if goes_on && state.timers.moved && !self.world.mutated(Rule::TimersStayInTheirPlace) {
            return Err(HostError::Misuse {
                call: "proxy_set_tick_period_milliseconds".to_owned(),
                why: "is called first for the root of another plugin while this one ticks in the same VM: Envoy \
                      then looks for the timer of this one in memory that it has given back, and the tick is the \
                      last, or Envoy crashes; set a period, be it 0, in `proxy_on_configure`, or let the plugins \
                      have VMs of their own by another vm_id"
                    .to_owned(),
                timeline: self.timeline(None),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(root: u32) -> Event {
        Event::Tick { vm: 0, root }
    }

    fn taken(agenda: &mut Agenda, time: u64) -> Vec<u32> {
        let mut roots = Vec::new();
        while let Some((_, event)) = agenda.take_due(Duration::from_secs(time)) {
            if let Event::Tick { root, .. } = event {
                roots.push(root);
            }
        }
        roots
    }

    #[test]
    fn events_come_by_time_and_then_as_they_were_scheduled() {
        let mut agenda = Agenda::default();
        for (time, root) in [(2, 1), (1, 2), (2, 3), (1, 4)] {
            agenda.schedule(Duration::from_secs(time), tick(root));
        }
        assert!(taken(&mut agenda, 0).is_empty());
        assert_eq!(taken(&mut agenda, 1), [2, 4]);
        assert_eq!(taken(&mut agenda, 9), [1, 3]);
    }

    #[test]
    fn what_is_cancelled_does_not_happen() {
        let mut agenda = Agenda::default();
        let first = agenda.schedule(Duration::ZERO, tick(1));
        agenda.schedule(Duration::ZERO, tick(2));
        agenda.cancel(first);
        agenda.cancel(first);
        assert_eq!(taken(&mut agenda, 0), [2]);
    }
}

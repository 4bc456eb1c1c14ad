//! What a host did, or would have done, at a time of its own. For those who play the same on a real
//! Envoy, where two things that are due at nearly one time happen in any order.

use std::time::Duration;

use crate::agenda::{Event, Moment};
use crate::calls::CallId;
use crate::exchange::StreamId;
use crate::host::{Host, HostBuilder};
use crate::world::World;

/// Something for which time had to pass.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Appointment {
    /// From when on it was to come.
    pub made: Duration,
    /// When it was due, by the clock of [`Host::now`].
    pub due: Duration,
    /// Whose it was. What one source does is always in order.
    pub source: Source,
    /// When it was called off.
    pub called_off: Option<Duration>,
    number: u64,
}

/// Who does something at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Source(Kind);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Timer { vm: usize, root: u32 },
    Stream(StreamId),
    Timeout(StreamId),
    Call { id: CallId, cluster: usize },
    Sinks,
}

impl Source {
    /// Whether both are call-outs to one cluster.
    #[must_use]
    pub fn asks_with(&self, other: &Self) -> bool {
        let cluster = |source: &Self| match source.0 {
            Kind::Call { cluster, .. } => Some(cluster),
            _ => None,
        };
        cluster(self).is_some() && cluster(self) == cluster(other)
    }

    fn of(event: &Event) -> Self {
        Self(match *event {
            Event::Tick { vm, root } => Kind::Timer { vm, root },
            Event::FlushStats { .. } => Kind::Sinks,
            Event::Answer { stream, .. }
            | Event::Arrival { stream, .. }
            | Event::Retry { stream, .. }
            | Event::UpstreamOver { stream, .. }
            | Event::FromUpstream { stream, .. } => Kind::Stream(stream),
            Event::RouteTimeout { stream, .. } => Kind::Timeout(stream),
            Event::Call { id, cluster, .. } => Kind::Call { id, cluster },
        })
    }
}

impl World {
    /// Puts an event on the agenda.
    pub(crate) fn schedule(&mut self, time: Duration, event: Event) -> Moment {
        let source = Source::of(&event);
        let moment = self.agenda.schedule(time, event);
        let now = self.clock.now();
        if let Some(appointments) = &mut self.appointments
            && time > now
        {
            appointments.push(Appointment {
                made: now,
                due: time,
                source,
                called_off: None,
                number: moment.number(),
            });
        }
        moment
    }

    /// Takes an event off the agenda, if it is still there.
    pub(crate) fn cancel(&mut self, moment: Moment) {
        self.agenda.cancel(moment);
        let now = self.clock.now();
        let appointments = self.appointments.iter_mut().flatten().rev();
        let mut own = appointments.filter(|one| one.number == moment.number());
        if let Some(own) = own.next()
            && own.due > now
        {
            own.called_off = Some(now);
        }
    }

    /// Notes that a piece of a stream came at a time when nobody read; the one before may have come
    /// a little earlier.
    pub(crate) fn came_unread(&mut self, stream: StreamId, due: Duration) {
        if let Some(appointments) = &mut self.appointments {
            appointments.push(Appointment {
                made: due.saturating_sub(Duration::from_millis(20)),
                due,
                source: Source(Kind::Stream(stream)),
                called_off: None,
                number: 0,
            });
        }
    }
}

impl World {
    /// Notes that two things of a stream happen in any order, whatever the clock says.
    pub(crate) fn is_undecided(&mut self, stream: StreamId) {
        let due = self.clock.now();
        for kind in [Kind::Stream(stream), Kind::Timeout(stream)] {
            if let Some(appointments) = &mut self.appointments {
                appointments.push(Appointment {
                    made: Duration::ZERO,
                    due,
                    source: Source(kind),
                    called_off: None,
                    number: 0,
                });
            }
        }
    }
}

impl Host {
    /// What the clock shows: virtual time since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.proxy.world.clock.now()
    }

    /// All that happened at a time of its own, or is to happen; nothing unless
    /// [`HostBuilder::keep_appointments`].
    #[must_use]
    pub fn appointments(&self) -> &[Appointment] {
        self.proxy.world.appointments.as_deref().unwrap_or_default()
    }
}

impl HostBuilder {
    /// Keeps [`Host::appointments`].
    pub fn keep_appointments(mut self) -> Self {
        self.appointments = Some(Vec::new());
        self
    }
}

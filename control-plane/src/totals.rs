use crate::machine::Event;

/// What was counted since this program began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// Versions that were to be sent to an Envoy.
    pub(crate) pushes: u64,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    /// Versions that were refused here.
    pub(crate) refused_here: u64,
    pub(crate) connections: u64,
}

impl Totals {
    pub(crate) fn count(&mut self, event: &Event) {
        match event {
            Event::Acknowledged { .. } => self.acknowledged += 1,
            Event::Refused { .. } => self.refused += 1,
            Event::Checked {
                outcome: Err(_), ..
            } => self.refused_here += 1,
            Event::Connected { .. } => self.connections += 1,
            _ => {}
        }
    }
}

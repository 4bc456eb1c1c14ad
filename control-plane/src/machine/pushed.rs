use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::rollout::Rollout;
use crate::status::{Phase, Version};

/// How many generations of a version are known again. An Envoy with an older one is sent it anew.
const MOST_GENERATIONS: usize = 32;

/// A version that was pushed.
///
/// Envoy takes a push that it has had before for applied, without a look at it. So a version that an Envoy is
/// to have again goes there as another generation, and those that run it already are left alone.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Pushed {
    #[serde(with = "shared")]
    pub(super) rollout: Arc<Rollout>,
    /// The generation of its first push, by which it is known.
    pub(super) version: u64,
    /// All that it was pushed as, latest last.
    generations: Vec<u64>,
    /// Those of them that went to other sources of Envoys that ask for the plugin more than once, and before which source
    /// there are so many others.
    #[serde(skip)]
    more: BTreeMap<u64, usize>,
    /// What was known of it at the end of its way.
    pub(super) phase: Phase,
}

impl Pushed {
    pub(super) fn new(rollout: Arc<Rollout>, generation: u64) -> Self {
        Self {
            rollout,
            version: generation,
            generations: vec![generation],
            more: BTreeMap::new(),
            phase: Phase::Pushed,
        }
    }

    pub(super) fn generations(&self) -> &[u64] {
        &self.generations
    }

    /// The generation that it is pushed as to who asks for the plugin once.
    fn latest(&self) -> u64 {
        let mut latest = self.generations.iter().rev();
        let is_usual = |generation: &&u64| !self.more.contains_key(generation);
        latest.find(is_usual).copied().unwrap_or(self.version)
    }

    /// The same to a source of configuration before which an Envoy has so many others; nothing if it has none yet.
    pub(super) fn generation(&self, sources_before: usize) -> Option<u64> {
        match sources_before {
            0 => Some(self.latest()),
            number => {
                let mut latest = self.more.iter().rev();
                let (generation, _) = latest.find(|(_, source)| **source == number)?;
                Some(*generation)
            }
        }
    }

    /// From now on it is pushed as this one to a source before which an Envoy has so many others.
    pub(super) fn renew(&mut self, sources_before: usize, generation: u64) {
        if sources_before > 0 {
            self.more.insert(generation, sources_before);
        }
        if self.generations.len() == MOST_GENERATIONS {
            let oldest = self.generations.remove(0);
            self.more.remove(&oldest);
        }
        self.generations.push(generation);
    }

    pub(super) fn shown(&self) -> Version {
        self.rollout.version(Some(self.latest()))
    }
}

/// What is shared is written as if it were not.
pub(super) mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::rollout::Rollout;

    pub(in crate::machine) fn serialize<S: Serializer>(
        rollout: &Arc<Rollout>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        rollout.as_ref().serialize(serializer)
    }

    pub(in crate::machine) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Rollout>, D::Error> {
        Rollout::deserialize(deserializer).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_to_another_source_is_not_that_of_the_first_when_it_has_a_newer_one() {
        let mut pushed = Pushed::new(crate::machine::tests::rollout("a"), 1);
        pushed.renew(1, 2);
        pushed.renew(1, 3);
        assert_eq!(pushed.generation(0), Some(1));
        assert_eq!(pushed.generation(1), Some(3));
        assert_eq!(pushed.generation(2), None);
    }
}

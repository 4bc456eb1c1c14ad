use serde::{Deserialize, Serialize};

use super::Machine;
use super::place::{Place, Remembered};

/// What a machine has to know again after another start.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// No push had a greater generation.
    last_generation: u64,
    places: Vec<Remembered>,
}

impl Memory {
    /// The sha256 of all modules that belong to it.
    pub fn modules(&self) -> impl Iterator<Item = &crate::Module> {
        self.places.iter().flat_map(Remembered::modules)
    }

    /// Gives each module its bytes, by its sha256. What a place has without them is forgotten.
    #[must_use]
    pub fn with_modules(mut self, mut bytes: impl FnMut(&str) -> Option<Vec<u8>>) -> Self {
        self.places
            .retain_mut(|place| place.give_modules(&mut bytes));
        self
    }
}

impl Machine {
    /// What is to be kept.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory {
            last_generation: self.last_generation,
            places: self.places.values().map(Place::remember).collect(),
        }
    }

    /// A machine that goes on where another ended.
    #[must_use]
    pub fn remembering(memory: Memory, last_generation: u64) -> Self {
        let mut machine = Self::new(last_generation.max(memory.last_generation));
        for remembered in memory.places {
            let place = Place::recall(remembered);
            machine.places.insert(place.name().to_owned(), place);
        }
        machine
    }
}

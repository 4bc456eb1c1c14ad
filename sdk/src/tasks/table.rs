use std::rc::Rc;

use super::Task;

/// The tasks that may be woken. A map by context id would do the same with ten times the code.
pub(super) struct Table {
    places: Vec<Place>,
    free: Vec<usize>,
}

/// Names a task. A place is used again, with another number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Key {
    place: usize,
    number: u32,
}

struct Place {
    number: u32,
    task: Option<Rc<dyn Task>>,
}

impl Table {
    pub(super) const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn reserve(&mut self) -> Key {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                number: 0,
                task: None,
            });
            self.places.len() - 1
        });
        let number = self.places.get(place).map_or(0, |place| place.number);
        Key { place, number }
    }

    pub(super) fn put(&mut self, key: Key, task: Rc<dyn Task>) {
        if let Some(place) = self.place(key) {
            place.task = Some(task);
        }
    }

    pub(super) fn get(&self, key: Key) -> Option<Rc<dyn Task>> {
        let place = self.places.get(key.place)?;
        let task = place.task.as_ref().filter(|_| place.number == key.number);
        task.cloned()
    }

    pub(super) fn free(&mut self, key: Key) -> Option<Rc<dyn Task>> {
        let place = self.place(key)?;
        place.number = place.number.wrapping_add(1);
        let task = place.task.take();
        self.free.push(key.place);
        task
    }

    fn place(&mut self, key: Key) -> Option<&mut Place> {
        let place = self.places.get_mut(key.place);
        place.filter(|place| place.number == key.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Task for Nothing {
        fn root(&self) -> u32 {
            0
        }

        fn turn(&self) {}
    }

    #[test]
    fn a_place_is_used_again_under_another_key() {
        let mut table = Table::new();
        let first = table.reserve();
        table.put(first, Rc::new(Nothing));
        assert!(table.get(first).is_some());
        assert!(table.free(first).is_some());
        let second = table.reserve();
        table.put(second, Rc::new(Nothing));
        assert_eq!(table.places.len(), 1);
        assert!(table.get(first).is_none());
        assert!(table.free(first).is_none());
        assert!(table.get(second).is_some());
    }
}

use std::rc::Rc;

/// Values by name. Looking up is what happens with each request, and putting in is rare; a tree's code alone
/// is larger than all else here.
#[derive(Debug)]
pub(super) struct Index<T>(Vec<(Rc<str>, T)>);

impl<T> Index<T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<&T> {
        let place = self.place(name).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    pub(super) fn insert(&mut self, name: Rc<str>, value: T) {
        match self.place(&name) {
            Ok(place) => {
                if let Some((_, known)) = self.0.get_mut(place) {
                    *known = value;
                }
            }
            Err(place) => self.0.insert(place, (name, value)),
        }
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self::new()
    }
}

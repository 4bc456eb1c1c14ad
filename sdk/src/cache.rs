use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;

/// Values that were dear to get, for a while and no more than so many.
///
/// It lives in the memory of one VM: each worker has its own. Where it is full, what was used longest
/// ago makes room, whatever has expired first. Keys are kept in order and not hashed, so nobody can
/// choose keys that make it slow.
///
/// The bound is a count, not bytes, and each key is kept twice. Where a client chooses the key, such as a credential,
/// keep none that are long: of ten thousand keys of 60 KiB, as long as Envoy lets headers be, each worker would hold
/// more than a gigabyte, and a module gives no memory back.
///
/// The caller says what time it is, so that a look and a later insertion cost one host call together,
/// and tests need no host:
///
/// ```
/// use std::time::Duration;
/// use attache::{Cache, Timestamp};
///
/// let verdicts: Cache<Vec<u8>, bool> = Cache::new(10_000, Duration::from_secs(30));
/// let noon = Timestamp::from_unix(Duration::from_secs(1_700_000_000));
///
/// verdicts.insert(b"Bearer x".to_vec(), true, noon);
/// assert_eq!(verdicts.get(b"Bearer x".as_slice(), noon), Some(true));
/// assert_eq!(verdicts.get(b"Bearer x".as_slice(), noon + Duration::from_secs(30)), None);
/// ```
///
/// In a filter the time is [`Timestamp::now`].
pub struct Cache<K, V> {
    capacity: usize,
    lifetime: Duration,
    content: RefCell<Content<K, V>>,
}

struct Content<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    /// Keys by when they were used last.
    order: BTreeMap<u64, K>,
    uses: u64,
}

struct Entry<V> {
    value: V,
    expires: Timestamp,
    used: u64,
}

impl<K: Ord + Clone, V: Clone> Cache<K, V> {
    /// A cache of at most `capacity` values, each of which expires after `lifetime`. With a capacity of
    /// 0 it keeps nothing.
    #[must_use]
    pub const fn new(capacity: usize, lifetime: Duration) -> Self {
        Self {
            capacity,
            lifetime,
            content: RefCell::new(Content {
                entries: BTreeMap::new(),
                order: BTreeMap::new(),
                uses: 0,
            }),
        }
    }

    /// The value of `key`, unless it has expired; one that has is forgotten.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q, now: Timestamp) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let mut content = self.content.borrow_mut();
        if content.entries.get(key)?.expires <= now {
            content.remove(key);
            return None;
        }
        content.touch(key)
    }

    /// Keeps a value, in place of the one that `key` had.
    pub fn insert(&self, key: K, value: V, now: Timestamp) {
        self.insert_until(key, value, now + self.lifetime, now);
    }

    /// Keeps a value until a moment of its own, such as the end of a token's validity.
    ///
    /// ```
    /// use std::time::Duration;
    /// use attache::{Cache, Timestamp};
    ///
    /// let tokens: Cache<&str, u32> = Cache::new(100, Duration::from_secs(3_600));
    /// let now = Timestamp::from_unix(Duration::from_secs(1_700_000_000));
    ///
    /// // The token says itself how long it is valid.
    /// tokens.insert_until("ada", 7, now + Duration::from_secs(60), now);
    /// assert_eq!(tokens.get("ada", now + Duration::from_secs(59)), Some(7));
    /// assert_eq!(tokens.get("ada", now + Duration::from_secs(60)), None);
    /// ```
    pub fn insert_until(&self, key: K, value: V, expires: Timestamp, now: Timestamp) {
        let mut content = self.content.borrow_mut();
        content.remove(&key);
        if self.capacity == 0 || expires <= now {
            return;
        }
        while content.entries.len() >= self.capacity {
            content.make_room(now);
        }
        content.add(key, value, expires);
    }

    /// Forgets `key`, and answers whether it was there.
    ///
    /// ```
    /// use std::time::Duration;
    /// use attache::{Cache, Timestamp};
    ///
    /// let tokens: Cache<&str, u32> = Cache::new(100, Duration::from_secs(60));
    /// tokens.insert("ada", 7, Timestamp::from_unix(Duration::ZERO));
    /// assert!(tokens.remove("ada"));
    /// assert!(!tokens.remove("ada"));
    /// ```
    pub fn remove<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        self.content.borrow_mut().remove(key)
    }

    /// How many values there are, those among them that have expired and were not asked for since.
    ///
    /// ```
    /// use std::time::Duration;
    /// use attache::{Cache, Timestamp};
    ///
    /// let recent: Cache<u32, ()> = Cache::new(2, Duration::from_secs(60));
    /// assert!(recent.is_empty());
    /// for number in 0..10 {
    ///     recent.insert(number, (), Timestamp::from_unix(Duration::ZERO));
    /// }
    /// assert_eq!(recent.len(), 2);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.content.borrow().entries.len()
    }

    /// Whether there are none.
    ///
    /// ```
    /// use std::time::Duration;
    /// use attache::Cache;
    ///
    /// let verdicts: Cache<String, bool> = Cache::new(1_000, Duration::from_secs(30));
    /// assert!(verdicts.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Ord + Clone, V: Clone> Content<K, V> {
    fn add(&mut self, key: K, value: V, expires: Timestamp) {
        self.uses += 1;
        self.order.insert(self.uses, key.clone());
        let used = self.uses;
        let entry = Entry {
            value,
            expires,
            used,
        };
        self.entries.insert(key, entry);
    }

    fn touch<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let entry = self.entries.get_mut(key)?;
        let key = self.order.remove(&entry.used)?;
        self.uses += 1;
        entry.used = self.uses;
        self.order.insert(self.uses, key);
        Some(entry.value.clone())
    }

    fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        let Some(entry) = self.entries.remove(key) else {
            return false;
        };
        self.order.remove(&entry.used);
        true
    }

    /// Takes away the one that was used longest ago, or an expired one among the few before it.
    fn make_room(&mut self, now: Timestamp) {
        const LOOKED_AT: usize = 8;
        let expired = self.order.values().take(LOOKED_AT).find(|key| {
            let entry = self.entries.get(*key);
            entry.is_some_and(|entry| entry.expires <= now)
        });
        if let Some(key) = expired.or_else(|| self.order.values().next()).cloned() {
            self.remove(&key);
        }
    }
}

/// Without keys and values, which may be secrets.
impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cache")
            .field("capacity", &self.capacity)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(Duration::from_secs(1_700_000_000 + seconds))
    }

    fn cache(capacity: usize) -> Cache<String, u32> {
        Cache::new(capacity, Duration::from_secs(10))
    }

    #[test]
    fn a_value_expires() {
        let cache = cache(2);
        cache.insert("a".to_owned(), 1, at(0));
        assert_eq!(cache.get("a", at(9)), Some(1));
        assert_eq!(cache.get("a", at(10)), None);
        assert!(cache.is_empty());
    }

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let cache = cache(2);
        cache.insert("a".to_owned(), 1, at(0));
        cache.insert("b".to_owned(), 2, at(0));
        assert_eq!(cache.get("a", at(1)), Some(1));
        cache.insert("c".to_owned(), 3, at(1));
        assert_eq!(cache.get("b", at(1)), None);
        assert_eq!(cache.get("a", at(1)), Some(1));
        assert_eq!(cache.get("c", at(1)), Some(3));
    }

    #[test]
    fn what_has_expired_makes_room_before() {
        let cache = cache(2);
        cache.insert("a".to_owned(), 1, at(0));
        cache.insert_until("b".to_owned(), 2, at(1), at(0));
        cache.insert("c".to_owned(), 3, at(2));
        assert_eq!(cache.get("a", at(2)), Some(1));
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn it_never_grows_past_its_bound() {
        let cache = cache(16);
        for number in 0..1_000 {
            cache.insert(
                format!("k{}", number % 40),
                number,
                at(u64::from(number) / 100),
            );
            let _ = cache.get(&format!("k{}", number % 7), at(0));
            assert!(cache.len() <= 16);
            assert_eq!(cache.content.borrow().order.len(), cache.len());
        }
        let none: Cache<u8, u8> = Cache::new(0, Duration::MAX);
        none.insert(1, 1, at(0));
        assert!(none.is_empty());
    }

    #[test]
    fn a_value_is_replaced_and_removed() {
        let cache = cache(2);
        cache.insert("a".to_owned(), 1, at(0));
        cache.insert("a".to_owned(), 2, at(0));
        assert_eq!(cache.get("a", at(0)), Some(2));
        assert!(cache.remove("a"));
        assert!(!cache.remove("a"));
        cache.insert("a".to_owned(), 1, at(0));
        cache.insert_until("a".to_owned(), 3, at(0), at(0));
        assert!(cache.is_empty());
    }
}

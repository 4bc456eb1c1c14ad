//! Bytes that guests change at both ends.

use std::ops::Deref;

/// A body, or what was read of a connection. To take away or to add bytes, in front or behind, costs
/// what they are, and not what is there: a guest may do so in thousands of small steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    /// Where the body begins; what stands before is room.
    start: usize,
    /// How many bytes were moved that nobody had given.
    #[cfg(test)]
    moved: usize,
}

impl Body {
    /// Appends bytes. Room in front is given up once it is three times what is there: half of the bytes
    /// must have gone then since [`make_room`](Self::make_room) made as much as there was.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if self.start > 3 * self.len() {
            self.count_moved();
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Puts bytes in the place of the first ones, as many as there are.
    pub(crate) fn replace_start(&mut self, length: usize, bytes: &[u8]) {
        self.start += length.min(self.len());
        if self.start < bytes.len() {
            self.make_room(bytes.len());
        }
        self.start -= bytes.len();
        self.bytes[self.start..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Makes room in front for so many bytes, and for as many as there are, so that the next steps
    /// need not.
    fn make_room(&mut self, more: usize) {
        self.count_moved();
        let room = more + self.len();
        let mut roomy = Vec::with_capacity(room + self.len());
        roomy.resize(room, 0);
        roomy.extend_from_slice(self);
        self.bytes = roomy;
        self.start = room;
    }

    /// The whole body is about to be moved.
    fn count_moved(&mut self) {
        #[cfg(test)]
        {
            self.moved += self.len();
        }
    }

    /// The bytes, moved to the front.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.drain(..self.start);
        self.bytes
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_change_and_the_rest_stays() {
        let mut body = Body::from(b"middle".to_vec());
        let mut expected = b"middle".to_vec();
        for step in 0..300 {
            let piece = vec![b'a' + u8::try_from(step % 26).expect("small"); step % 7];
            let length = step * 5 % 11;
            if step % 3 == 0 {
                body.extend(&piece);
                expected.extend(&piece);
            } else {
                body.replace_start(length, &piece);
                expected.splice(..length.min(expected.len()), piece);
            }
            assert_eq!(*body, *expected, "step {step}");
        }
        assert_eq!(body.into_bytes(), expected);
    }

    #[test]
    fn small_steps_at_both_ends_move_the_rest_a_few_times_at_the_most() {
        const SIZE: usize = 8 << 20;
        let mut body = Body::from(vec![b'x'; SIZE]);
        for _ in 0..SIZE / 512 {
            body.replace_start(512, b"");
            body.extend(b"0123");
            body.replace_start(0, b"4567");
        }
        // At each step it would be 64 GiB.
        assert!(body.moved <= 2 * SIZE, "{}", body.moved);
    }

    #[test]
    fn what_was_taken_away_in_front_is_not_kept_for_ever() {
        let mut body = Body::default();
        for _ in 0..1000 {
            body.extend(&[1; 100]);
            body.replace_start(100, b"");
        }
        assert!(body.bytes.len() < 1000, "{}", body.bytes.len());
    }
}

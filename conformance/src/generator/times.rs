//! When things happen. Times are drawn apart from all else, so that they can be drawn anew until nothing
//! falls together.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Value, json};

use super::draw::Draw;

/// Draws times.
pub(super) struct Times {
    draw: RefCell<Draw>,
    attempt: u32,
}

impl Times {
    pub(super) fn new(seed: u64, attempt: u32) -> Self {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(attempt);
        Self {
            draw: RefCell::new(Draw::new(mixed)),
            attempt,
        }
    }

    fn between(&self, low: u32, high: u32) -> u32 {
        // The more there is to be kept apart, the more room it gets.
        let high = high + 20 * self.attempt;
        self.draw.borrow_mut().between(low / 10, high / 10) * 10
    }

    /// A timer's period, in milliseconds.
    pub(super) fn period(&self) -> Value {
        json!(self.between(150, 450))
    }

    /// When an answer comes that somebody waits for.
    pub(super) fn soon(&self) -> Value {
        text(self.between(120, 400))
    }

    /// When one comes that nobody waits for.
    pub(super) fn late(&self) -> Value {
        text(self.between(1_000, 1_500))
    }

    /// What a step of TCP is followed by, where somebody waits for something.
    pub(super) fn pause(&self) -> Value {
        text(self.between(600, 700 + 20 * self.attempt))
    }

    /// The same where gRPC servers say one thing after the other.
    pub(super) fn after_rpc(&self) -> Value {
        text(self.between(1_600, 1_800 + 60 * self.attempt))
    }

    /// What a case waits in the end.
    pub(super) fn wait(&self) -> Value {
        text(self.between(700, 900 + 80 * self.attempt))
    }
}

fn text(milliseconds: u32) -> Value {
    json!(format!(
        "{}ms",
        Duration::from_millis(milliseconds.into()).as_millis()
    ))
}

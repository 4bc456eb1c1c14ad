//! What a stream costs, and what it may cost.

use std::fmt;

use crate::error::HostError;
use crate::exchange::Exchange;
use crate::proxy::{Moved, Proxy};

/// What a stream cost the guests and the host, over all plugins of its chain. The same modules and
/// the same request cost the same, always.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Cost {
    /// Fuel: wasmtime counts about one a wasm instruction.
    pub fuel: u64,
    /// How often the host entered a guest: callbacks and calls of the allocator.
    pub crossings: u64,
    /// How often a guest called the host.
    pub host_calls: u64,
    /// Bytes that host calls handed over, either way.
    pub bytes_copied: u64,
}

/// What a stream may cost: a limit for each figure that matters.
///
/// ```
/// # use attache_harness::{Budget, Host, Plugin, Request, HostError};
/// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
/// #   (func (export "proxy_abi_version_0_2_1"))
/// #   (func (export "malloc") (param i32) (result i32) i32.const 1024))"#).unwrap();
/// # let plugin = Plugin::from_bytes("idle", wasm);
/// let budget = Budget::new().host_calls(3).fuel(5_000);
/// let mut host = Host::with(plugin)?;
/// host.send(Request::get("/"))?.assert_within(&budget);
/// # Ok::<(), HostError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct Budget {
    fuel: Option<u64>,
    crossings: Option<u64>,
    host_calls: Option<u64>,
    bytes_copied: Option<u64>,
}

impl Budget {
    /// A budget without limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits [`Cost::fuel`].
    pub fn fuel(mut self, limit: u64) -> Self {
        self.fuel = Some(limit);
        self
    }

    /// Limits [`Cost::crossings`].
    pub fn crossings(mut self, limit: u64) -> Self {
        self.crossings = Some(limit);
        self
    }

    /// Limits [`Cost::host_calls`].
    pub fn host_calls(mut self, limit: u64) -> Self {
        self.host_calls = Some(limit);
        self
    }

    /// Limits [`Cost::bytes_copied`].
    pub fn bytes_copied(mut self, limit: u64) -> Self {
        self.bytes_copied = Some(limit);
        self
    }

    /// Checks a cost.
    ///
    /// # Errors
    ///
    /// [`OverBudget`] with every figure that is over its limit.
    pub fn check(&self, cost: &Cost) -> Result<(), OverBudget> {
        let figures = [
            ("fuel", cost.fuel, self.fuel),
            ("crossings", cost.crossings, self.crossings),
            ("host calls", cost.host_calls, self.host_calls),
            ("bytes copied", cost.bytes_copied, self.bytes_copied),
        ];
        let over: Vec<Excess> = figures
            .into_iter()
            .filter_map(|(figure, spent, limit)| {
                let limit = limit.filter(|limit| spent > *limit)?;
                Some(Excess {
                    figure,
                    spent,
                    limit,
                })
            })
            .collect();
        if over.is_empty() {
            Ok(())
        } else {
            Err(OverBudget { figures: over })
        }
    }
}

/// A stream cost more than its budget allows.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("over budget: {}", Listed(figures))]
#[non_exhaustive]
pub struct OverBudget {
    /// The figures that are over their limits.
    pub figures: Vec<Excess>,
}

/// A figure that is over its limit.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Excess {
    /// Its name, such as `host calls`.
    pub figure: &'static str,
    /// What it is.
    pub spent: u64,
    /// What it may be.
    pub limit: u64,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.spent, self.figure, self.limit)
    }
}

struct Listed<'a>(&'a [Excess]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, excess) in self.0.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(f, "{separator}{excess}")?;
        }
        Ok(())
    }
}

impl Proxy {
    /// Whether a stream that is over cost what it may.
    pub(crate) fn check_budget(&self, slot: usize) -> Moved {
        let exchange = &self.world.streams[slot].exchange;
        self.world
            .budget
            .check(&exchange.cost)
            .map_err(|over| HostError::OverBudget {
                over,
                timeline: exchange.timeline.clone(),
            })
    }
}

impl Exchange {
    /// What the stream cost.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Asserts that the stream cost no more than it may.
    ///
    /// # Panics
    ///
    /// If it did; the message holds each figure over its limit, and the timeline.
    #[track_caller]
    #[expect(
        clippy::panic,
        reason = "the reader is a test; `Budget::check` does not panic"
    )]
    pub fn assert_within(&self, budget: &Budget) {
        if let Err(over) = budget.check(&self.cost) {
            panic!("{over}\n{self}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_figures_over_their_limits_are_listed() {
        let cost = Cost {
            fuel: 10,
            crossings: 3,
            host_calls: 4,
            bytes_copied: 100,
        };
        let budget = Budget::new().fuel(10).host_calls(3).bytes_copied(99);
        let over = budget.check(&cost).expect_err("two figures are over");
        assert_eq!(
            over.to_string(),
            "over budget: 4 host calls of 3, 100 bytes copied of 99"
        );
        assert_eq!(Budget::new().crossings(3).check(&cost), Ok(()));
    }
}

//! Why an expression has no value.

/// Why a term has no value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// An error, which `&&`, `||` and the macros may make good.
    Error,
    /// An error that ends the evaluation.
    Abort,
    /// There is a value, which no guest can be given: `null`, a type.
    Unwritable,
    /// Envoy has a value here that this harness does not know.
    Unknown(String),
    /// Envoy crashes over a property's schema.
    Schema,
    /// There is more to do than a test should wait for.
    TooMuch,
}

impl Fault {
    pub(super) fn unknown(what: impl Into<String>) -> Self {
        Self::Unknown(what.into())
    }

    /// Whether it ends the evaluation.
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Self::Abort | Self::Schema | Self::TooMuch)
    }

    /// How it ranks among the faults of terms that are all needed: an error is the answer, whatever
    /// an unknown value may be.
    fn rank(&self) -> u8 {
        match self {
            Self::TooMuch | Self::Schema => 0,
            Self::Abort => 1,
            Self::Error | Self::Unwritable => 2,
            Self::Unknown(_) => 3,
        }
    }
}

/// All values, or what is wrong with one of them.
pub(super) fn strict<T>(
    values: impl IntoIterator<Item = Result<T, Fault>>,
) -> Result<Vec<T>, Fault> {
    let (mut known, mut faults) = (Vec::new(), Vec::new());
    for value in values {
        match value {
            Ok(value) => known.push(value),
            Err(fault) => faults.push(fault),
        }
    }
    match faults.into_iter().min_by_key(Fault::rank) {
        Some(fault) => Err(fault),
        None => Ok(known),
    }
}

/// Of two faults that another term may make good, the one that stays: what is unknown may be no
/// fault.
pub(super) fn graver(kept: Option<Fault>, next: Fault) -> Fault {
    match kept {
        Some(Fault::Unknown(what)) => Fault::Unknown(what),
        _ => next,
    }
}

/// What may still be done in a callback for expressions. Envoy limits the turns of macros alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work(u64);

impl Work {
    /// Some tenths of a second.
    pub(crate) const A_CALLBACK: Self = Self(4_000_000);

    pub(crate) fn charge(&mut self, steps: usize) -> Result<(), Fault> {
        let left = self.0.checked_sub(steps as u64 + 1);
        self.0 = left.unwrap_or_default();
        left.map(|_| ()).ok_or(Fault::TooMuch)
    }

    pub(crate) fn charge_bytes(&mut self, bytes: usize) -> Result<(), Fault> {
        self.charge(bytes / 16)
    }
}

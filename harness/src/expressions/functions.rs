//! The functions that Envoy's expressions have.

/// A function by what it does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Type,
    Dyn,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Bool,
    Duration,
    Timestamp,
    Time(TimePart),
}

/// A part of a time, in UTC or another zone; some are parts of durations too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TimePart {
    FullYear,
    Month,
    DayOfYear,
    /// From 0.
    DayOfMonth,
    /// From 1.
    Date,
    DayOfWeek,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// How a function is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Style {
    /// `f(a, b)`.
    Global,
    /// `a.f(b)`.
    Receiver,
}

impl Function {
    /// The function of a name, a style and a number of arguments with the receiver; Envoy refuses an
    /// expression whose function it does not have in this form.
    pub(crate) fn find(name: &str, style: Style, arguments: usize) -> Option<Self> {
        let function = match (name, arguments) {
            ("size", 1) => return Some(Self::Size),
            ("contains", 2) => return Some(Self::Contains),
            ("startsWith", 2) => return Some(Self::StartsWith),
            ("endsWith", 2) => return Some(Self::EndsWith),
            ("matches", 2) => return Some(Self::Matches),
            (_, 1 | 2) if style == Style::Receiver => return TimePart::find(name).map(Self::Time),
            ("type", 1) => Self::Type,
            ("dyn", 1) => Self::Dyn,
            ("int", 1) => Self::Int,
            ("uint", 1) => Self::Uint,
            ("double", 1) => Self::Double,
            ("string", 1) => Self::String,
            ("bytes", 1) => Self::Bytes,
            ("bool", 1) => Self::Bool,
            ("duration", 1) => Self::Duration,
            ("timestamp", 1) => Self::Timestamp,
            _ => return None,
        };
        (style == Style::Global).then_some(function)
    }
}

impl TimePart {
    fn find(name: &str) -> Option<Self> {
        Some(match name {
            "getFullYear" => Self::FullYear,
            "getMonth" => Self::Month,
            "getDayOfYear" => Self::DayOfYear,
            "getDayOfMonth" => Self::DayOfMonth,
            "getDate" => Self::Date,
            "getDayOfWeek" => Self::DayOfWeek,
            "getHours" => Self::Hours,
            "getMinutes" => Self::Minutes,
            "getSeconds" => Self::Seconds,
            "getMilliseconds" => Self::Milliseconds,
            _ => return None,
        })
    }
}

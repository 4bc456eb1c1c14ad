use std::fmt;

/// Why a message could not be transformed. None of these holds a value: bodies may be secrets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// More work than one message may cause.
    Work,
    /// What came out is larger than the body's limit.
    Large,
    /// What came out is nested deeper than a body may be.
    Depth,
    /// What a step requires is not there.
    Missing,
    /// A JSON Patch operation has no place to work on.
    Place,
    /// A JSON Patch `test` does not hold.
    Test,
    /// A JMESPath function was given what it does not take.
    Query(&'static str),
    /// A header's value would have a line break or another control character.
    HeaderValue,
    /// The path would not be one, or would mean another place to somebody.
    Path,
    /// A template made a body that is no JSON.
    Template,
    /// The body is of a kind that the step does not know.
    Kind,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Work => "it takes more work than one message may cause",
            Self::Large => "the body would be larger than `max_bytes`",
            Self::Depth => "the body would be nested too deeply",
            Self::Missing => "what a step requires is not there",
            Self::Place => "a patch names a place that is not there",
            Self::Test => "a patch's test does not hold",
            Self::Query(why) => why,
            Self::HeaderValue => "a header's value would have a control character",
            Self::Path => "the path would be malformed or ambiguous",
            Self::Template => "a template made a body that is no JSON",
            Self::Kind => "the step does not know forms",
        })
    }
}

impl std::error::Error for Failure {}

use std::error::Error;

/// The message of an error with those of its causes, as a program prints them.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}\n{next}");
        cause = next.source();
    }
    text
}

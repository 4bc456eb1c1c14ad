use crate::error::Error;
use crate::host::surroundings::foreign_function;
use crate::status::Status;

/// An expression in CEL over Envoy's attributes, which Envoy evaluates.
///
/// It is made once, when the plugin is configured, and lives as long as the plugin does. What it gives is
/// about the stream of the callback that runs, and without one it has no value. The bytes do not say what
/// they are: a text as it is, a number in eight bytes (little-endian), a truth in one; so an expression
/// says itself what it gives, as `string(destination.port)` does.
///
/// ```
/// use attache::foreign::Expression;
/// use attache::prelude::*;
///
/// fn configure(text: &str) -> Result<Expression, ConfigError> {
///     let expression = Expression::new(text)?;
///     expression.ok_or_else(|| ConfigError::at("/expression", "expected an expression in CEL"))
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expression {
    token: Vec<u8>,
}

impl Expression {
    /// Has an expression read; `None` for one that Envoy cannot read. Whether its attributes are there
    /// shows when it is evaluated.
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host has no such function.
    pub fn new(text: &str) -> Result<Option<Self>, Error> {
        match foreign_function("expr_create", text.as_bytes()) {
            Ok(token) => Ok(Some(Self { token })),
            Err(cause) if cause.status == Status::BAD_ARGUMENT => Ok(None),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Its value for the stream of the callback that runs; `None` where it has none.
    ///
    /// ```
    /// use attache::foreign::Expression;
    /// use attache::prelude::*;
    ///
    /// /// Whether a condition such as `source.port > 1024` holds; a truth is one byte.
    /// fn holds(condition: &Expression) -> Result<bool, Error> {
    ///     Ok(condition.evaluate()?.as_deref() == Some(&[1]))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses.
    pub fn evaluate(&self) -> Result<Option<Vec<u8>>, Error> {
        match foreign_function("expr_evaluate", &self.token) {
            Ok(value) => Ok(Some(value)),
            // An attribute that is not there, a wrong type, a value that has no bytes.
            Err(cause)
                if [Status::INTERNAL_FAILURE, Status::SERIALIZATION_FAILURE]
                    .contains(&cause.status) =>
            {
                Ok(None)
            }
            Err(cause) => Err(cause.into()),
        }
    }
}

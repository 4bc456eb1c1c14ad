//! The filters of a module, by root id.

use crate::config::{self, ConfigError, Quoted};
use crate::kind::{Installed, Registered};
use crate::phases::Phases;
use crate::plugin::Plugin;

type Install = fn(&'static str, &[u8], &Plugin) -> Result<Installed, ConfigError>;

/// One line of [`filters!`](crate::filters).
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Registration {
    root_id: &'static str,
    is_http: bool,
    hears_answers: bool,
    install: Install,
}

/// Registers a filter under its root id. Its kind is inferred.
#[doc(hidden)]
#[must_use]
pub const fn register<F: Registered<Kind>, Kind>(root_id: &'static str) -> Registration {
    Registration {
        root_id,
        is_http: F::IS_HTTP,
        hears_answers: F::PHASES.contains(Phases::WAITS) || F::PHASES.contains(Phases::BESIDE),
        install: install::<F, Kind>,
    }
}

fn install<F: Registered<Kind>, Kind>(
    root_id: &'static str,
    configuration: &[u8],
    plugin: &Plugin,
) -> Result<Installed, ConfigError> {
    F::make(config::parse(configuration)?, root_id, plugin)
}

/// What a filter declares. Its kind is inferred.
#[doc(hidden)]
#[must_use]
pub const fn phases<F: Registered<Kind>, Kind>() -> Phases {
    F::PHASES
}

impl Registration {
    pub(crate) fn root_id(&self) -> &'static str {
        self.root_id
    }

    /// Whether it filters HTTP streams.
    pub(crate) fn is_http(&self) -> bool {
        self.is_http
    }

    /// Whether it may wait for answers.
    pub(crate) fn hears_answers(&self) -> bool {
        self.hears_answers
    }

    pub(crate) fn install(&self, bytes: &[u8], plugin: &Plugin) -> Result<Installed, ConfigError> {
        (self.install)(self.root_id, bytes, plugin)
    }
}

/// Whether the module hears of answers to call-outs: one that lacks the callback would keep each call for ever.
pub(crate) fn hears_answers() -> bool {
    #[cfg(target_arch = "wasm32")]
    let hears = crate::entry::registry()
        .iter()
        .any(Registration::hears_answers);
    // Without a host there is no module either.
    #[cfg(not(target_arch = "wasm32"))]
    let hears = true;
    hears
}

/// The filter that `root_id` selects. An empty one selects the only filter of a module.
pub(crate) fn select<'a>(
    registry: &'a [Registration],
    root_id: &str,
) -> Result<&'a Registration, String> {
    match registry {
        [only] if root_id.is_empty() => return Ok(only),
        _ => {}
    }
    registry
        .iter()
        .find(|registration| registration.root_id == root_id)
        .ok_or_else(|| {
            let mut known = String::new();
            for (index, registration) in registry.iter().enumerate() {
                known.push_str(if index == 0 { "`" } else { ", `" });
                known.push_str(registration.root_id);
                known.push('`');
            }
            format!(
                "no filter has the root id {}; this module has {known}",
                Quoted(root_id),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, HttpFilter, Next, Request, Response};

    struct Nothing;

    impl HttpFilter for Nothing {
        type Config = ();

        fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
            Ok(Self)
        }

        async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
            next.forward(request)
        }
    }

    const ONE: &[Registration] = &[register::<Nothing, _>("a")];
    const TWO: &[Registration] = &[register::<Nothing, _>("a"), register::<Nothing, _>("b")];

    #[test]
    fn an_empty_root_id_selects_the_only_filter() {
        assert_eq!(select(ONE, "").unwrap().root_id(), "a");
        assert!(select(TWO, "").is_err());
    }

    #[test]
    fn an_unknown_root_id_lists_the_known_ones() {
        let refusal = select(TWO, "c").unwrap_err();
        assert_eq!(
            refusal,
            "no filter has the root id \"c\"; this module has `a`, `b`"
        );
    }
}

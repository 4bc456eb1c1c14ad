//! The filters of a module, by root id.

use std::rc::Rc;

use crate::config::{self, ConfigError};
use crate::filter::{AnyFilter, Configured, HttpFilter};
use crate::plugin::Plugin;

type Configure = fn(&'static str, &[u8], &Plugin) -> Result<Rc<dyn AnyFilter>, ConfigError>;

/// One line of [`filters!`](crate::filters).
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Registration {
    root_id: &'static str,
    configure: Configure,
}

/// Registers a filter under its root id.
#[doc(hidden)]
#[must_use]
pub const fn register<F: HttpFilter>(root_id: &'static str) -> Registration {
    Registration {
        root_id,
        configure: |root_id, bytes, plugin| {
            let filter = F::configure(config::parse(bytes)?, plugin)?;
            Ok(Rc::new(Configured { filter, root_id }))
        },
    }
}

impl Registration {
    pub(crate) fn root_id(&self) -> &'static str {
        self.root_id
    }

    pub(crate) fn configure(
        &self,
        bytes: &[u8],
        plugin: &Plugin,
    ) -> Result<Rc<dyn AnyFilter>, ConfigError> {
        (self.configure)(self.root_id, bytes, plugin)
    }
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
            let known: Vec<String> = registry
                .iter()
                .map(|registration| format!("`{}`", registration.root_id))
                .collect();
            format!(
                "no filter has the root id {root_id:?}; this module has {}",
                known.join(", ")
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Next, Request, Response};

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

    const ONE: &[Registration] = &[register::<Nothing>("a")];
    const TWO: &[Registration] = &[register::<Nothing>("a"), register::<Nothing>("b")];

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

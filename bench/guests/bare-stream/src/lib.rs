//! A look at each piece of a body, written against the bare crate as its examples are.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Stream(0)));
}}

struct Stream(usize);

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_body(&mut self, size: usize, _: bool) -> Action {
        self.0 += self
            .get_http_request_body(0, size)
            .map_or(0, |piece| piece.len());
        Action::Continue
    }
}

//! A call-out before the request goes on, written against the bare crate as its examples are.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Call));
}}

struct Call;

impl Context for Call {
    fn on_http_call_response(&mut self, _: u32, _: usize, _: usize, _: usize) {
        if self.get_http_call_response_header(":status").as_deref() != Some("200") {
            self.send_http_response(403, vec![], None);
            return;
        }
        self.add_http_request_header("x-bench", "1");
        self.resume_http_request();
    }
}

impl HttpContext for Call {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let headers = vec![
            (":method", "GET"),
            (":path", "/check"),
            (":authority", "callee"),
        ];
        let timeout = Duration::from_secs(5);
        match self.dispatch_http_call("callee", headers, None, vec![], timeout) {
            Ok(_) => Action::Pause,
            Err(_) => Action::Continue,
        }
    }
}

//! Where Envoy enters a guest that is in a host call.

use wasmtime::AsContextMut;

use crate::call::{Answer, Call};
use crate::calls::CallState;
use crate::headers::{Headers, Kind};
use crate::lints::LintKind;
use crate::timeline::Event;
use crate::vm::Phase;

impl Call<'_> {
    /// A stream to a cluster without an endpoint, or with headers that the codec refuses: Envoy calls back with empty initial metadata and
    /// the trailing metadata of its own reply, in the middle of `proxy_grpc_stream`.
    pub(super) fn tell_at_once(&mut self, token: u32, message: &str) -> Answer {
        let what = format!("`proxy_grpc_stream` called back for token {token} before it returned");
        self.lint(LintKind::GrpcStreamReentered, what);
        let mut trailers = Headers::new(Kind::Trailers);
        for (name, value) in [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", "14"),
            ("grpc-message", message),
        ] {
            trailers.add(name.as_bytes(), value.as_bytes());
        }
        let none = Headers::new(Kind::Response);
        self.enter(
            "proxy_on_grpc_receive_initial_metadata",
            token,
            none,
            |call| &mut call.grpc_initial_metadata,
        )?;
        let name = "proxy_on_grpc_receive_trailing_metadata";
        self.enter(name, token, trailers, |call| {
            &mut call.grpc_trailing_metadata
        })
    }

    fn enter(
        &mut self,
        name: &'static str,
        token: u32,
        metadata: Headers,
        map: fn(&mut CallState) -> &mut Option<Headers>,
    ) -> Answer {
        let state = self.state();
        let plugin = &state.world.plugins[state.first_plugin];
        if state.failed_inside || !plugin.capabilities.allow(name) {
            return Ok(());
        }
        let Some(export) = self.caller.get_export(name).and_then(|it| it.into_func()) else {
            return Ok(());
        };
        let function = export.typed::<(u32, u32, u32), ()>(&self.caller)?;
        let count = u32::try_from(metadata.len()).unwrap_or(u32::MAX);
        let state = self.state();
        let Some(context) = state.context() else {
            return Ok(());
        };
        let (root, plugin) = (context.root, context.plugin);
        let outer = (state.current, state.effective, state.phase);
        (state.current, state.effective, state.phase) = (root, root, Phase::CallOut);
        if let Some(root) = state.roots.get_mut(&root) {
            *map(&mut root.call) = Some(metadata);
        }
        let event = Event::Callback {
            plugin: state.world.plugins[plugin].name.clone(),
            name,
            arguments: [root, token, count].into(),
        };
        let slot = state.slot;
        state.world.timeline(slot).push(event);
        state.count_crossing();
        let result = function.call(self.caller.as_context_mut(), (root, token, count));
        if let Err(error) = result {
            self.outlive(name, error)?;
        }
        let state = self.state();
        if let Some(root) = state.roots.get_mut(&root) {
            *map(&mut root.call) = None;
        }
        (state.current, state.effective, state.phase) = outer;
        self.settle_inside(name)
    }
}

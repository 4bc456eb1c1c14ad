//! How a root context is told of a gRPC call.

use crate::calls::{CallId, CallKind};
use crate::headers::Headers;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::vm::{Deferred, Phase};

#[derive(Clone, Copy)]
pub(super) enum Metadata {
    Initial,
    Trailing,
}

impl Proxy {
    pub(super) fn tell_metadata(
        &mut self,
        vm: usize,
        token: u32,
        id: CallId,
        metadata: Headers,
        which: Metadata,
    ) -> Moved {
        let failed = self.vms[vm].failed;
        let off = u32::from(self.world.mutated(Rule::GrpcMetadataIsMiscounted));
        let all_hear = self.world.mutated(Rule::GrpcCallsHearOfMetadata);
        let state = self.vms[vm].state();
        let heard = |kind| kind == CallKind::GrpcStream || all_hear;
        let Some(call) = state
            .call_mut(token, id)
            .filter(|call| heard(call.kind) && !failed)
        else {
            return Ok(());
        };
        let (root, maker) = (call.root, call.maker);
        let Some(context) = state.roots.get_mut(&root) else {
            return Ok(());
        };
        let count = u32::try_from(metadata.len())
            .unwrap_or(u32::MAX)
            .saturating_add(off);
        let slot = self.world.account_of(maker);
        let at = (Phase::CallOut, root, slot);
        let arguments = (root, token, count);
        match which {
            Metadata::Initial => {
                context.call.grpc_initial_metadata = Some(metadata);
                self.call(
                    vm,
                    at,
                    "proxy_on_grpc_receive_initial_metadata",
                    |all| &all.grpc_initial_metadata,
                    arguments,
                )?;
            }
            Metadata::Trailing => {
                context.call.grpc_trailing_metadata = Some(metadata);
                self.call(
                    vm,
                    at,
                    "proxy_on_grpc_receive_trailing_metadata",
                    |all| &all.grpc_trailing_metadata,
                    arguments,
                )?;
            }
        }
        self.run_deferred(vm)?;
        if let Some(root) = self.vms[vm].state().roots.get_mut(&root) {
            root.call.forget();
        }
        Ok(())
    }

    pub(super) fn tell_message(
        &mut self,
        vm: usize,
        token: u32,
        id: CallId,
        message: Vec<u8>,
    ) -> Moved {
        let Some(call) = self.vms[vm].state().call_mut(token, id) else {
            return Ok(());
        };
        let (root, maker) = (call.root, call.maker);
        let slot = self.world.account_of(maker);
        self.tell_root_message(vm, (root, token, slot), message)
    }

    pub(super) fn tell_root_message(
        &mut self,
        vm: usize,
        (root, token, slot): (u32, u32, Option<usize>),
        message: Vec<u8>,
    ) -> Moved {
        let heard = !self.vms[vm].failed && self.vms[vm].callbacks.grpc_receive.is_some();
        let state = self.vms[vm].state();
        let Some(context) = state.roots.get_mut(&root).filter(|_| heard) else {
            return Ok(());
        };
        let off = u32::from(self.world.mutated(Rule::GrpcMessagesAreMiscounted));
        let size = u32::try_from(message.len())
            .unwrap_or(u32::MAX)
            .saturating_add(off);
        context.call.grpc_message = Some(message.into());
        state.deferred.push_back(Deferred::ForgetCall(root));
        self.call(
            vm,
            (Phase::CallOut, root, slot),
            "proxy_on_grpc_receive",
            |all| &all.grpc_receive,
            (root, token, size),
        )?;
        self.run_deferred(vm)
    }

    /// Tells a root that a call is closed. A guest that does not export the callback has no status
    /// of it either.
    pub(crate) fn tell_close(
        &mut self,
        vm: usize,
        (root, token, slot): (u32, u32, Option<usize>),
        code: u32,
        message: Vec<u8>,
    ) -> Moved {
        let heard = !self.vms[vm].failed && self.vms[vm].callbacks.grpc_close.is_some();
        let state = self.vms[vm].state();
        let Some(context) = state.roots.get_mut(&root).filter(|_| heard) else {
            return Ok(());
        };
        context.call.status = code;
        let silent = self.world.mutated(Rule::GrpcCloseHasNoMessage);
        context.call.message = if silent { Vec::new() } else { message };
        state.deferred.push_back(Deferred::ForgetCall(root));
        self.call(
            vm,
            (Phase::CallOut, root, slot),
            "proxy_on_grpc_close",
            |all| &all.grpc_close,
            (root, token, code),
        )?;
        self.run_deferred(vm)
    }
}

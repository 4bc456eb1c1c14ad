//! A version of a rollout as Envoy reads it.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::{
    AsyncDataSource, DataSource, TypedExtensionConfig, async_data_source, data_source,
};
use envoy_types::pb::envoy::extensions::filters::http::wasm::v3::Wasm;
use envoy_types::pb::envoy::extensions::wasm::v3::{
    EnvironmentVariables, FailurePolicy as Policy, PluginConfig, VmConfig, plugin_config,
};
use envoy_types::pb::google::protobuf::{Any, BoolValue, StringValue};
use prost::{Message, Name};

use crate::rollout::{FailurePolicy, GENERATION, Rollout};

/// The type of what is discovered.
pub const TYPE_URL: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";

/// The resource for this generation of a rollout.
///
/// The module is in it: Envoy takes a remote one for applied before it has fetched it. So is the
/// generation, as a variable of the module, because Envoy takes bytes that it had before for applied, even
/// if it had refused them.
#[must_use]
pub fn resource(rollout: &Rollout, generation: u64) -> Any {
    let mut environment: HashMap<_, _> = rollout.environment.clone().into_iter().collect();
    environment.insert(GENERATION.to_owned(), generation.to_string());
    let code = DataSource {
        specifier: Some(data_source::Specifier::InlineBytes(
            rollout.module.bytes().to_vec(),
        )),
        ..DataSource::default()
    };
    let vm = VmConfig {
        vm_id: rollout.vm_id(),
        runtime: "envoy.wasm.runtime.v8".to_owned(),
        code: Some(AsyncDataSource {
            specifier: Some(async_data_source::Specifier::Local(code)),
        }),
        environment_variables: Some(EnvironmentVariables {
            host_env_keys: Vec::new(),
            key_values: environment,
        }),
        ..VmConfig::default()
    };
    let config = PluginConfig {
        name: rollout.plugin.clone(),
        root_id: rollout.root_id.clone(),
        configuration: Some(packed(&StringValue {
            value: rollout.configuration.clone(),
        })),
        failure_policy: policy(rollout.failure_policy).into(),
        allow_on_headers_stop_iteration: Some(BoolValue {
            value: rollout.allow_on_headers_stop_iteration,
        }),
        vm: Some(plugin_config::Vm::VmConfig(vm)),
        ..PluginConfig::default()
    };
    packed(&TypedExtensionConfig {
        name: rollout.plugin.clone(),
        typed_config: Some(packed(&Wasm {
            config: Some(config),
        })),
    })
}

fn packed<M: Message + Name>(message: &M) -> Any {
    Any {
        type_url: M::type_url(),
        value: message.encode_to_vec(),
    }
}

fn policy(policy: FailurePolicy) -> Policy {
    match policy {
        FailurePolicy::FailClosed => Policy::FailClosed,
        FailurePolicy::FailOpen => Policy::FailOpen,
        FailurePolicy::FailReload => Policy::FailReload,
    }
}

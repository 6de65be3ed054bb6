//! A compiled component, and what each of its instances is given.

use std::sync::Arc;

use wasmtime::component::{Component, InstancePre, Linker};

use crate::binding::Binding;
use crate::contract::exported;
use crate::engine::Engine;
use crate::host::Node;
use crate::imports;
use crate::interface::Interface;
use crate::settings::Settings;
use crate::state::{Resources, State};
use crate::{Error, Failure};

/// Bytes of a component.
pub(crate) const COMPONENT_MAX: u64 = 64 << 20;

macro_rules! interfaces {
    ($($field:ident: $interface:ident,)*) => {
        /// Where a component's exports are.
        #[derive(Clone)]
        pub(crate) struct Indices {
            pub(crate) lifecycle: exported::lifecycle::GuestIndices,
            $(pub(crate) $field: Option<exported::$field::GuestIndices>,)*
        }

        /// The exports of one instance.
        pub(crate) struct Exports {
            pub(crate) lifecycle: exported::lifecycle::Guest,
            $(pub(crate) $field: Option<exported::$field::Guest>,)*
        }

        impl Indices {
            fn of(pre: &InstancePre<State>, hooks: &[Interface]) -> wasmtime::Result<Self> {
                Ok(Self {
                    lifecycle: exported::lifecycle::GuestIndices::new(pre)?,
                    $($field: if exports(pre.component(), Interface::$interface)
                        && (hooks.is_empty() || hooks.contains(&Interface::$interface))
                    {
                        Some(exported::$field::GuestIndices::new(pre)?)
                    } else {
                        None
                    },)*
                })
            }

            pub(crate) fn load(
                &self,
                store: &mut wasmtime::Store<State>,
                instance: &wasmtime::component::Instance,
            ) -> wasmtime::Result<Exports> {
                Ok(Exports {
                    lifecycle: self.lifecycle.load(&mut *store, instance)?,
                    $($field: match &self.$field {
                        Some(indices) => Some(indices.load(&mut *store, instance)?),
                        None => None,
                    },)*
                })
            }

            /// The hooks that will be called.
            pub(crate) fn hooks(&self) -> Vec<Interface> {
                let mut hooks = Vec::new();
                $(if self.$field.is_some() {
                    hooks.push(Interface::$interface);
                })*
                hooks
            }
        }
    };
}

interfaces! {
    connection: Connection,
    authenticate: Authenticate,
    authorize: Authorize,
    before_send: BeforeSend,
    after_append: AfterAppend,
    pull: Pull,
    before_deliver: BeforeDeliver,
    ack: Ack,
    admin_command: AdminCommand,
    broker_registration: BrokerRegistration,
    route_query: RouteQuery,
    enrich_span: EnrichSpan,
    audit_sink: AuditSink,
}

fn exports(component: &Component, interface: Interface) -> bool {
    let name = format!("blockhouse:plugin/{interface}@0.1.0");
    component.get_export_index(None, &name).is_some()
}

/// What an instance is made from.
pub(crate) struct Blueprint {
    pub(crate) engine: Arc<Engine>,
    pub(crate) pre: InstancePre<State>,
    pub(crate) indices: Indices,
    pub(crate) shared: Arc<Resources>,
    pub(crate) node: Arc<Node>,
    pub(crate) settings: Settings,
    /// Bytes of an instance's memory.
    pub(crate) memory: usize,
}

impl Blueprint {
    /// Makes code of `bytes` and links what `binding` grants.
    pub(crate) fn new(
        engine: &Arc<Engine>,
        binding: &Binding,
        bytes: &[u8],
        shared: Arc<Resources>,
        node: &Arc<Node>,
    ) -> Result<Self, Error> {
        let name = &binding.name;
        let wrong = |problem: String| Error::Component { name: name.clone(), problem };
        // The compiler would take text as well; compiled code is never taken from here.
        if !bytes.starts_with(b"\0asm") {
            return Err(wrong("the file is not WebAssembly".to_owned()));
        }
        if bytes.get(4..8) == Some(&[1, 0, 0, 0]) {
            let advice =
                "it is a core module; make a component of it with `blockhouse plugin build`";
            return Err(wrong(advice.to_owned()));
        }
        let component = engine.code.component(&engine.wasm, binding, bytes).map_err(wrong)?;
        let mut linker = Linker::new(&engine.wasm);
        imports::link(&mut linker, &binding.grants)
            .and_then(|()| imports::refuse_wasi(&mut linker, &engine.wasm, &component))
            .map_err(|e| wrong(format!("the host cannot be linked: {e:#}")))?;
        let pre = linker.instantiate_pre(&component).map_err(|e| {
            wrong(format!(
                "it imports what the binding does not grant, or what is not there: {e:#}"
            ))
        })?;
        for hook in &binding.hooks {
            if !exports(&component, *hook) {
                return Err(wrong(format!("the binding names {hook}, which it does not export")));
            }
        }
        let indices = Indices::of(&pre, &binding.hooks)
            .map_err(|e| wrong(format!("its exports are not those of the contract: {e:#}")))?;
        Ok(Self {
            engine: Arc::clone(engine),
            pre,
            indices,
            shared,
            node: Arc::clone(node),
            settings: Settings::new(&binding.config_json()),
            memory: (binding.memory_mib as usize) << 20,
        })
    }

    /// The same with other settings, for instances with other resources. Compiles nothing.
    pub(crate) fn with(&self, config: &str, shared: Arc<Resources>) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            pre: self.pre.clone(),
            indices: self.indices.clone(),
            shared,
            node: Arc::clone(&self.node),
            settings: Settings::new(config),
            memory: self.memory,
        }
    }

    /// The error of a first instance that did not come up.
    pub(crate) fn start_error(&self, failure: Failure) -> Error {
        Error::Start { name: self.shared.name.to_string(), failure }
    }
}

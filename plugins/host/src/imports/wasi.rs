//! WASI for components whose toolchain imports it whether their code needs it or not. Each
//! function is there, and a call of it is a trap that names it: what a plugin can reach is what it
//! was granted, and a runtime must have been told to do without the rest (`plugin build` does).

use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker, ResourceType};

/// What the names of its packages begin with.
const NAMESPACE: &str = "wasi:";

/// Nothing makes one: no function of WASI returns.
struct Never;

/// Links a trap to all that `component` imports of WASI.
pub(crate) fn refuse<T: 'static>(
    linker: &mut Linker<T>,
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<()> {
    for (name, item) in component.component_type().imports(engine) {
        match item.ty {
            ComponentItem::ComponentInstance(instance) if name.starts_with(NAMESPACE) => {
                refuse_all(linker, engine, name, &instance)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn refuse_all<T: 'static>(
    linker: &mut Linker<T>,
    engine: &Engine,
    interface: &str,
    instance: &ComponentInstance,
) -> wasmtime::Result<()> {
    let mut linked = linker.instance(interface)?;
    for (name, item) in instance.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => {
                let told = format!("a call of {interface}#{name}: plugins have no WASI");
                linked.func_new(name, move |_, _, _, _| Err(wasmtime::Error::msg(told.clone())))?;
            }
            ComponentItem::Resource(_) => {
                linked.resource(name, ResourceType::host::<Never>(), |_, _| Ok(()))?;
            }
            // Types have nothing to call.
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wasmtime::Store;

    use super::*;

    #[test]
    fn what_is_imported_of_wasi_is_there_and_traps_by_its_name() {
        let engine = Engine::new(&crate::engine::config()).unwrap();
        let component = |import: &str| {
            let text = format!(
                r#"(component
                    (import "{import}" (instance $clock
                        (export "stream" (type (sub resource)))
                        (export "now" (func (result u64)))))
                    (core func $now (canon lower (func $clock "now")))
                    (core module $m
                        (import "" "now" (func $now (result i64)))
                        (func (export "call") (drop (call $now))))
                    (core instance $i (instantiate $m
                        (with "" (instance (export "now" (func $now))))))
                    (func (export "call") (canon lift (core func $i "call"))))"#
            );
            Component::from_binary(&engine, &wat::parse_str(text).unwrap()).unwrap()
        };
        let mut linker = Linker::<()>::new(&engine);
        let wasi = component("wasi:clocks/monotonic-clock@0.2.0");
        assert!(linker.instantiate_pre(&wasi).is_err(), "nothing is linked yet");
        refuse(&mut linker, &engine, &wasi).unwrap();
        let pre = linker.instantiate_pre(&wasi).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = pre.instantiate(&mut store).unwrap();
        let call = instance.get_typed_func::<(), ()>(&mut store, "call").unwrap();
        let told = format!("{:#}", call.call(&mut store, ()).unwrap_err());
        assert!(told.contains("wasi:clocks/monotonic-clock@0.2.0#now"), "{told}");

        let other = component("other:clocks/monotonic-clock@0.2.0");
        refuse(&mut linker, &engine, &other).unwrap();
        assert!(linker.instantiate_pre(&other).is_err(), "only WASI is");
    }
}

//! From the contract's functions to the traits, for one instance per component.

use crate::bindings::imports::blockhouse::plugin::message_bodies::LentBodies;
use crate::bindings::{
    ack, admin_command, after_append, audit_sink, authenticate, authorize, before_deliver,
    before_send, broker_registration, connection, enrich_span, lifecycle, pull, route_query,
};
use crate::message::Lender;
use crate::{
    Access, Appended, Changes, Command, ConnectionInfo, Context, Credentials, Deliveries, Delivery,
    Drafts, Event, Identity, Node, Outbound, Plugin, ProcessEvent, Progress, PullRequest,
    Registration, RouteEntry, Span, Spans, Verdict, Wants,
};

/// Exports a plugin: `export!(Type: before_send, authorize)`. Each hook is named as its interface
/// in the contract, with `_` for `-`, and needs its trait; `lifecycle` is exported always.
///
/// In native builds nothing is exported, and the traits are checked all the same.
#[macro_export]
macro_rules! export {
    ($plugin:ident $(: $($hook:ident),* $(,)?)?) => {
        const _: () = {
            struct Exported;

            ::std::thread_local! {
                static INSTANCE: ::std::cell::RefCell<
                    ::std::option::Option<$crate::__export::State<$plugin>>,
                > = const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }

            impl $crate::__export::Instance for Exported {
                type Plugin = $plugin;

                fn with<R>(
                    f: impl FnOnce(
                        &mut ::std::option::Option<$crate::__export::State<$plugin>>,
                    ) -> R,
                ) -> R {
                    INSTANCE.with_borrow_mut(f)
                }
            }

            $crate::__export!(Exported lifecycle $($($hook)*)?);
        };
    };
}

/// A part of [`export!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($exported:ident $($hook:ident)*) => {
        $(
            #[cfg(target_family = "wasm")]
            $crate::__export::$hook::export!($exported with_types_in $crate::__export::$hook);

            #[cfg(not(target_family = "wasm"))]
            const _: () = {
                const fn implements<T: $crate::__export::$hook::Guest>() {}
                implements::<$exported>();
            };
        )*
    };
}

/// A plugin that was made, and what it was made for.
pub struct State<P> {
    plugin: P,
    node: Node,
}

/// Where the component's one instance lives.
pub trait Instance {
    /// The plugin.
    type Plugin: Plugin;

    /// Runs `f` on the instance.
    fn with<R>(f: impl FnOnce(&mut Option<State<Self::Plugin>>) -> R) -> R;
}

/// Runs `f` on the plugin. The contract has `init` come first: a host that breaks it meets a trap.
fn call<I: Instance, R>(f: impl FnOnce(&mut I::Plugin) -> R) -> R {
    I::with(|state| {
        #[expect(clippy::expect_used, reason = "a host that breaks the contract meets a trap")]
        let state = state.as_mut().expect("init was called and succeeded");
        f(&mut state.plugin)
    })
}

fn lender(bodies: Option<&LentBodies>) -> Option<&dyn Lender> {
    bodies.map(|bodies| -> &dyn Lender { bodies })
}

fn parse<P: Plugin>(config: &str) -> Result<P::Config, String> {
    serde_json::from_str(config).map_err(|e| format!("config: {e}"))
}

/// With `panic = "abort"` a panic becomes a trap without words; they go to the log first.
#[cfg(all(target_family = "wasm", feature = "panic-log"))]
fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| crate::log::error(&panic.to_string())));
}

#[cfg(not(all(target_family = "wasm", feature = "panic-log")))]
fn tell_panics() {}

impl<I: Instance> lifecycle::Guest for I {
    fn init(node: Node, config: String) -> Result<Wants, String> {
        tell_panics();
        let plugin = I::Plugin::init(&node, parse::<I::Plugin>(&config)?)?;
        let wants = plugin.wants();
        I::with(|state| *state = Some(State { plugin, node }));
        Ok(wants)
    }

    fn health() -> Result<(), String> {
        call::<I, _>(Plugin::health)
    }

    fn config_changed(config: String) -> Result<(), String> {
        let config = parse::<I::Plugin>(&config)?;
        I::with(|state| match state {
            Some(state) => state.plugin.config_changed(&state.node, config),
            None => Err("the instance was not made".to_owned()),
        })
    }

    fn process_changed(event: ProcessEvent) {
        call::<I, _>(|plugin| plugin.process_changed(event));
    }

    fn drain() {
        call::<I, _>(Plugin::drain);
    }
}

impl<I: Instance> connection::Guest for I
where
    I::Plugin: crate::Connection,
{
    fn opened(connection: ConnectionInfo) -> Verdict {
        call::<I, _>(|plugin| crate::Connection::opened(plugin, &connection))
    }

    fn closed(connection: ConnectionInfo) {
        call::<I, _>(|plugin| crate::Connection::closed(plugin, &connection));
    }
}

impl<I: Instance> authenticate::Guest for I
where
    I::Plugin: crate::Authenticate,
{
    fn authenticate(
        cx: Context,
        credentials: authenticate::Credentials,
        body: Option<&LentBodies>,
    ) -> Identity {
        let credentials = Credentials { raw: &credentials, body: lender(body) };
        call::<I, _>(|plugin| crate::Authenticate::authenticate(plugin, &cx, &credentials))
    }
}

impl<I: Instance> authorize::Guest for I
where
    I::Plugin: crate::Authorize,
{
    fn authorize(cx: Context, accesses: Vec<Access>) -> Verdict {
        call::<I, _>(|plugin| crate::Authorize::authorize(plugin, &cx, &accesses))
    }
}

impl<I: Instance> before_send::Guest for I
where
    I::Plugin: crate::BeforeSend,
{
    fn before_send(
        cx: Context,
        messages: before_send::Drafts,
        bodies: Option<&LentBodies>,
    ) -> Vec<before_send::Change> {
        let (drafts, mut changes) = (Drafts::new(&messages, lender(bodies)), Changes::default());
        call::<I, _>(|plugin| {
            crate::BeforeSend::before_send(plugin, &cx, &drafts, &mut changes);
        });
        changes.into_raw()
    }
}

impl<I: Instance> after_append::Guest for I
where
    I::Plugin: crate::AfterAppend,
{
    fn after_append(cx: Context, messages: after_append::Appended) {
        let messages = Appended::new(&messages);
        call::<I, _>(|plugin| crate::AfterAppend::after_append(plugin, &cx, &messages));
    }
}

impl<I: Instance> pull::Guest for I
where
    I::Plugin: crate::Pull,
{
    fn pull(cx: Context, request: PullRequest) -> Verdict {
        call::<I, _>(|plugin| crate::Pull::pull(plugin, &cx, &request))
    }
}

impl<I: Instance> before_deliver::Guest for I
where
    I::Plugin: crate::BeforeDeliver,
{
    fn before_deliver(
        cx: Context,
        delivery: Delivery,
        messages: before_deliver::Outbound,
        bodies: Option<&LentBodies>,
    ) -> before_deliver::Answer {
        let outbound = Outbound::new(&messages, lender(bodies));
        let mut deliveries = Deliveries::all(outbound.len());
        call::<I, _>(|plugin| {
            let answer = &mut deliveries;
            crate::BeforeDeliver::before_deliver(plugin, &cx, &delivery, &outbound, answer);
        });
        deliveries.into_raw()
    }
}

impl<I: Instance> ack::Guest for I
where
    I::Plugin: crate::Ack,
{
    fn ack(cx: Context, progress: Progress) {
        call::<I, _>(|plugin| crate::Ack::ack(plugin, &cx, &progress));
    }
}

impl<I: Instance> admin_command::Guest for I
where
    I::Plugin: crate::AdminCommand,
{
    fn admin_command(cx: Context, command: Command) -> Verdict {
        call::<I, _>(|plugin| crate::AdminCommand::admin_command(plugin, &cx, &command))
    }
}

impl<I: Instance> broker_registration::Guest for I
where
    I::Plugin: crate::BrokerRegistration,
{
    fn broker_registration(cx: Context, report: Registration) -> Verdict {
        call::<I, _>(|plugin| crate::BrokerRegistration::broker_registration(plugin, &cx, &report))
    }
}

impl<I: Instance> route_query::Guest for I
where
    I::Plugin: crate::RouteQuery,
{
    fn route_query(cx: Context, topic: String, route: Vec<RouteEntry>) -> route_query::Answer {
        call::<I, _>(|plugin| crate::RouteQuery::route_query(plugin, &cx, &topic, &route))
    }
}

impl<I: Instance> enrich_span::Guest for I
where
    I::Plugin: crate::EnrichSpan,
{
    fn enrich_span(spans: Vec<Span>, bodies: Option<&LentBodies>) -> Vec<enrich_span::Addition> {
        let mut spans = Spans::new(&spans, lender(bodies));
        call::<I, _>(|plugin| crate::EnrichSpan::enrich_span(plugin, &mut spans));
        spans.into_raw()
    }
}

impl<I: Instance> audit_sink::Guest for I
where
    I::Plugin: crate::AuditSink,
{
    fn audit(events: Vec<Event>) -> Result<(), String> {
        call::<I, _>(|plugin| crate::AuditSink::audit(plugin, &events))
    }
}

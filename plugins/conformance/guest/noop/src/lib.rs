//! Keeps everything. Benchmarks bind it to see what a plugin costs that does nothing, with each way
//! of seeing bodies.

use blockhouse_plugin::{
    BeforeDeliver, BeforeSend, BodyMode, Changes, Context, Deliveries, Delivery, Drafts, Node,
    Outbound, Plugin, Wants,
};

/// How the hooks see bodies.
#[derive(Clone, Copy, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Bodies {
    #[default]
    None,
    Flat,
    Lent,
}

/// The binding's configuration.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    bodies: Bodies,
    batch_max: u32,
    /// Looks at the first byte of each body, so that lent ones are asked for.
    touch: bool,
}

/// Keeps everything.
pub struct Noop(Config);

impl Plugin for Noop {
    type Config = Config;

    fn init(_node: &Node, config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }

    fn wants(&self) -> Wants {
        let bodies = match self.0.bodies {
            Bodies::None => BodyMode::None,
            Bodies::Flat => BodyMode::Flat,
            Bodies::Lent => BodyMode::Lent,
        };
        Wants {
            before_send_bodies: bodies,
            before_deliver_bodies: bodies,
            batch_max: self.0.batch_max,
            ..Wants::default()
        }
    }
}

impl BeforeSend for Noop {
    fn before_send(&mut self, _cx: &Context, drafts: &Drafts<'_>, changes: &mut Changes) {
        if self.0.touch {
            for draft in drafts.iter().filter(|draft| draft.body_part(0, 1)[..] == [0xff]) {
                changes.drop_message(draft.index());
            }
        }
    }
}

impl BeforeDeliver for Noop {
    fn before_deliver(
        &mut self,
        _cx: &Context,
        _delivery: &Delivery,
        messages: &Outbound<'_>,
        deliveries: &mut Deliveries,
    ) {
        if self.0.touch {
            for message in messages.iter().filter(|message| message.body_part(0, 1)[..] == [0xff]) {
                deliveries.hide(message.index());
            }
        }
    }
}

blockhouse_plugin::export!(Noop: before_send, before_deliver);

//! What `wit-bindgen` makes of the contract: one module with all imports, and one for each exported
//! interface, so that a plugin exports (and its component names) only what it implements.
#![allow(unsafe_code, reason = "generated: what crosses the border of the guest")]
#![allow(
    unused_qualifications,
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::mem_forget,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated, and read by nobody"
)]

pub mod imports {
    wit_bindgen::generate!({
        inline: "package blockhouse:guest@0.1.0;
            world imports {
                import blockhouse:plugin/types@0.1.0;
                import blockhouse:plugin/log@0.1.0;
                import blockhouse:plugin/metrics@0.1.0;
                import blockhouse:plugin/clock@0.1.0;
                import blockhouse:plugin/kv@0.1.0;
                import blockhouse:plugin/http@0.1.0;
                import blockhouse:plugin/publish@0.1.0;
                import blockhouse:plugin/message-bodies@0.1.0;
            }",
        path: ["../../plugins/wit/0.1.0"],
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq],
        additional_derives_ignore: ["lent-bodies"],
    });
}

/// One module for one exported interface: types, the trait `Guest`, and the macro `export`.
macro_rules! interface {
    ($module:ident, $world:literal, [$($shared:literal => $place:ident),*]) => {
        pub mod $module {
            wit_bindgen::generate!({
                inline: $world,
                path: ["../../plugins/wit/0.1.0"],
                with: {
                    $($shared: crate::bindings::imports::blockhouse::plugin::$place,)*
                },
                generate_all,
                pub_export_macro: true,
                additional_derives: [PartialEq],
            });
            pub use exports::blockhouse::plugin::$module::*;
        }
    };
}

interface!(
    lifecycle,
    "package blockhouse:guest@0.1.0; world exports-lifecycle { export blockhouse:plugin/lifecycle@0.1.0; }",
    []
);
interface!(
    connection,
    "package blockhouse:guest@0.1.0; world exports-connection { export blockhouse:plugin/connection@0.1.0; }",
    ["blockhouse:plugin/types@0.1.0" => types]
);
interface!(
    authenticate,
    "package blockhouse:guest@0.1.0; world exports-authenticate { export blockhouse:plugin/authenticate@0.1.0; }",
    ["blockhouse:plugin/types@0.1.0" => types, "blockhouse:plugin/message-bodies@0.1.0" => message_bodies]
);
interface!(
    authorize,
    "package blockhouse:guest@0.1.0; world exports-authorize { export blockhouse:plugin/authorize@0.1.0; }",
    ["blockhouse:plugin/types@0.1.0" => types]
);
interface!(
    before_send,
    "package blockhouse:guest@0.1.0; world exports-before-send { export blockhouse:plugin/before-send@0.1.0; }",
    ["blockhouse:plugin/types@0.1.0" => types, "blockhouse:plugin/message-bodies@0.1.0" => message_bodies]
);
interface!(
    after_append,
    "package blockhouse:guest@0.1.0; world exports-after-append { export blockhouse:plugin/after-append@0.1.0; }",
    ["blockhouse:plugin/types@0.1.0" => types]
);
interface!(
    pull,
    "package blockhouse:guest@0.1.0; world exports-pull { export blockhouse:plugin/pull@0.1.0; }",
    ["blockhouse:plugin/types@0.1.0" => types]
);
interface!(
    before_deliver,
    "package blockhouse:guest@0.1.0; world exports-before-deliver { export blockhouse:plugin/before-deliver@0.1.0; }",
    ["blockhouse:plugin/types@0.1.0" => types, "blockhouse:plugin/message-bodies@0.1.0" => message_bodies]
);
interface!(
    ack,
    "package blockhouse:guest@0.1.0; world exports-ack { export blockhouse:plugin/ack@0.1.0; }",
    ["blockhouse:plugin/types@0.1.0" => types]
);
interface!(
    admin_command,
    "package blockhouse:guest@0.1.0; world exports-admin-command { export blockhouse:plugin/admin-command@0.1.0; }",
    ["blockhouse:plugin/types@0.1.0" => types]
);
interface!(
    broker_registration,
    "package blockhouse:guest@0.1.0; world exports-broker-registration { export blockhouse:plugin/broker-registration@0.1.0; }",
    ["blockhouse:plugin/types@0.1.0" => types]
);
interface!(
    route_query,
    "package blockhouse:guest@0.1.0; world exports-route-query { export blockhouse:plugin/route-query@0.1.0; }",
    ["blockhouse:plugin/types@0.1.0" => types]
);
interface!(
    enrich_span,
    "package blockhouse:guest@0.1.0; world exports-enrich-span { export blockhouse:plugin/enrich-span@0.1.0; }",
    ["blockhouse:plugin/types@0.1.0" => types, "blockhouse:plugin/message-bodies@0.1.0" => message_bodies]
);
interface!(
    audit_sink,
    "package blockhouse:guest@0.1.0; world exports-audit-sink { export blockhouse:plugin/audit-sink@0.1.0; }",
    ["blockhouse:plugin/types@0.1.0" => types]
);

//! Who administers users.
use std::sync::Arc;

use blockhouse_hook::{
    Hook, HookChain, Hooks, Point, Points, User, UserChange, UserError, UserKind, Users,
};
use blockhouse_model::Principal;

/// Stands at all points and refuses nothing, as an audit log, a plugin and policies do; whether they are policies.
struct Standing(bool);

impl Hook for Standing {
    fn name(&self) -> &'static str {
        "standing"
    }

    fn points(&self) -> Points {
        Points::all()
    }

    fn decides_who_may(&self) -> bool {
        self.0
    }
}

/// `root` is a Super user, all others are Normal.
struct Table;

impl Users for Table {
    fn find(&self, name: &str) -> Option<User> {
        let kind = if name == "root" { UserKind::Super } else { UserKind::Normal };
        Some(User { name: name.into(), kind, enabled: true })
    }

    fn list(&self, _: &str) -> Vec<User> {
        Vec::new()
    }

    fn create(&self, _: &Principal, _: &UserChange<'_>) -> Result<(), UserError> {
        Ok(())
    }

    fn update(&self, _: &Principal, _: &UserChange<'_>) -> Result<(), UserError> {
        Ok(())
    }

    fn may_delete(&self, _: &Principal, _: &str) -> Result<(), UserError> {
        Ok(())
    }

    fn delete(&self, _: &Principal, _: &str) -> Result<(), UserError> {
        Ok(())
    }
}

fn may(name: &str, chain: &HookChain) -> bool {
    Table.administered(&Principal::User(name.into()), chain).is_ok()
}

#[test]
fn who_only_refuses_lets_nobody_but_super_users_administer_and_policies_decide() {
    let hook = |decides| Arc::new(Standing(decides)) as Arc<dyn Hook>;
    for (hooks, normal) in [
        (vec![], false),
        (vec![hook(false)], false),
        (vec![hook(true)], true),
        (vec![hook(false), hook(true), hook(false)], true),
    ] {
        let chain = HookChain::new(&hooks);
        assert_eq!(chain.has(Point::Authorize), !hooks.is_empty());
        assert!(may("root", &chain), "{}", hooks.len());
        assert_eq!(may("alice", &chain), normal, "{}", hooks.len());
        // As much once it is in force.
        let in_force = Hooks::none();
        in_force.swap(chain);
        assert_eq!(may("alice", &in_force.load()), normal, "{}", hooks.len());
    }
}

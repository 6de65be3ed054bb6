//! What is going to be done for a binding: everything that can be checked is checked here.

use std::sync::Arc;

use blockhouse_package::{Component, Former, Hashed, Manifest, Package, Signatures};

use crate::Error;
use crate::binding::{Binding, Config};
use crate::deploy::{Check, Deploy, Reported, Terms};
use crate::load::Member;
use crate::plugin::Fit;
use crate::record::{Kept, Record};
use crate::set::Set;
use crate::trial::Trials;
use crate::trust::{self, Judge};

/// What is going to be done for one binding.
pub(crate) struct Plan {
    pub(crate) step: Step,
    pub(crate) binding: Binding,
    pub(crate) version: Option<String>,
    pub(crate) former: Option<Kept>,
    /// To be written beside the component.
    pub(crate) signatures: Option<Signatures>,
}

pub(crate) enum Step {
    Nothing,
    /// Only `config` differs: it is told to the instances.
    Settings(Arc<Member>),
    Put(Arc<Member>),
}

impl Plan {
    pub(crate) fn reported(&self) -> Reported {
        let outcome = match (&self.step, &self.former) {
            (Step::Nothing, _) => "unchanged",
            (Step::Settings(_), _) => "reconfigured",
            (Step::Put(_), None) => "added",
            (Step::Put(_), Some(_)) => "replaced",
        };
        Reported {
            name: self.binding.name.clone(),
            digest: self.binding.digest.clone(),
            version: self.version.clone(),
            outcome,
            before: self.former.as_ref().map(|kept| kept.binding.digest.clone()),
        }
    }

    /// It is not put in force after all.
    pub(crate) fn abandon(&self) {
        if let Step::Put(member) = &self.step {
            member.plugin.let_go();
        }
    }
}

impl Set {
    /// Checks everything of a plugin that can be checked, and makes what is put in force.
    pub(crate) fn prepare(
        &self,
        judge: &Judge,
        deploy: Deploy,
        terms: Terms,
    ) -> Result<Plan, Error> {
        let Deploy { name, digest, binding, signatures, check } = deploy;
        let record = self.state.lock().record.clone();
        let former = record.binding(&self.config.binding, &name).cloned();
        let Some(mut binding) = binding.or_else(|| former.clone()) else {
            return Err(Error::Unbound { name });
        };
        (binding.name, binding.digest) = (name, digest);
        let alone = Config { binding: vec![binding.clone()], ..Config::default() };
        alone.validate().map_err(|e| wrong_binding(&binding, &e.to_string()))?;
        let component = self.loader.read(&binding)?;
        let (package, signatures) = self.package(&binding, component, signatures.as_ref())?;
        judge.vouch(&binding.name, &package)?;
        check_rejected(&record, &binding, former.as_ref(), terms.force)?;
        let before = former.as_ref().and_then(|former| self.manifest_of(former));
        check_former(before.as_ref(), &binding, package.manifest())?;
        let step = self.step(&record, &binding, &package)?;
        let plan = Plan {
            version: Some(package.manifest().version.to_string()),
            former: former.map(|binding| Kept {
                version: before.map(|manifest| manifest.version.to_string()),
                binding,
            }),
            step,
            binding,
            signatures,
        };
        if let Some(check) = check
            && let Err(error) = self.try_out(&plan, &check)
        {
            plan.abandon();
            return Err(error);
        }
        Ok(plan)
    }

    /// The plugin with all signatures that are known of it, and those that are to be written.
    fn package(
        &self,
        binding: &Binding,
        component: Hashed,
        more: Option<&Signatures>,
    ) -> Result<(Package, Option<Signatures>), Error> {
        let name = &binding.name;
        let refused = |source| Error::trust(name, source);
        let path = self.loader.path(&binding.digest);
        let beside = trust::beside(self.loader.parts.disk.as_ref(), name, &path)?;
        let mut all = beside.clone().unwrap_or_default();
        for signature in more.into_iter().flat_map(Signatures::iter) {
            all.add(signature.clone()).map_err(refused)?;
        }
        let is_new = all != beside.unwrap_or_default();
        let package = Package::of(component, None, all.clone()).map_err(refused)?;
        Ok((package, is_new.then_some(all)))
    }

    /// What the plugin of a binding says of itself.
    fn manifest_of(&self, binding: &Binding) -> Option<Manifest> {
        let member = self.state.lock().members.get(&binding.name).cloned();
        let known = member.filter(|member| member.binding.digest == binding.digest);
        known.and_then(|member| member.manifest.clone()).or_else(|| {
            let component = self.loader.read(binding).ok()?;
            Component::look(component.bytes()).ok()?.manifest
        })
    }

    fn step(&self, record: &Record, binding: &Binding, package: &Package) -> Result<Step, Error> {
        let in_force = self.state.lock().members.get(&binding.name).cloned();
        if let Some(member) = in_force
            && !record.is_disabled(&binding.name)
            && let Some(step) = settings(&member, binding)?
        {
            return Ok(step);
        }
        let lasting = self.state.lock().lasting(&binding.name);
        let plugin = self.loader.make(binding, package.bytes(), lasting)?;
        let manifest = Some(package.manifest().clone());
        Ok(Step::Put(Arc::new(Member::new(binding.clone(), manifest, plugin))))
    }

    /// What was in force before with this binding: from memory if it is still there.
    pub(crate) fn bring_back(&self, binding: &Binding) -> Result<Step, Error> {
        let (in_force, retired) = {
            let state = self.state.lock();
            (state.members.get(&binding.name).cloned(), state.retired(binding))
        };
        let judge = self.judge()?;
        if let Some(member) = retired {
            // The keys may be others by now, and a restart has to find it.
            let component = self.loader.read(binding)?;
            let path = self.loader.path(&binding.digest);
            let beside = trust::beside(self.loader.parts.disk.as_ref(), &binding.name, &path)?;
            judge.look(&binding.name, &component, beside)?;
            return Ok(Step::Put(member));
        }
        if let Some(member) = in_force
            && let Some(step) = settings(&member, binding)?
        {
            return Ok(step);
        }
        Ok(Step::Put(self.load(&judge, binding)?))
    }

    fn try_out(&self, plan: &Plan, check: &Check) -> Result<(), Error> {
        let member = match &plan.step {
            Step::Put(member) | Step::Settings(member) => Arc::clone(member),
            Step::Nothing => match self.state.lock().members.get(&plan.binding.name) {
                Some(member) => Arc::clone(member),
                None => return Ok(()),
            },
        };
        let (loader, binding) = (&self.loader, &plan.binding);
        let trials = Trials { loader, binding, plugin: &member.plugin };
        let name = binding.name.clone();
        check(&trials).map_err(|problem| Error::Case { name, problem })
    }
}

fn wrong_binding(binding: &Binding, problem: &str) -> Error {
    let problem = problem.replace("binding[0].", "");
    Error::Binding { name: binding.name.clone(), problem }
}

pub(crate) fn wrong_config(binding: &Binding, failure: crate::Failure) -> Error {
    Error::Config { name: binding.name.clone(), failure }
}

/// The step from what is in force to this binding, if it needs no new plugin.
fn settings(member: &Arc<Member>, binding: &Binding) -> Result<Option<Step>, Error> {
    if member.binding == *binding {
        return Ok(Some(Step::Nothing));
    }
    let same = Binding { config: member.binding.config.clone(), ..binding.clone() };
    if member.binding != same || member.plugin.loaded.is_none() {
        return Ok(None);
    }
    let fit = member.plugin.try_settings(&binding.config_json());
    match fit.map_err(|failure| wrong_config(binding, failure))? {
        Fit::Same => Ok(Some(Step::Settings(Arc::clone(member)))),
        Fit::Other => Ok(None),
    }
}

/// What is in force with another binding was not what was rejected.
fn check_rejected(
    record: &Record,
    binding: &Binding,
    former: Option<&Binding>,
    force: bool,
) -> Result<(), Error> {
    let entry = record.plugins.get(&binding.name);
    let found = entry.and_then(|entry| entry.rejected.iter().find(|r| r.digest == binding.digest));
    match found {
        Some(rejected) if !force && former.is_none_or(|f| f.digest != binding.digest) => {
            Err(Error::Rejected {
                name: binding.name.clone(),
                digest: rejected.digest.clone(),
                reason: rejected.reason.clone(),
            })
        }
        _ => Ok(()),
    }
}

/// No older version, no other plugin, no asks beyond what is granted.
fn check_former(
    before: Option<&Manifest>,
    binding: &Binding,
    next: &Manifest,
) -> Result<(), Error> {
    let Some(before) = before else { return Ok(()) };
    let former = Former {
        name: before.name.clone(),
        version: before.version.clone(),
        granted: trust::granted(&binding.grants),
    };
    former.admits(next, false).map_err(|source| Error::trust(&binding.name, source))
}

//! Changes of the plugins in force. Everything that may fail is done before anything changes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use blockhouse_disk::whole;
use blockhouse_hook::{Outcome, PluginEvent};
use blockhouse_package::{Hashed, Package, Signatures, package};
use bytes::Bytes;
use serde::Serialize;

use crate::Error;
use crate::binding::{Binding, Config};
use crate::changing::Cause;
use crate::guest::Guest;
use crate::host::Role;
use crate::load::Member;
use crate::plan::{Plan, Step, wrong_config};
use crate::record::{Kept, Record, sync_above};
use crate::set::{Change, Set};
use crate::trial::Trials;
use crate::trust::{self, Judge};

/// Tries a plugin out, and says what is wrong.
pub type Check = Box<dyn Fn(&Trials<'_>) -> Result<(), String> + Send>;

/// A plugin that is to be put in force. Its component is on the node already.
pub struct Deploy {
    /// The binding's name.
    pub name: String,
    /// The component.
    pub digest: String,
    /// How it is bound; as the one in force is, if absent. Name and digest in it do not matter.
    pub binding: Option<Binding>,
    /// Signatures besides those that the node has.
    pub signatures: Option<Signatures>,
    /// Golden cases.
    pub check: Option<Check>,
}

/// How a deploy is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Take what the node has rejected before.
    pub force: bool,
    /// Do everything but put it in force.
    pub dry_run: bool,
}

/// What a change did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The number of changes so far.
    pub generation: u64,
    /// Whether it was not made, only tried.
    pub dry_run: bool,
    /// What became of each plugin.
    pub plugins: Vec<Reported>,
}

/// What became of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reported {
    /// The binding.
    pub name: String,
    /// The component.
    pub digest: String,
    /// What its manifest says.
    pub version: Option<String>,
    /// `added`, `replaced`, `reconfigured`, `unchanged`, `disabled` or `enabled`.
    pub outcome: &'static str,
    /// The component that was in force before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// A plugin, its new settings, and the instance that was told them first.
type Told = (Arc<Member>, String, Option<Box<Guest>>);

impl Set {
    /// Puts a component and nothing else onto the node.
    pub(crate) fn put_component(&self, bytes: Bytes, digest: &str) -> Result<(), Error> {
        let hashed = Hashed::from(bytes);
        let found = hashed.digest().to_string();
        if found != digest {
            return Err(Error::Upload { expected: digest.to_owned(), found });
        }
        let package = Package::of(hashed, None, Signatures::default());
        let package = package.map_err(|source| Error::trust(digest, source))?;
        let _change = self.begin()?;
        let parts = &self.loader.parts;
        let path = self.loader.path(digest);
        whole::replace(parts.disk.as_ref(), &path, package.bytes())
            .and_then(|()| sync_above(parts.disk.as_ref(), &parts.dir))
            .map_err(|source| Error::Write { path, source })
    }

    pub(crate) fn deploy(
        &self,
        cause: Cause<'_>,
        deploys: Vec<Deploy>,
        terms: Terms,
    ) -> Result<Report, Error> {
        let _change = self.begin()?;
        let judge = self.judge()?;
        let mut plans: Vec<Plan> = Vec::with_capacity(deploys.len());
        for deploy in deploys {
            match self.prepare(&judge, deploy, terms) {
                Ok(plan) => plans.push(plan),
                Err(error) => {
                    plans.iter().for_each(Plan::abandon);
                    return Err(error);
                }
            }
        }
        let record = self.next(&plans);
        let checked = self.check_whole(&record);
        if checked.is_err() || terms.dry_run {
            plans.iter().for_each(Plan::abandon);
            checked?;
            return Ok(self.report(&plans, terms.dry_run));
        }
        self.carry_out(&plans, record, true)?;
        Ok(self.told(cause, self.report(&plans, false)))
    }

    pub(crate) fn rollback(&self, cause: Cause<'_>, name: &str) -> Result<Report, Error> {
        let _change = self.begin()?;
        let mut record = self.state.lock().record.clone();
        let Some(former) = record.binding(&self.config.binding, name).cloned() else {
            return Err(Error::Unknown { name: name.to_owned() });
        };
        let entry = record.plugins.entry(name.to_owned()).or_default();
        if entry.previous.is_empty() {
            return Err(Error::NothingBefore { name: name.to_owned() });
        }
        let kept = entry.previous.remove(0);
        entry.current = Some(kept.clone());
        entry.disabled = false;
        let step = self.bring_back(&kept.binding)?;
        record.generation += 1;
        let former = Some(Kept { version: None, binding: former });
        let Kept { version, binding } = kept;
        let plans = [Plan { step, binding, version, former, signatures: None }];
        self.carry_out(&plans, record, false)?;
        Ok(self.told(cause, self.report(&plans, false)))
    }

    /// Takes a plugin out, or brings it back.
    pub(crate) fn switch(&self, cause: Cause<'_>, name: &str, on: bool) -> Result<Report, Error> {
        let _change = self.begin()?;
        let mut record = self.state.lock().record.clone();
        let Some(binding) = record.binding(&self.config.binding, name).cloned() else {
            return Err(Error::Unknown { name: name.to_owned() });
        };
        let entry = record.plugins.entry(name.to_owned()).or_default();
        let version = entry.current.as_ref().and_then(|kept| kept.version.clone());
        let mut reported = Reported {
            name: name.to_owned(),
            digest: binding.digest.clone(),
            version,
            outcome: "unchanged",
            before: None,
        };
        if entry.disabled != on {
            let generation = record.generation;
            return Ok(Report { generation, dry_run: false, plugins: vec![reported] });
        }
        entry.disabled = !on;
        record.generation += 1;
        let generation = record.generation;
        if on {
            let step = self.bring_back(&binding)?;
            let plan = Plan { step, binding, version: None, former: None, signatures: None };
            self.carry_out(&[plan], record, false)?;
            reported.outcome = "enabled";
            let plugins = vec![reported];
            return Ok(self.told(cause, Report { generation, dry_run: false, plugins }));
        }
        self.write(&record)?;
        reported.outcome = "disabled";
        let plugins = vec![reported];
        // Before it is out: it may be the audit sink that is taken away.
        let report = self.told(cause, Report { generation, dry_run: false, plugins });
        let taken = vec![name.to_owned()];
        self.put_in_force(Change { record, put: Vec::new(), taken, watch: false });
        Ok(report)
    }

    pub(crate) fn judge(&self) -> Result<Judge, Error> {
        let parts = &self.loader.parts;
        let own = || parts.dir.parent().unwrap_or(&parts.dir).join("trust");
        let dir = self.config.trust.dir.clone().unwrap_or_else(own);
        Judge::read(parts.disk.as_ref(), &self.config.trust, &dir)
    }

    /// Loads what stands on the disk, checked as at a start.
    pub(crate) fn load(&self, judge: &Judge, binding: &Binding) -> Result<Arc<Member>, Error> {
        let component = self.loader.read(binding)?;
        let disk = self.loader.parts.disk.as_ref();
        let beside = trust::beside(disk, &binding.name, &self.loader.path(&binding.digest))?;
        let manifest = judge.look(&binding.name, &component, beside)?;
        let lasting = self.state.lock().lasting(&binding.name);
        let plugin = self.loader.make(binding, component.bytes(), lasting)?;
        Ok(Arc::new(Member::new(binding.clone(), manifest, plugin)))
    }

    /// What is on disk once the plans are carried out.
    fn next(&self, plans: &[Plan]) -> Record {
        let mut record = self.state.lock().record.clone();
        let changes = plans.iter().filter(|plan| !matches!(plan.step, Step::Nothing));
        for plan in changes.clone() {
            let kept = Kept { version: plan.version.clone(), binding: plan.binding.clone() };
            let entry = record.plugins.entry(plan.binding.name.clone()).or_default();
            entry.replace(plan.former.clone(), kept);
        }
        record.generation += u64::from(changes.count() > 0);
        record
    }

    fn check_whole(&self, record: &Record) -> Result<(), Error> {
        let binding = record.bindings(&self.config.binding).into_iter().cloned().collect();
        let whole = Config { binding, ..Config::default() };
        whole
            .validate()
            .map_err(|e| Error::Binding { name: e.option.clone(), problem: e.to_string() })
    }

    /// Does what was planned. Either all of it is in force afterwards or nothing.
    fn carry_out(&self, plans: &[Plan], record: Record, watch: bool) -> Result<(), Error> {
        let was = self.state.lock().record.clone();
        self.write_signatures(plans)?;
        if was == record {
            return Ok(());
        }
        let mut told = Vec::new();
        let prepared = self.make_durable(plans, &record, &mut told);
        if let Err(error) = prepared {
            for (member, _, guest) in told {
                guest.into_iter().for_each(|guest| member.plugin.settle(guest));
            }
            // What comes back is not new: it stays where it was.
            let is_new = |plan: &&Plan| self.state.lock().retired(&plan.binding).is_none();
            plans.iter().filter(is_new).for_each(Plan::abandon);
            return Err(error);
        }
        let (mut put, until) = (Vec::new(), self.first_words());
        for plan in plans {
            match &plan.step {
                Step::Nothing => {}
                Step::Settings(member) => put.push(Arc::new(member.with(plan.binding.clone()))),
                Step::Put(member) => {
                    self.warm_up(member, until);
                    put.push(Arc::clone(member));
                }
            }
        }
        self.put_in_force(Change { record, put, taken: Vec::new(), watch });
        for (member, config, guest) in told {
            member.plugin.set_settings(&config, guest);
        }
        self.forget_components(&was);
        Ok(())
    }

    /// Signatures are facts about bytes: they stay, whatever becomes of the change.
    fn write_signatures(&self, plans: &[Plan]) -> Result<(), Error> {
        let disk = self.loader.parts.disk.as_ref();
        for plan in plans {
            if let Some(signatures) = &plan.signatures {
                let path = package::signatures_path(&self.loader.path(&plan.binding.digest));
                whole::replace(disk, &path, signatures.to_string().as_bytes())
                    .map_err(|source| Error::Write { path, source })?;
            }
        }
        Ok(())
    }

    /// The last that may fail: what instances say to a new `config`, and the disk.
    fn make_durable(
        &self,
        plans: &[Plan],
        record: &Record,
        told: &mut Vec<Told>,
    ) -> Result<(), Error> {
        for plan in plans {
            if let Step::Settings(member) = &plan.step {
                let config = plan.binding.config_json();
                let guest = member.plugin.tell_first(&config);
                let guest = guest.map_err(|failure| wrong_config(&plan.binding, failure))?;
                told.push((Arc::clone(member), config, guest));
            }
        }
        self.write(record)
    }

    /// Removes components of versions that are not kept any more. One that stays takes room only.
    fn forget_components(&self, was: &Record) {
        let parts = &self.loader.parts;
        let record = self.state.lock().record.clone();
        // A process of the other role may have the same directory.
        let other = match parts.node.role {
            Role::Broker => Role::NameServer,
            Role::NameServer => Role::Broker,
        };
        let Ok(other) = Record::read(parts.disk.as_ref(), &parts.dir, other) else { return };
        for digest in was.digests() {
            let is_bound = self.config.binding.iter().any(|binding| binding.digest == digest);
            if is_bound || record.needs(&digest) || other.needs(&digest) {
                continue;
            }
            let path = self.loader.path(&digest);
            for path in [package::signatures_path(&path), path] {
                if let Err(error) = self.loader.parts.disk.remove(&path) {
                    tracing::debug!("{}: {error}", path.display());
                }
            }
        }
    }

    fn report(&self, plans: &[Plan], dry_run: bool) -> Report {
        let generation = self.state.lock().record.generation;
        Report { generation, dry_run, plugins: plans.iter().map(Plan::reported).collect() }
    }

    /// Tells log and audit of what a change did.
    fn told(&self, cause: Cause<'_>, report: Report) -> Report {
        let generation = report.generation;
        for Reported { name, digest, outcome, .. } in &report.plugins {
            tracing::info!("plugin {name}: {outcome}, {digest}; generation {generation}");
            if *outcome != "unchanged" {
                let reason = format!("{outcome}, {digest}; generation {generation}");
                self.audit(cause, name, Outcome::Allowed, &reason);
            }
        }
        report
    }

    pub(crate) fn audit(&self, cause: Cause<'_>, name: &str, outcome: Outcome, reason: &str) {
        if let Some(auditor) = self.loader.keeper.auditor() {
            let Cause { action, caller } = cause;
            auditor.plugin(&PluginEvent { name, action, outcome, reason, caller });
        }
    }

    /// Counts what became of a change of these plugins, and tells why it was not made.
    pub(crate) fn counted(
        &self,
        cause: Cause<'_>,
        names: &[String],
        result: Result<Report, Error>,
    ) -> Result<Report, Error> {
        match &result {
            Ok(report) if report.dry_run => {}
            Ok(_) => _ = self.outcomes.done.fetch_add(1, Ordering::Relaxed),
            Err(error) => self.refused(cause, names, error),
        }
        result
    }

    /// Counts a change of these plugins that was not made, and tells why.
    pub(crate) fn refused(&self, cause: Cause<'_>, names: &[String], error: &Error) {
        tracing::warn!("plugins were not changed: {error}");
        for name in names {
            self.audit(cause, name, Outcome::Refused, &error.to_string());
        }
        self.outcomes.refused.fetch_add(1, Ordering::Relaxed);
    }
}

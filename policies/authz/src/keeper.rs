//! What is in force on a node, over restarts, and how it changes.

mod acls;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use blockhouse_disk::{Disk, whole};
use blockhouse_model::Clock;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::acl::AclTable;
use crate::config::{Config, Mode};
use crate::files::Files;
use crate::hook::{Authorizer, InForce, SuperUsers};
use crate::policies::Policies;
use crate::problem::{Problem, Refused};
pub use acls::KnownUsers;

/// The version of the record.
const VERSION: u32 = 1;

/// What a node of policies is made of.
pub struct Parts {
    /// Where files are.
    pub disk: Arc<dyn Disk>,
    /// Where the node keeps what it was given while it ran: a file of its own.
    pub record: PathBuf,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who may do everything.
    pub is_super: SuperUsers,
    /// Who may have an ACL.
    pub is_known: KnownUsers,
    /// The node's cluster, which ACLs may name.
    pub cluster: String,
}

/// What the node remembers.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    generation: u64,
    digest: String,
    /// What somebody put in force while the node ran; `None`: what the directory says.
    applied: Option<Files>,
    /// What was in force before.
    previous: Option<Files>,
}

/// Where a set comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Directory,
    Applied,
}

/// What a change has put in force, or what is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Changes that the node has seen, over restarts.
    pub generation: u64,
    /// What tells the set from others.
    pub digest: String,
    /// `directory`, or `applied`.
    pub source: &'static str,
    /// What counts if several rules match.
    pub mode: &'static str,
    /// Lines of `p`.
    pub rules: usize,
    /// Entries of ACLs.
    pub acl_entries: usize,
    /// Tests of the set.
    pub tests: usize,
    /// Decisions that casbin was asked for.
    pub compared: usize,
    /// What looks like a mistake.
    pub warnings: Vec<Problem>,
    /// Whether there is a set to go back to.
    pub can_roll_back: bool,
}

/// What became of changes, and how large the set in force is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Changes that the node has seen, over restarts.
    pub generation: u64,
    /// Lines of `p` in force.
    pub rules: usize,
    /// Changes since the start.
    pub done: u64,
    /// Changes that were refused since the start.
    pub refused: u64,
    /// Requests that were allowed, denied, and those of super users.
    pub decisions: [u64; 3],
}

/// The policies of a node.
pub struct Keeper {
    hook: Arc<Authorizer>,
    disk: Arc<dyn Disk>,
    path: PathBuf,
    acl_path: PathBuf,
    dir: PathBuf,
    cluster: String,
    is_known: KnownUsers,
    mode: Mode,
    /// The ACLs in force, for who looks at them: he does not wait for a change, and that may wait for the disk. They
    /// change with `state`.
    acls: ArcSwap<AclTable>,
    /// Held by who makes a change, with the files in force.
    state: Mutex<State>,
    done: AtomicU64,
    refused: AtomicU64,
}

struct State {
    record: Record,
    files: Files,
}

impl Keeper {
    /// Loads what was applied last or, if nothing was, the directory.
    ///
    /// # Errors
    /// What a node must not start with.
    pub fn start(config: &Config, parts: Parts) -> Result<Self, Refused> {
        let Parts { disk, record: path, clock, is_super, is_known, cluster } = parts;
        let mut record = read(disk.as_ref(), &path)?;
        let acl_path = path.with_file_name("acls.json");
        let (table, changed) = AclTable::read(disk.as_ref(), &acl_path)?;
        record.generation = record.generation.max(changed);
        let alone = config.policies.as_os_str().is_empty();
        let lines = acls::lines(&table, config.mode, &cluster, alone);
        let files = match &record.applied {
            Some(files) => Files::new(files.all().to_vec())?,
            None if alone => Files::default(),
            None => Files::read(disk.as_ref(), &config.policies)?,
        };
        let policies = Policies::load_with(&files, &lines, config.mode).map_err(|mut refused| {
            if !table.is_empty() {
                let way = "what RocketMQ's tools have set is part of the set";
                refused.problems.push(Problem::new(acl_path.display().to_string(), way));
            }
            if record.applied.is_some() {
                let way = "this set was applied while the node ran; without this file the node starts with its directory";
                refused.problems.push(Problem::new(path.display().to_string(), way));
            }
            refused
        })?;
        let is_new = record.digest != policies.digest();
        if is_new {
            record.generation += 1;
            policies.digest().clone_into(&mut record.digest);
        }
        let first = InForce::new(record.generation, policies);
        let keeper = Self {
            hook: Arc::new(Authorizer::new(first, is_super, clock)),
            disk,
            path,
            acl_path,
            dir: config.policies.clone(),
            cluster,
            is_known,
            mode: config.mode,
            acls: ArcSwap::from_pointee(table),
            state: Mutex::new(State { record, files }),
            done: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        if is_new {
            keeper.write(&keeper.state.lock().record)?;
        }
        Ok(keeper)
    }

    /// What is asked for each request.
    #[must_use]
    pub const fn hook(&self) -> &Arc<Authorizer> {
        &self.hook
    }

    /// Reads the directory again and puts it in force, in place of what was applied.
    ///
    /// # Errors
    /// What is wrong with it; what was in force stays in force.
    pub fn reload(&self) -> Result<Report, Refused> {
        self.counted(|| {
            let files = if self.dir.as_os_str().is_empty() {
                Files::default()
            } else {
                Files::read(self.disk.as_ref(), &self.dir)?
            };
            self.change(&files, Source::Directory, false)
        })
    }

    /// Puts a set in force, until the next reload. With `dry_run` it is only judged.
    ///
    /// # Errors
    /// What is wrong with it; what was in force stays in force.
    pub fn apply(&self, files: &Files, dry_run: bool) -> Result<Report, Refused> {
        self.counted(|| self.change(files, Source::Applied, dry_run))
    }

    /// Puts the set before in force.
    ///
    /// # Errors
    /// There is none, or it cannot be loaded any more.
    pub fn roll_back(&self) -> Result<Report, Refused> {
        self.counted(|| {
            let previous = self.state.lock().record.previous.clone();
            let none = || Refused::one("the node", "there is no set before this one");
            self.change(&previous.ok_or_else(none)?, Source::Applied, false)
        })
    }

    /// What is in force.
    #[must_use]
    pub fn report(&self) -> Report {
        let state = self.state.lock();
        report(&self.hook.in_force(), &state.record)
    }

    /// The files in force.
    #[must_use]
    pub fn files(&self) -> Files {
        self.state.lock().files.clone()
    }

    /// For metrics.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let set = self.hook.in_force();
        Counts {
            generation: set.generation,
            rules: set.policies.rules(),
            done: self.done.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            decisions: self.hook.decisions(),
        }
    }

    fn counted<E>(&self, make: impl FnOnce() -> Result<Report, E>) -> Result<Report, E> {
        let made = make();
        let count = if made.is_ok() { &self.done } else { &self.refused };
        count.fetch_add(1, Ordering::Relaxed);
        made
    }

    fn change(&self, files: &Files, source: Source, dry_run: bool) -> Result<Report, Refused> {
        let mut state = self.state.lock();
        let policies = Policies::load_with(files, &self.lines(&self.acls.load()), self.mode)?;
        let record = Record {
            version: VERSION,
            generation: state.record.generation + 1,
            digest: policies.digest().to_owned(),
            applied: (source == Source::Applied).then(|| files.clone()),
            previous: Some(state.files.clone()),
        };
        let set = InForce::new(record.generation, policies);
        let report = report(&set, &record);
        if !dry_run {
            // On disk first: what is in force is in force after a restart, too.
            self.write(&record)?;
            self.hook.put_in_force(set);
            (state.record, state.files) = (record, files.clone());
        }
        Ok(report)
    }

    fn write(&self, record: &Record) -> Result<(), Refused> {
        let failed = |why: String| {
            Refused::one(self.path.display().to_string(), format!("cannot be written: {why}"))
        };
        let sets = record.applied.iter().chain(&record.previous);
        // Line ends take two bytes there. A large text that grows is copied again and again.
        let mut text = Vec::with_capacity(sets.map(|files| files.bytes() / 16 * 17).sum());
        serde_json::to_writer(&mut text, record).map_err(|e| failed(e.to_string()))?;
        if let Some(dir) = self.path.parent() {
            self.disk.create_private_dir(dir).map_err(|e| failed(e.to_string()))?;
        }
        whole::replace_private(self.disk.as_ref(), &self.path, &text)
            .map_err(|e| failed(e.to_string()))
    }
}

fn read(disk: &dyn Disk, path: &std::path::Path) -> Result<Record, Refused> {
    let failed = |why: String| Refused::one(path.display().to_string(), why);
    match whole::read(disk, path) {
        Ok(None) => Ok(Record { version: VERSION, ..Record::default() }),
        Ok(Some(bytes)) => {
            let record: Record = serde_json::from_slice(&bytes)
                .map_err(|e| failed(format!("cannot be understood: {e}")))?;
            if record.version == VERSION {
                Ok(record)
            } else {
                Err(failed(format!("is of version {}, not {VERSION}", record.version)))
            }
        }
        Err(error) => Err(failed(format!("cannot be read: {error}"))),
    }
}

fn report(set: &InForce, record: &Record) -> Report {
    let policies = &set.policies;
    Report {
        generation: set.generation,
        digest: policies.digest().to_owned(),
        source: if record.applied.is_some() { "applied" } else { "directory" },
        mode: policies.mode().name(),
        rules: policies.rules(),
        acl_entries: policies.acl_entries(),
        tests: policies.results().len(),
        compared: policies.compared(),
        warnings: policies.warnings().to_vec(),
        can_roll_back: record.previous.is_some(),
    }
}

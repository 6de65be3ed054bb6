//! The users: in memory as MAC keys, on disk as sealed secrets.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use blockhouse_disk::{Disk, LockGuard};
use blockhouse_hook::{User, UserChange, UserError, UserKind, Users, Watcher};
use blockhouse_model::Principal;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::file::{self, Kind, Row, Status};
use crate::revoked::Revoked;
use crate::seal::SealKey;
use crate::signature::LEN;
use crate::{Config, Credential, Error, Outcome, Secret, SigningKey};

/// Most users that a node keeps.
pub const USERS_MAX: usize = 10_000;
/// What a name must be.
pub const NAME_RULE: &str = "must name a user with 1 to 64 letters, digits and any of `-_.@`";
/// The name of the Super user that lives in a process only. No request can make a user of that name.
pub const NODE: &str = "$node";

/// Whether a user may be called so.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(legal)
}

/// Where a node keeps its users.
#[must_use]
pub fn path(data: &Path) -> PathBuf {
    data.join("blockhouse").join("security").join("users.json")
}

#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) user: User,
    key: SigningKey,
    /// `None` for who lives in this process only.
    sealed: Option<String>,
}

type Accounts = FxHashMap<Arc<str>, Arc<Account>>;

/// All users of a node.
pub struct UserTable {
    accounts: ArcSwap<Accounts>,
    /// Held while the users change.
    writer: Mutex<()>,
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Keeps other processes from the file: each would write what it knows over what the other has changed.
    _lock: Box<dyn LockGuard>,
    seal: SealKey,
    revoked: Revoked,
    /// Told after each change.
    changed: OnceLock<Watcher>,
    /// What signatures of nobody are checked with, so that they take as long as others.
    nobody: SigningKey,
}

impl UserTable {
    /// Reads the users of the data directory, and makes the initial one if it is missing.
    ///
    /// # Errors
    /// A file cannot be used, or the key is not that of the users.
    pub fn open(config: &Config, disk: Arc<dyn Disk>, data: &Path) -> Result<Self, Error> {
        let path = path(data);
        let key_file = Path::new(&config.key_file);
        if is_inside(key_file, data) {
            return Err(Error::file(key_file, "lies in the data directory, which it protects"));
        }
        let lock = lock(&*disk, &path)?;
        let rows = file::read(&*disk, &path)?;
        let seal = SealKey::open(&*disk, key_file, rows.is_empty())?;
        let mut accounts =
            Accounts::with_capacity_and_hasher(rows.len(), rustc_hash::FxBuildHasher);
        for row in rows {
            let account = account(&seal, row).map_err(|name| {
                let problem = format!(
                    "does not fit {}: the secret of {name} cannot be opened",
                    key_file.display()
                );
                Error::file(&path, problem)
            })?;
            accounts.insert(Arc::clone(&account.user.name), Arc::new(account));
        }
        let nobody = SigningKey::new(crate::seal::random_secret()?.expose().as_bytes());
        let accounts = ArcSwap::from_pointee(accounts);
        let table = Self {
            accounts,
            writer: Mutex::new(()),
            disk,
            path,
            _lock: lock,
            seal,
            revoked: Revoked::default(),
            changed: OnceLock::new(),
            nobody,
        };
        table.make_initial(config)?;
        Ok(table)
    }

    /// Has `watcher` told after each change; the first one stays.
    pub fn when_changed(&self, watcher: Watcher) {
        let _first_stays = self.changed.set(watcher);
    }

    /// Whether what proved this name, which an account had, proves nothing any more: the user was deleted or
    /// disabled, or has another secret.
    pub(crate) fn is_revoked(&self, name: &Arc<str>) -> bool {
        self.revoked.has(name)
    }

    fn make_initial(&self, config: &Config) -> Result<(), Error> {
        if config.initial_user_file.is_empty() {
            return Ok(());
        }
        let path = Path::new(&config.initial_user_file);
        let initial = Credential::read(&*self.disk, path)?;
        if self.accounts.load().contains_key(initial.name.as_str()) {
            return Ok(());
        }
        let name: Arc<str> = initial.name.as_str().into();
        let user = User { name, kind: UserKind::Super, enabled: true };
        tracing::info!(user = %user.name, "made the initial user");
        self.change(|accounts| {
            let account = self.sealed(user, &initial.secret)?;
            accounts.insert(Arc::clone(&account.user.name), Arc::new(account));
            Ok(())
        })
        .map_err(|error| Error::file(&self.path, format!("cannot be made: {error}")))
    }

    /// A Super user that lives in this process only, with a secret that nobody knows: a broker and a name
    /// server of one process speak to each other with it. No request can name it a user.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn in_process(&self) -> Result<Credential, Error> {
        let secret = crate::seal::random_secret()?;
        let name: Arc<str> = NODE.into();
        let user = User { name: Arc::clone(&name), kind: UserKind::Super, enabled: true };
        let account = Account { user, key: key_of(&secret), sealed: None };
        let _held = self.writer.lock();
        let mut accounts = Accounts::clone(&self.accounts.load());
        accounts.insert(Arc::clone(&name), Arc::new(account));
        self.accounts.store(Arc::new(accounts));
        Ok(Credential { name: name.as_ref().to_owned(), secret })
    }

    /// Who made `signature` over `parts`. Every refusal takes the same work.
    pub(crate) fn prove(
        &self,
        name: &str,
        signature: Option<[u8; LEN]>,
        parts: [&[u8]; 2],
    ) -> Result<Arc<Account>, Outcome> {
        let accounts = self.accounts.load();
        let account = accounts.get(name);
        let key = account.map_or(&self.nobody, |account| &account.key);
        let verified = key.verifies(signature, parts);
        match account {
            None => Err(Outcome::UnknownUser),
            Some(_) if !verified => Err(Outcome::BadSignature),
            Some(account) if !account.user.enabled => Err(Outcome::Disabled),
            Some(account) => Ok(Arc::clone(account)),
        }
    }

    fn sealed(&self, user: User, secret: &Secret) -> Result<Account, UserError> {
        let sealed = self.seal.seal(secret, &file::about(&user)).map_err(unsealable)?;
        Ok(Account { user, key: key_of(secret), sealed: Some(sealed) })
    }

    /// Changes a copy, and puts it in force once it is on the disk.
    fn change(
        &self,
        change: impl FnOnce(&mut Accounts) -> Result<(), UserError>,
    ) -> Result<(), UserError> {
        let _held = self.writer.lock();
        let before = self.accounts.load_full();
        let accounts = changed(&before, change)?;
        let mut rows: Vec<Row> = accounts.values().filter_map(|account| row(account)).collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        file::write(&*self.disk, &self.path, rows)?;
        let names = |account: &Arc<Account>| Arc::clone(&account.user.name);
        let is_gone = |name: &Arc<str>| {
            !accounts.get(name).is_some_and(|now| Arc::ptr_eq(&now.user.name, name))
        };
        let gone: Vec<Arc<str>> = before.values().map(names).filter(is_gone).collect();
        self.accounts.store(Arc::new(accounts));
        self.revoked.add(&gone);
        if let Some(changed) = self.changed.get() {
            changed();
        }
        Ok(())
    }

    fn take_out(
        &self,
        accounts: &mut Accounts,
        by: &Principal,
        name: &str,
    ) -> Result<(), UserError> {
        let missing = || UserError::Missing(name.to_owned());
        let old = accounts.get(name).filter(|a| a.sealed.is_some()).ok_or_else(missing)?;
        self.only_super_for_super(by, [old.user.kind; 2])?;
        accounts.remove(name);
        Ok(())
    }

    fn only_super_for_super(&self, by: &Principal, kinds: [UserKind; 2]) -> Result<(), UserError> {
        if kinds.contains(&UserKind::Super) && !self.is_super(by) {
            return Err(UserError::Forbidden("Super users are for Super users to administer"));
        }
        Ok(())
    }
}

/// What a change makes of the users.
fn changed(
    before: &Accounts,
    change: impl FnOnce(&mut Accounts) -> Result<(), UserError>,
) -> Result<Accounts, UserError> {
    let mut accounts = before.clone();
    change(&mut accounts)?;
    if has_super(before) && !has_super(&accounts) {
        return Err(UserError::Invalid(
            "this is the last Super user that is enabled: make another one first".to_owned(),
        ));
    }
    Ok(accounts)
}

fn lock(disk: &dyn Disk, users: &Path) -> Result<Box<dyn LockGuard>, Error> {
    if let Some(dir) = users.parent() {
        disk.create_private_dir(dir).map_err(Error::io(dir))?;
    }
    disk.lock(&users.with_extension("lock")).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => {
            Error::file(users, "is another process's: give each a data directory of its own")
        }
        _ => Error::io(users)(error),
    })
}

fn is_inside(path: &Path, dir: &Path) -> bool {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole(path).starts_with(whole(dir))
}

fn key_of(secret: &Secret) -> SigningKey {
    SigningKey::new(secret.expose().as_bytes())
}

fn unsealable(_: crate::seal::Broken) -> UserError {
    UserError::Invalid("the secret cannot be sealed".to_owned())
}

fn has_super(accounts: &Accounts) -> bool {
    let is_super = |a: &Account| a.user.kind == UserKind::Super && a.user.enabled;
    accounts.values().any(|account| account.sealed.is_some() && is_super(account))
}

fn account(seal: &SealKey, row: Row) -> Result<Account, String> {
    let kind = match row.kind {
        Kind::Super => UserKind::Super,
        Kind::Normal => UserKind::Normal,
    };
    let user = User { name: row.name.as_str().into(), kind, enabled: row.status == Status::Enable };
    match seal.unseal(&row.secret, &file::about(&user)) {
        Ok(secret) => Ok(Account { user, key: key_of(&secret), sealed: Some(row.secret) }),
        Err(_) => Err(row.name),
    }
}

fn row(account: &Account) -> Option<Row> {
    let User { name, kind, enabled } = &account.user;
    Some(Row {
        name: name.as_ref().to_owned(),
        kind: match kind {
            UserKind::Super => Kind::Super,
            UserKind::Normal => Kind::Normal,
        },
        status: if *enabled { Status::Enable } else { Status::Disable },
        secret: account.sealed.clone()?,
    })
}

impl Users for UserTable {
    fn find(&self, name: &str) -> Option<User> {
        self.accounts.load().get(name).map(|account| account.user.clone())
    }

    fn list(&self, filter: &str) -> Vec<User> {
        let accounts = self.accounts.load();
        let kept = accounts.values().filter(|account| account.sealed.is_some());
        let mut users: Vec<User> = kept.map(|account| account.user.clone()).collect();
        users.retain(|user| user.name.contains(filter));
        users.sort_by(|a, b| a.name.cmp(&b.name));
        users
    }

    fn create(&self, by: &Principal, new: &UserChange<'_>) -> Result<(), UserError> {
        if !is_name(new.name) {
            return Err(UserError::Invalid(format!("the request {NAME_RULE}")));
        }
        let kind = new.kind.unwrap_or(UserKind::Normal);
        self.only_super_for_super(by, [kind, kind])?;
        let secret = new.secret.unwrap_or_default();
        let secret = Secret::new(secret).map_err(UserError::Invalid)?;
        let user = User { name: new.name.into(), kind, enabled: new.enabled.unwrap_or(true) };
        self.change(|accounts| {
            if accounts.contains_key(new.name) {
                return Err(UserError::Exists(new.name.to_owned()));
            }
            if accounts.len() >= USERS_MAX {
                return Err(UserError::Invalid(format!("there are {USERS_MAX} users already")));
            }
            let account = self.sealed(user, &secret)?;
            accounts.insert(Arc::clone(&account.user.name), Arc::new(account));
            Ok(())
        })
    }

    fn update(&self, by: &Principal, change: &UserChange<'_>) -> Result<(), UserError> {
        let secret = change.secret.map(Secret::new).transpose().map_err(UserError::Invalid)?;
        self.change(|accounts| {
            let missing = || UserError::Missing(change.name.to_owned());
            let old = accounts.get(change.name).ok_or_else(missing)?;
            let sealed = old.sealed.as_deref().ok_or_else(missing)?;
            let kind = change.kind.unwrap_or(old.user.kind);
            self.only_super_for_super(by, [old.user.kind, kind])?;
            let enabled = change.enabled.unwrap_or(old.user.enabled);
            // Those whom the old secret let in have the old text, and are known by it: see `Revoked`.
            let name = if secret.is_some() || enabled != old.user.enabled {
                Arc::from(change.name)
            } else {
                Arc::clone(&old.user.name)
            };
            let user = User { name, kind, enabled };
            let kept = || self.seal.unseal(sealed, &file::about(&old.user)).map_err(unsealable);
            let secret = secret.map_or_else(kept, Ok)?;
            let account = self.sealed(user, &secret)?;
            // Taken out first: an entry that is replaced keeps its old key.
            accounts.remove(change.name);
            accounts.insert(Arc::clone(&account.user.name), Arc::new(account));
            Ok(())
        })
    }

    fn may_delete(&self, by: &Principal, name: &str) -> Result<(), UserError> {
        changed(&self.accounts.load(), |accounts| self.take_out(accounts, by, name)).map(drop)
    }

    fn delete(&self, by: &Principal, name: &str) -> Result<(), UserError> {
        self.change(|accounts| self.take_out(accounts, by, name))
    }
}

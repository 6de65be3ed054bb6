//! Changes of plugins, and who asked for them.

use blockhouse_model::RequestContext;
use bytes::Bytes;

use crate::deploy::{Deploy, Report, Terms};
use crate::{Error, Host};

/// What is done to plugins, and by whom, as the audit is told.
#[derive(Clone, Copy)]
pub(crate) struct Cause<'a> {
    pub(crate) action: &'static str,
    /// `None` for what the node does by itself.
    pub(crate) caller: Option<&'a RequestContext>,
}

impl<'a> Cause<'a> {
    /// The node's own doing.
    pub(crate) const fn own(action: &'static str) -> Self {
        Self { action, caller: None }
    }
}

/// What can be changed.
#[derive(Clone, Copy)]
pub struct Changing<'a> {
    host: &'a Host,
    caller: Option<&'a RequestContext>,
}

impl Host {
    /// Changes that this caller asked for, or that the node makes by itself.
    #[must_use]
    pub const fn change_for<'a>(&'a self, caller: Option<&'a RequestContext>) -> Changing<'a> {
        Changing { host: self, caller }
    }

    /// As [`Changing::deploy`], by the node itself.
    ///
    /// # Errors
    /// As there.
    pub fn deploy(&self, deploys: Vec<Deploy>, terms: Terms) -> Result<Report, Error> {
        self.change_for(None).deploy(deploys, terms)
    }

    /// As [`Changing::rollback`], by the node itself.
    ///
    /// # Errors
    /// As there.
    pub fn rollback(&self, name: &str) -> Result<Report, Error> {
        self.change_for(None).rollback(name)
    }

    /// As [`Changing::disable`], by the node itself.
    ///
    /// # Errors
    /// As there.
    pub fn disable(&self, name: &str) -> Result<Report, Error> {
        self.change_for(None).disable(name)
    }

    /// As [`Changing::enable`], by the node itself.
    ///
    /// # Errors
    /// As there.
    pub fn enable(&self, name: &str) -> Result<Report, Error> {
        self.change_for(None).enable(name)
    }
}

impl<'a> Changing<'a> {
    const fn cause(&self, action: &'static str) -> Cause<'a> {
        Cause { action, caller: self.caller }
    }

    /// Puts a component onto the node, where a deploy finds it.
    ///
    /// # Errors
    /// It has another digest, is no plugin, or cannot be written.
    pub fn put_component(&self, bytes: Bytes, digest: &str) -> Result<(), Error> {
        let (set, cause) = (&self.host.set, self.cause("upload"));
        let put = set.put_component(bytes, digest);
        // It has no binding yet: it goes by what it was said to be.
        put.inspect_err(|error| set.refused(cause, &[digest.to_owned()], error))
    }

    /// Puts plugins in force, all at once. It takes as long as they take to compile.
    ///
    /// # Errors
    /// The first thing that is wrong with one of them; then nothing has changed.
    pub fn deploy(&self, deploys: Vec<Deploy>, terms: Terms) -> Result<Report, Error> {
        let (set, cause) = (&self.host.set, self.cause("deploy"));
        let names: Vec<_> = deploys.iter().map(|deploy| deploy.name.clone()).collect();
        set.counted(cause, &names, set.deploy(cause, deploys, terms))
    }

    /// Puts the version before in force.
    ///
    /// # Errors
    /// There is none, or it cannot be loaded any more; then nothing has changed.
    pub fn rollback(&self, name: &str) -> Result<Report, Error> {
        let (set, cause) = (&self.host.set, self.cause("rollback"));
        set.counted(cause, &[name.to_owned()], set.rollback(cause, name))
    }

    /// Takes a plugin out at once.
    ///
    /// # Errors
    /// There is no such plugin, or it cannot be written down; then nothing has changed.
    pub fn disable(&self, name: &str) -> Result<Report, Error> {
        let (set, cause) = (&self.host.set, self.cause("disable"));
        set.counted(cause, &[name.to_owned()], set.switch(cause, name, false))
    }

    /// Brings a plugin back that was taken out.
    ///
    /// # Errors
    /// There is no such plugin, or it cannot be loaded; then nothing has changed.
    pub fn enable(&self, name: &str) -> Result<Report, Error> {
        let (set, cause) = (&self.host.set, self.cause("enable"));
        set.counted(cause, &[name.to_owned()], set.switch(cause, name, true))
    }
}

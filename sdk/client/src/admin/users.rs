//! Users of brokers and name servers.

use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::body::user::UserInfo;
use blockhouse_protocol::codes::request_code;
use blockhouse_protocol::header::user::{AboutUser, ListUsers};

use super::Scope;
use crate::{Client, Error};

/// What is to become of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStep {
    /// It is made.
    Create,
    /// It is changed; what is absent stays.
    Update,
    /// It is deleted.
    Delete,
}

impl Client {
    /// All nodes that authenticate: name servers as they were given, and master brokers.
    ///
    /// # Errors
    /// No name server answers.
    pub async fn nodes(&self) -> Result<Vec<String>, Error> {
        let mut nodes = self.name_servers().to_vec();
        match self.masters(&Scope::All).await {
            Ok(masters) => nodes.extend(masters.into_iter().map(|master| master.addr)),
            Err(Error::NoBroker(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(nodes)
    }

    /// Makes, changes or deletes a user of a node.
    ///
    /// # Errors
    /// It cannot be reached, or refuses.
    pub async fn change_user(
        &self,
        addr: &str,
        step: UserStep,
        user: &UserInfo,
    ) -> Result<(), Error> {
        let (code, body) = match step {
            UserStep::Create => (request_code::AUTH_CREATE_USER, user.encode()),
            UserStep::Update => (request_code::AUTH_UPDATE_USER, user.encode()),
            UserStep::Delete => (request_code::AUTH_DELETE_USER, bytes::Bytes::new()),
        };
        let header = AboutUser { username: user.username.as_deref().unwrap_or_default() };
        self.call(addr, code, |ext| header.write(ext), &body).await?;
        Ok(())
    }

    /// The users of a node, those whose names have `filter` in them.
    ///
    /// # Errors
    /// It cannot be reached, or refuses.
    pub async fn users(&self, addr: &str, filter: &str) -> Result<Vec<UserInfo>, Error> {
        let header = ListUsers { filter: Some(filter).filter(|filter| !filter.is_empty()) };
        let code = request_code::AUTH_LIST_USER;
        let answer = self.call(addr, code, |ext| header.write(ext), b"").await?;
        Ok(Vec::<UserInfo>::decode(&answer.body)?)
    }
}

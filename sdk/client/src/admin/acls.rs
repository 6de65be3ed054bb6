//! ACLs of brokers and name servers.

use blockhouse_model::Acl;
use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::body::acl::AclInfo;
use blockhouse_protocol::codes::request_code;
use blockhouse_protocol::header::acl::ListAcls;

use crate::{Client, Error};

impl Client {
    /// The ACLs of a node.
    ///
    /// # Errors
    /// It cannot be reached, refuses, or answers with what is no ACL.
    pub async fn acls(&self, addr: &str) -> Result<Vec<Acl>, Error> {
        let header = ListAcls { subject_filter: None, resource_filter: None };
        let code = request_code::AUTH_LIST_ACL;
        let answer = self.call(addr, code, |ext| header.write(ext), b"").await?;
        // Java sends no body for none.
        if answer.body.is_empty() {
            return Ok(Vec::new());
        }
        let acls = Vec::<AclInfo>::decode(&answer.body)?;
        let of = |info: &AclInfo| {
            info.acl(info.subject.as_deref().unwrap_or_default()).map_err(Error::Answer)
        };
        acls.iter().map(of).collect()
    }
}

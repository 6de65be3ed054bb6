//! ACLs: 3006 to 3010.

use crate::header::headers;

headers! {
    /// `AUTH_CREATE_ACL`, `AUTH_UPDATE_ACL` and `AUTH_GET_ACL`.
    AboutAcl<'a> {
        subject: &'a str = "subject"; "whose, as `User:NAME`."
    }

    /// `AUTH_DELETE_ACL`.
    DeleteAcl<'a> {
        subject: &'a str = "subject"; "whose, as `User:NAME`."
        policy_type: Option<&'a str> = "policyType"; "`Custom`, or `Default`; absent: `Custom`."
        resource: Option<&'a str> = "resource"; "what the entry to delete is about; absent: all entries."
    }

    /// `AUTH_LIST_ACL`.
    ListAcls<'a> {
        subject_filter: Option<&'a str> = "subjectFilter"; "a part of the subjects; absent: all."
        resource_filter: Option<&'a str> = "resourceFilter"; "a part of the resources; absent: all."
    }
}

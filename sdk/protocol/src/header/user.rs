//! Users: 3001 to 3005.

use crate::header::headers;

headers! {
    /// `AUTH_CREATE_USER`, `AUTH_UPDATE_USER`, `AUTH_DELETE_USER` and `AUTH_GET_USER`.
    AboutUser<'a> {
        username: &'a str = "username"; "the access key."
    }

    /// `AUTH_LIST_USER`.
    ListUsers<'a> {
        filter: Option<&'a str> = "filter"; "a part of the names; absent: all."
    }
}

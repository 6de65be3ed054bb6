//! Users of a name server.

use blockhouse_protocol::codes::{request_code, response_code};

use super::bench::Bench;

#[test]
fn without_authentication_and_policies_there_are_no_users_and_no_acls_whatever_is_said_of_them() {
    let bench = Bench::new();
    for code in [
        request_code::AUTH_CREATE_USER,
        request_code::AUTH_UPDATE_USER,
        request_code::AUTH_DELETE_USER,
        request_code::AUTH_GET_USER,
        request_code::AUTH_LIST_USER,
        request_code::AUTH_CREATE_ACL,
        request_code::AUTH_UPDATE_ACL,
        request_code::AUTH_DELETE_ACL,
        request_code::AUTH_GET_ACL,
        request_code::AUTH_LIST_ACL,
    ] {
        let fields: [&[(&str, &str)]; 3] = [&[], &[("username", "u")], &[("subject", "User:u")]];
        for fields in fields {
            let answer = bench.ask(code, fields, b"");
            assert_eq!(answer.code, response_code::REQUEST_CODE_NOT_SUPPORTED, "{code}");
        }
    }
}

//! Users: 3001, 3002, 3004, 3005.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{BodyError, fastjson};

/// A user, or what is to change of one. In answers `password` is empty.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserInfo {
    /// The secret.
    pub password: Option<String>,
    /// `enable` or `disable`.
    pub user_status: Option<String>,
    /// `Super` or `Normal`.
    pub user_type: Option<String>,
    /// The access key.
    pub username: Option<String>,
}

impl UserInfo {
    /// Reads it, as other bodies are. What is wrong with it is told without what is in it, which
    /// may be a secret in the wrong place.
    ///
    /// # Errors
    /// The text is not JSON, or not of this shape.
    pub fn decode(text: &[u8]) -> Result<Self, BodyError> {
        fastjson::read(text).map_err(|error| match error {
            BodyError::Json(_) => BodyError::Malformed("the user in the body"),
            other => other,
        })
    }

    /// What an answer says of a user: its secret never.
    #[must_use]
    pub fn shown(username: &str, user_type: &str, user_status: &str) -> Self {
        Self {
            password: Some(String::new()),
            user_status: Some(user_status.to_owned()),
            user_type: Some(user_type.to_owned()),
            username: Some(username.to_owned()),
        }
    }
}

impl fmt::Debug for UserInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserInfo")
            .field("user_status", &self.user_status)
            .field("user_type", &self.user_type)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Body as _;

    #[test]
    fn what_the_java_client_sends_is_read_and_the_secret_is_not_shown() {
        let text =
            br#"{"password":"canary","userStatus":"enable","userType":"Normal","username":"u"}"#;
        let user = UserInfo::decode(text).unwrap();
        assert_eq!(user.password.as_deref(), Some("canary"));
        assert_eq!(user.user_status.as_deref(), Some("enable"));
        assert_eq!(user.user_type.as_deref(), Some("Normal"));
        assert_eq!(user.username.as_deref(), Some("u"));
        assert!(!format!("{user:?}").contains("canary"));
        assert_eq!(user.encode(), text.as_slice());
        assert_eq!(UserInfo::decode(b"{}").unwrap(), UserInfo::default());
        for wrong in [r#""canary""#, r#"{"userType":["canary"]}"#, r#"{"password":{"canary":1}}"#] {
            let error = UserInfo::decode(wrong.as_bytes()).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}

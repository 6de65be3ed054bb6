//! What becomes of an attempt to prove who one is.

use std::sync::atomic::{AtomicU64, Ordering};

use blockhouse_hook::Rejection;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Outcome {
    /// Proved.
    Ok,
    /// Without credentials, on a connection that a certificate is of.
    Certificate,
    /// Without credentials, and let pass as anonymous.
    Anonymous,
    /// Without credentials.
    Missing,
    /// There is no such user.
    UnknownUser,
    /// The signature is not of the user's secret.
    BadSignature,
    /// The user is disabled.
    Disabled,
    /// The connection is another user's.
    OtherUser,
    /// Credentials over an unencrypted connection.
    Plaintext,
    /// Right, but not for what only Super users may.
    NotSuper,
    /// It was right when the request came, and is not any more when it could be answered.
    Revoked,
}

impl Outcome {
    /// All, in the order of their counts.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Certificate,
        Self::Anonymous,
        Self::Missing,
        Self::UnknownUser,
        Self::BadSignature,
        Self::Disabled,
        Self::OtherUser,
        Self::Plaintext,
        Self::NotSuper,
        Self::Revoked,
    ];

    /// The label of metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Certificate => "certificate",
            Self::Anonymous => "anonymous",
            Self::Missing => "missing",
            Self::UnknownUser => "unknown_user",
            Self::BadSignature => "bad_signature",
            Self::Disabled => "disabled",
            Self::OtherUser => "other_user",
            Self::Plaintext => "plaintext",
            Self::NotSuper => "not_super",
            Self::Revoked => "revoked",
        }
    }

    /// What the client is told. It is the same for all that could tell a stranger which users there are.
    #[must_use]
    pub const fn told(self) -> &'static str {
        match self {
            Self::Ok | Self::Certificate | Self::Anonymous => "",
            Self::Missing => {
                "this server takes signed requests only: give the client an access key and a secret"
            }
            Self::UnknownUser | Self::BadSignature | Self::Disabled | Self::Revoked => {
                Rejection::UNPROVEN
            }
            Self::OtherUser => "this connection is another user's: use a connection for each user",
            Self::Plaintext => "access keys are taken over encrypted connections only: use TLS",
            Self::NotSuper => "this is for Super users only",
        }
    }
}

impl Outcome {
    /// What the audit is told, and nobody else.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Ok | Self::Certificate | Self::Anonymous => "",
            Self::Missing => "no credentials",
            Self::UnknownUser => "unknown user",
            Self::BadSignature => "wrong signature",
            Self::Disabled => "the user is disabled",
            Self::OtherUser => "the connection is another user's",
            Self::Plaintext => "an access key over an unencrypted connection",
            Self::NotSuper => "not a Super user",
            Self::Revoked => "the user or the secret was withdrawn while the request waited",
        }
    }
}

/// How often each came about.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; Outcome::ALL.len()]);

impl Counts {
    pub(crate) fn add(&self, outcome: Outcome) {
        if let Some(count) = self.0.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All, with their labels.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let name = |outcome: &Outcome| outcome.name();
        Outcome::ALL.iter().map(name).zip(self.0.iter().map(|c| c.load(Ordering::Relaxed)))
    }
}

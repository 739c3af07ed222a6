//! The primary that sentinels name, and its replicas.

mod discovery;
mod primary;

pub(super) use self::discovery::Sentinels;
pub(super) use self::primary::SentinelPrimary;

//! What is sent to a server, and what its replies mean: commands, scripts, the stored value. No I/O.

pub(crate) mod command;
mod error;
mod key;
mod probe;
pub(crate) mod reply;
pub(crate) mod scripts;
pub(crate) mod value;

pub(crate) use self::error::{CallError, kind_of, serves_nothing, without_arguments};
pub(crate) use self::key::Key;
pub(crate) use self::probe::{missing, probe};

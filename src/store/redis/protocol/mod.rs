//! What is sent to a server, and what its replies mean.

pub(crate) mod command;
pub(crate) mod error;
pub(crate) mod reply;
pub(crate) mod scripts;
pub(crate) mod value;

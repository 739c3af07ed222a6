//! R11 and R19: no secret in any log, any text a type prints of itself, nor anything that Redis holds or is sent.

pub(crate) mod capture;
pub(crate) mod dump;
mod flow;
mod search;

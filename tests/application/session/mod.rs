//! What a handler can do with a session, without HTTP servers, browsers or axum: the layer around a plain Tower service.

mod cancellation;
mod credential;
mod flashes;
mod forms;
mod identity;
mod options;
mod remember;
mod retrying;
mod revocation;
mod saving;
mod tower_stack;
mod unpolled;
mod user_index;
mod users;
mod values;

//! What an application is told of its sessions, and of who uses them.

mod client;

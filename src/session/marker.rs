//! Markers: types that distinguish several sessions of one application.

use std::any::{TypeId, type_name};

/// The default marker, for an application with one session.
///
/// For several sessions see [`Session`](crate::Session#several-sessions-in-one-application).
#[derive(Clone, Copy, Debug)]
pub enum Main {}

/// The type name of a marker. `None` for [`Main`], because no application chose it.
pub(crate) fn marker_name<M: 'static>() -> Option<&'static str> {
    (TypeId::of::<M>() != TypeId::of::<Main>()).then(type_name::<M>)
}

//! The slot in a request's extensions: the sessions of the layers around its service.

use std::any::TypeId;
use std::sync::Arc;

use http::Extensions;

use crate::lifecycle::{RequestSession, SessionManager};

/// The session of the innermost layer, which leads to those of the layers around it.
#[derive(Clone)]
pub(crate) struct Slot(Arc<RequestSession>);

/// What a layer does with a request, given the layers that the request came through.
pub(crate) enum Entry {
    /// It adds its session to those of the layers around it.
    Add { outer: Option<Arc<RequestSession>> },
    /// The request came through this very layer already: it has its session.
    PassThrough,
    /// A layer around it contradicts this one.
    Refuse {
        outer: Arc<RequestSession>,
        reason: &'static str,
    },
}

impl Slot {
    pub(crate) fn new(request: Arc<RequestSession>) -> Self {
        Self(request)
    }

    /// What the layer of this manager does with a request.
    pub(crate) fn enter(extensions: &Extensions, manager: &Arc<SessionManager>) -> Entry {
        let Some(Self(innermost)) = extensions.get() else {
            return Entry::Add { outer: None };
        };
        for outer in outwards(Some(innermost)) {
            if Arc::ptr_eq(&outer.manager, manager) {
                return Entry::PassThrough;
            }
            let reason = if outer.manager.marker == manager.marker {
                "both have the same marker: mark one of them, or build one layer and clone it"
            } else if outer.manager.cookie.name() == manager.cookie.name() {
                "both read the same cookie: give each a name or a label of its own"
            } else {
                continue;
            };
            let outer = outer.clone();
            return Entry::Refuse { outer, reason };
        }
        Entry::Add {
            outer: Some(innermost.clone()),
        }
    }

    /// The session of the layer that is marked `M`.
    pub(super) fn find<M: 'static>(extensions: &Extensions) -> Option<&Arc<RequestSession>> {
        let marker = TypeId::of::<M>();
        sessions(extensions).find(|session| session.manager.marker == marker)
    }
}

/// The sessions of a request, from the innermost layer outwards.
fn sessions(extensions: &Extensions) -> impl Iterator<Item = &Arc<RequestSession>> {
    outwards(extensions.get::<Slot>().map(|Slot(session)| session))
}

fn outwards(innermost: Option<&Arc<RequestSession>>) -> impl Iterator<Item = &Arc<RequestSession>> {
    std::iter::successors(innermost, |session| session.outer.as_ref())
}

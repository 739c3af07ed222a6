//! The memory of a session, and whether it is freed after the session has expired.

use std::error::Error;

use crate::allocations::count;
use crate::conditions;
use crate::figures::Figures;
use crate::subject::{Place, Subject};

/// The number of sessions in memory.
pub const SESSIONS: u64 = 1_000_000;
/// The number of sessions that expire before as many others are created.
pub const EXPIRING: u64 = 100_000;

pub fn measure(subjects: &[Subject], sessions: u64) -> Result<Figures, Box<dyn Error>> {
    let mut figures = Figures {
        conditions: conditions::with(&[]),
        ..Figures::default()
    };
    for subject in subjects {
        if subject.place != Place::Memory {
            continue;
        }
        let bytes = bytes(subject, sessions)?;
        let left = count(&["expired", subject.name, &EXPIRING.to_string()])?;
        eprintln!("{}: {bytes:.0} bytes, {left:?} left", subject.name);
        figures.record("stored in memory", subject.name, "bytes", bytes);
        figures.record("expired and kept", subject.name, "part", left[0]);
    }
    Ok(figures)
}

/// The bytes of each session, with this many sessions.
pub fn bytes(subject: &Subject, sessions: u64) -> Result<f64, Box<dyn Error>> {
    Ok(count(&["stored", subject.name, &sessions.to_string()])?[0])
}

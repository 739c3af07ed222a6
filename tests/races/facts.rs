//! What an encoded record says, read from its bytes as the table in `src/record/codec.rs` gives them: a second opinion.

use std::collections::BTreeMap;

use serde_json::Value;
use tower_keycard::store::{Record, Revision};

/// What is promised about a record, and so compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) revision: Revision,
    pub(crate) verifier: [u8; 32],
    pub(crate) deadline: Option<u64>,
    pub(crate) logged_in: Option<u64>,
    pub(crate) user: Option<String>,
    /// Every key with its entries: one, or those of the log.
    pub(crate) data: BTreeMap<String, Vec<String>>,
}

impl Facts {
    pub(crate) fn of(record: &Record) -> Self {
        let bytes = record.encode();
        let flags = bytes[63];
        let mut rest = &bytes[64..];
        let mut time = |there: bool| {
            there.then(|| {
                let (time, behind) = rest.split_at(6);
                rest = behind;
                time.iter()
                    .fold(0, |time, byte| time << 8 | u64::from(*byte))
            })
        };
        let deadline = time(flags & 1 != 0);
        let logged_in = time(flags & 2 != 0);
        let data: BTreeMap<String, Value> = serde_json::from_str(record.json()).unwrap();
        Self {
            revision: record.revision(),
            verifier: bytes[25..57].try_into().unwrap(),
            deadline,
            logged_in,
            user: record.user().map(ToOwned::to_owned),
            data: data
                .into_iter()
                .map(|(key, value)| (key, entries(value)))
                .collect(),
        }
    }

    /// An entry that neither nobody nor the record's user wrote.
    pub(crate) fn foreign(&self) -> Option<&str> {
        let mut entries = self.data.values().flatten().map(String::as_str);
        entries.find(|entry| {
            let author = entry.split('/').next();
            author != Some(crate::script::ANYBODY) && author != self.user.as_deref()
        })
    }

    /// Whether an entry written by this request is there.
    pub(crate) fn has_entry_of(&self, request: usize) -> bool {
        let of = format!("/r{request}o");
        self.data
            .values()
            .flatten()
            .any(|entry| entry.contains(&of))
    }
}

fn entries(value: Value) -> Vec<String> {
    match value {
        Value::String(entry) => vec![entry],
        Value::Array(entries) => entries
            .into_iter()
            .map(|entry| entry.as_str().unwrap().to_owned())
            .collect(),
        other => panic!("no handler writes {other}"),
    }
}

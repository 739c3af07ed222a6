//! Records are kept byte for byte, and bytes that are no record are left alone.

use std::time::Duration;

use super::context::{Context, LONG, ensure, failed};
use super::harness::Harness;
use super::report::CaseResult;
use super::sample::{data, sample_key, sample_record, sample_revision_of};
use crate::clock::Timestamp;
use crate::record::{Expiry, Header, Retired, VerifierHash};
use crate::store::testing::owned_write::OwnedWrite;
use crate::store::{Created, Loaded, Record, RecordKey, Revision};

pub(super) async fn every_byte_is_kept<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    let text: String = (0..=0x250).filter_map(char::from_u32).collect();
    let text = text + "\u{2028}\u{feff}\u{fffd}\u{1f36a}";
    let json = serde_json::json!({ &text: text, "": "\r\n\0", "n": [-1, 1e300, null] }).to_string();
    for chunk in 0..8_u8 {
        // The chunks together cover all 256 byte values in the binary fields.
        let bytes: [u8; 32] =
            std::array::from_fn(|index| chunk * 32 + u8::try_from(index).unwrap_or_default());
        let mut revision = [255; 8];
        revision.copy_from_slice(&bytes[8..16]);
        let mut header = Header::new(
            Revision(revision),
            VerifierHash(bytes),
            Timestamp::from_millis(0x0d0a),
        );
        header.user = Some("ålîçé\r\n\0".into());
        header.deadline = Some(Timestamp::MAX);
        header.logged_in = Some(Timestamp::from_millis(0));
        header.expiry = [
            Expiry::Idle(Duration::from_millis(10)),
            Expiry::At(Timestamp::MAX),
            Expiry::BrowserClose,
        ][usize::from(chunk) % 3];
        header.retired = [Retired {
            verifier: VerifierHash([chunk; 32]),
            at: Timestamp::from_millis(0x2a00),
        }; Header::MAX_RETIRED]
            .into();
        let record = Record::new(header, data(&json));
        let (key, record) = (sample_key(), OwnedWrite::from(record));
        let next = sample_revision_of(&record, &json);
        cx.created(&key, &record, LONG).await?;
        cx.holds(&key, &record).await?;
        cx.replaced(&key, record.revision(), &next, LONG).await?;
        cx.holds(&key, &next).await?;
    }
    Ok(())
}

pub(super) async fn revisions_of_any_bytes_are_compared<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let revisions = [
        [0, 0, 0, 0, 0, 0, 0, 1],
        [1, 0, 0, 0, 0, 0, 0, 0],
        [0xff; 8],
        *b"\0\r\n\xff\x80'\"\\",
        *b"%d%s[.]*",
        *b"        ",
    ];
    let record = |revision| {
        let header = Header::new(revision, VerifierHash([1; 32]), Timestamp::from_millis(1));
        OwnedWrite::from(Record::new(header, data("{}")))
    };
    for (index, bytes) in revisions.into_iter().enumerate() {
        let (key, first) = (sample_key(), record(Revision(bytes)));
        let next = sample_revision_of(&first, "{}");
        cx.created(&key, &first, LONG).await?;
        for (other, bytes) in revisions.into_iter().enumerate() {
            let touched = cx.touch(&key, Revision(bytes), LONG).await?;
            let equal = index == other;
            ensure!(
                touched == equal,
                "touch at {bytes:?} of a record at {:?} returned {touched}",
                first.revision()
            );
            if !equal {
                cx.conflict(&key, Revision(bytes), &next, LONG).await?;
            }
        }
        cx.replaced(&key, first.revision(), &next, LONG).await?;
        cx.holds(&key, &next).await?;
    }
    Ok(())
}

pub(super) async fn the_largest_record_is_kept<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    let (key, small) = (sample_key(), sample_record(r#"{"k":""}"#));
    let length = Record::MAX_LEN - small.encode().len();
    let json = |letter: &str| format!("{{\"k\":\"{}\"}}", letter.repeat(length));
    let first = sample_record(&json("x"));
    let second = sample_revision_of(&first, &json("y"));
    cx.created(&key, &first, LONG).await?;
    cx.holds(&key, &first).await?;
    cx.replaced(&key, first.revision(), &second, LONG).await?;
    cx.holds(&key, &second).await?;
    cx.delete(&key).await?;
    cx.holds_a_tombstone(&key).await
}

/// Bytes that are no record: of a newer version, truncated, empty, or in another format.
fn unreadable() -> [Vec<u8>; 5] {
    let record = sample_record(r#"{"n":1}"#).encode();
    let mut newer = record.clone();
    newer[0] = 200;
    [
        newer,
        record[..record.len() - 1].to_vec(),
        record[..5].to_vec(),
        Vec::new(),
        b"{\"user\":\"mallory\"}".to_vec(),
    ]
}

async fn is_unreadable<H: Harness>(
    cx: &Context<'_, H>,
    key: &RecordKey,
    bytes: &[u8],
) -> CaseResult {
    match (cx.load(key).await?, Record::decode(bytes.to_vec())) {
        (Loaded::Unreadable(error), Err(expected)) if error == expected => Ok(()),
        (loaded, expected) => failed(format!("found {loaded:?}, but decoding gives {expected:?}")),
    }
}

pub(super) async fn unreadable_bytes_are_left_as_they_are<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    for bytes in unreadable() {
        let (key, record) = (sample_key(), sample_record("{}"));
        cx.plant(&key, &bytes).await?;
        is_unreadable(cx, &key, &bytes).await?;
        let created = cx.create(&key, &record, LONG).await?;
        ensure!(created == Created::Exists, "create overwrote {bytes:?}");
        let next = sample_revision_of(&record, "{}");
        let with = cx.conflict(&key, record.revision(), &next, LONG).await?;
        ensure!(
            matches!(with, Loaded::Unreadable(_)),
            "replace conflicted with {with:?}, not with {bytes:?}"
        );
        let touched = cx.touch(&key, record.revision(), LONG).await?;
        ensure!(!touched, "touch found a revision in {bytes:?}");
        is_unreadable(cx, &key, &bytes).await?;
    }
    Ok(())
}

pub(super) async fn unreadable_bytes_can_be_deleted<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    for bytes in unreadable() {
        let key = sample_key();
        cx.plant(&key, &bytes).await?;
        cx.delete(&key).await?;
        cx.holds_a_tombstone(&key).await?;
    }
    Ok(())
}

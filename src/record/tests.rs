use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use std::time::Duration;

use super::revision::Trace;
use super::*;
use crate::clock::Timestamp;
use crate::random::Random;

fn times() -> impl Strategy<Value = Timestamp> {
    (0..1_u64 << 48).prop_map(Timestamp::from_millis)
}

fn hashes() -> impl Strategy<Value = VerifierHash> {
    any::<[u8; 32]>().prop_map(VerifierHash)
}

fn expiries() -> impl Strategy<Value = Expiry> {
    prop_oneof![
        Just(Expiry::Default),
        (0..1_u64 << 48).prop_map(|millis| Expiry::Idle(Duration::from_millis(millis))),
        times().prop_map(Expiry::At),
        Just(Expiry::BrowserClose),
    ]
}

fn login_details() -> impl Strategy<Value = LoginDetails> {
    let stamps = any::<[u8; 16]>().prop_map(SecurityStamp);
    (
        proptest::option::of(stamps),
        any::<Option<bool>>(),
        proptest::option::of("[^\0]{1,50}"),
        proptest::option::of(any::<[u8; 16]>().prop_map(FingerprintHash)),
        proptest::option::of(times()),
        proptest::option::of(times()),
    )
        .prop_map(
            |(stamp, remember, client, fingerprint, suspected_since, reauthenticated)| {
                LoginDetails {
                    stamp,
                    remember,
                    client: client.map(Into::into),
                    fingerprint,
                    suspected_since,
                    reauthenticated,
                }
            },
        )
}

fn records() -> impl Strategy<Value = Record> {
    let retired = (hashes(), times()).prop_map(|(verifier, at)| Retired { verifier, at });
    (
        any::<[[u8; 8]; 3]>(),
        hashes(),
        [times(), times(), times()],
        any::<(bool, bool)>(),
        proptest::option::of("[^\0]{1,20}"),
        expiries(),
        (proptest::collection::vec(retired, 0..=4), login_details()),
        proptest::collection::btree_map("[a-z]{1,5}", any::<i64>(), 0..4),
    )
        .prop_map(
            |(revisions, verifier, [a, b, c], (d, e), user, expiry, (retired, login), values)| {
                let mut header = Header::new(Revision(revisions[0]), verifier, a);
                header.revision.0[0] |= 1;
                header.before = [
                    Revision(revisions[1]).trace(),
                    Revision(revisions[2]).trace(),
                ];
                header.deadline = d.then_some(b);
                header.logged_in = e.then_some(c);
                header.user = user.map(Into::into);
                header.expiry = expiry;
                header.retired = retired.into();
                header.login = login.into();
                let json = serde_json::to_string(&values).unwrap();
                Record::new(header, Data::parse(json, Record::MAX_DEPTH).unwrap())
            },
        )
}

fn sample() -> Record {
    let mut header = Header::new(
        Revision(*b"revision"),
        VerifierHash([7; 32]),
        Timestamp::from_millis(1_700_000_000_000),
    );
    header.user = Some("alice".into());
    header.deadline = Some(Timestamp::from_millis(1_700_000_600_000));
    Record::new(header, Data::parse(r#"{"n":1}"#.to_owned(), 64).unwrap())
}

#[test]
fn the_layout_is_as_documented() {
    let bytes = sample().encode();
    let mut expected = vec![1];
    expected.extend_from_slice(b"revision");
    expected.extend_from_slice(&[0; 16]);
    expected.extend_from_slice(&[7; 32]);
    expected.extend_from_slice(&1_700_000_000_000_u64.to_be_bytes()[2..]);
    expected.push(0b0000_0101);
    expected.extend_from_slice(&1_700_000_600_000_u64.to_be_bytes()[2..]);
    expected.extend_from_slice(b"\x05alice{\"n\":1}");
    assert_eq!(bytes, expected);
}

#[test]
fn login_details_precede_the_data_and_cost_nothing_if_there_are_none() {
    let without = sample().encode();
    let with = |login: LoginDetails| {
        let header = Header {
            login: login.into(),
            ..sample().header().clone()
        };
        let bytes =
            Record::new(header, Data::parse(sample().json().to_owned(), 64).unwrap()).encode();
        let (head, data) = (without.len() - 7, bytes.len() - 7);
        assert_eq!(bytes[1..head], without[1..head]);
        assert_eq!(&bytes[data..], br#"{"n":1}"#);
        (bytes[0], bytes[head..data].to_vec())
    };
    assert_eq!(with(LoginDetails::default()), (1, vec![]));
    for (remember, flag) in [(true, 2), (false, 4)] {
        let remember = Some(remember);
        let login = LoginDetails {
            remember,
            ..LoginDetails::default()
        };
        assert_eq!(with(login), (2, vec![flag]));
    }
    let all = LoginDetails {
        stamp: Some(SecurityStamp([9; 16])),
        remember: Some(true),
        client: Some("Firefox".into()),
        fingerprint: Some(FingerprintHash([8; 16])),
        suspected_since: Some(Timestamp::from_millis(0x0102_0304_0506)),
        reauthenticated: Some(Timestamp::from_millis(0x0708_090a_0b0c)),
    };
    let mut expected = vec![0b111_1011];
    expected.extend_from_slice(&[9; 16]);
    expected.extend_from_slice(b"\x07Firefox");
    expected.extend_from_slice(&[8; 16]);
    expected.extend_from_slice(&[1, 2, 3, 4, 5, 6]);
    expected.extend_from_slice(&[7, 8, 9, 10, 11, 12]);
    assert_eq!(with(all), (2, expected));
}

#[test]
fn login_details_that_are_never_written_are_refused() {
    let refused = |login: &[u8]| {
        let mut bytes = sample().encode();
        bytes[0] = 2;
        let data = bytes.split_off(bytes.len() - 7);
        bytes.extend_from_slice(login);
        bytes.extend_from_slice(&data);
        Record::decode(bytes).map(drop)
    };
    assert_eq!(refused(&[2]), Ok(()));
    for corrupt in [
        &[0][..],
        &[6],
        &[1, 1, 1],
        &[8, 0],
        &[8, 1, 0xff],
        &[16, 1],
        &[32, 1],
        &[64, 1],
    ] {
        assert_eq!(refused(corrupt), Err(DecodeError::Corrupt), "{corrupt:?}");
    }
    // Flags of a newer version: this version must neither evaluate nor overwrite the record.
    for future in [128, 192, 255] {
        assert_eq!(refused(&[future]), Err(DecodeError::FutureFormat));
    }
}

#[test]
fn a_record_shows_a_store_its_user_and_its_data() {
    let record = Record::decode(sample().encode()).unwrap();
    assert_eq!(record.user(), Some("alice"));
    assert_eq!(record.json(), r#"{"n":1}"#);
}

#[test]
fn every_prefix_of_a_record_is_corrupt() {
    let bytes = sample().encode();
    for len in 0..bytes.len() {
        assert_eq!(
            Record::decode(bytes[..len].to_vec()).unwrap_err(),
            DecodeError::Corrupt,
            "{len}"
        );
    }
}

#[test]
fn formats_are_distinguished() {
    let mut bytes = sample().encode();
    bytes[0] = 3;
    assert_eq!(
        Record::decode(bytes.clone()).unwrap_err(),
        DecodeError::FutureFormat
    );
    bytes[0] = 0;
    assert_eq!(Record::decode(bytes).unwrap_err(), DecodeError::Corrupt);
    assert_eq!(
        Record::decode(br#"{"user":"alice"}"#.to_vec()).unwrap_err(),
        DecodeError::Corrupt
    );
    assert_eq!(
        Record::decode(Record::TOMBSTONE.to_vec()).unwrap_err(),
        DecodeError::Corrupt
    );
    assert_eq!(
        Record::decode(vec![1; Record::MAX_LEN + 1]).unwrap_err(),
        DecodeError::TooLarge
    );
}

#[test]
fn a_record_without_a_revision_is_corrupt() {
    let mut bytes = sample().encode();
    bytes[1..9].fill(0);
    assert_eq!(Record::decode(bytes).unwrap_err(), DecodeError::Corrupt);
}

#[test]
fn a_record_of_more_retired_verifiers_than_are_kept_is_corrupt() {
    let mut header = sample().header().clone();
    let retired = Retired {
        verifier: VerifierHash([1; 32]),
        at: header.created,
    };
    header.retired = [retired; 5].into();
    let encoded = Record::new(header, Data::empty()).encode();
    let decoded = Record::decode(encoded).unwrap();
    assert_eq!(decoded.header().retired.len(), 4);

    let mut bytes = sample().encode();
    bytes[63] |= 5 << 5;
    let data = bytes.split_off(bytes.len() - sample().json().len());
    bytes.extend_from_slice(&[0; 5 * 38]);
    bytes.extend_from_slice(&data);
    assert_eq!(Record::decode(bytes).unwrap_err(), DecodeError::Corrupt);
}

#[test]
fn a_record_may_be_as_large_as_the_limit_and_no_larger() {
    let mut bytes = sample().encode();
    bytes.resize(Record::MAX_LEN, b' ');
    assert!(Record::decode(bytes.clone()).is_ok());
    bytes.push(b' ');
    assert_eq!(Record::decode(bytes).unwrap_err(), DecodeError::TooLarge);
}

#[test]
fn a_full_record_is_one_buffer_of_its_exact_length() {
    let mut header = sample().header().clone();
    header.logged_in = Some(header.created);
    header.expiry = Expiry::At(header.created);
    header.login = LoginDetails {
        stamp: Some(SecurityStamp([1; 16])),
        remember: Some(true),
        client: Some("Firefox".into()),
        fingerprint: Some(FingerprintHash([2; 16])),
        suspected_since: Some(header.created),
        reauthenticated: Some(header.created),
    }
    .into();
    for step in 1..=4 {
        let minute = Duration::from_secs(60);
        header.rotate(VerifierHash([step; 32]), header.created, minute);
    }
    let bytes = Record::new(header, Data::empty()).encode();
    assert_eq!(bytes.capacity(), bytes.len());
}

#[test]
fn a_generated_revision_is_random_and_never_the_one_that_means_none() {
    let random = |byte: u8| {
        Random::Function(Arc::new(move |out: &mut [u8]| {
            out.fill(byte);
            true
        }))
    };
    let generated = |byte| Revision::generate(&random(byte)).unwrap();
    assert_eq!(generated(2), Revision([2; 8]));
    assert_eq!(generated(0), Revision([0, 0, 0, 0, 0, 0, 0, 1]));
    assert_eq!(format!("{:?}", generated(2)), "Revision(0202020202020202)");
}

#[test]
fn an_error_says_what_the_bytes_are_instead() {
    for (error, text) in [
        (
            DecodeError::Corrupt,
            "not a session record, or a damaged one",
        ),
        (DecodeError::TooLarge, "larger than a session record may be"),
        (
            DecodeError::FutureFormat,
            "written by a newer version of this crate",
        ),
        (
            DecodeError::ForeignType,
            "not a value of the type that session records have",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_revision_remembers_the_two_before_it() {
    let mut header = sample().header().clone();
    for name in [b"second..", b"third...", b"fourth.."] {
        header.revise(Revision(*name));
    }
    let record = Record::new(header, Data::empty());
    assert!(record.includes(Revision(*b"fourth..")));
    assert!(record.includes(Revision(*b"third...")));
    assert!(record.includes(Revision(*b"second..")));
    assert!(!record.includes(Revision(*b"revision")));
}

#[test]
fn the_bytes_for_a_stores_note_are_zero_in_a_record() {
    let note = Record::NOTE_OFFSET..Record::NOTE_OFFSET + Record::NOTE_LEN;
    let mut header = sample().header().clone();
    header.before = [Trace([1; 5]); 2];
    header.verifier = VerifierHash([1; 32]);
    let bytes = Record::new(header, Data::empty()).encode();
    assert_eq!(bytes[note.clone()], [0; Record::NOTE_LEN]);
    assert!(bytes[note.start - 1] == 1 && bytes[note.end] == 1);
    for byte in note {
        let mut bytes = bytes.clone();
        bytes[byte] = 1;
        assert_eq!(Record::decode(bytes).unwrap_err(), DecodeError::Corrupt);
    }
}

#[test]
fn at_most_four_verifiers_are_remembered_and_only_for_their_time() {
    let minute = Duration::from_secs(60);
    let start = Timestamp::from_millis(1_000_000);
    let mut header = Header::new(Revision([1; 8]), VerifierHash([0; 32]), start);
    for step in 1..=6 {
        header.rotate(
            VerifierHash([step; 32]),
            start.plus(Duration::from_secs(step.into())),
            minute,
        );
    }
    let retired = |header: &Header| {
        header
            .retired
            .iter()
            .map(|retired| retired.verifier.0[0])
            .collect::<Vec<_>>()
    };
    assert_eq!(retired(&header), [2, 3, 4, 5]);
    header.rotate(
        VerifierHash([7; 32]),
        start.plus(Duration::from_secs(64)),
        minute,
    );
    assert_eq!(retired(&header), [4, 5, 6]);
}

#[test]
fn a_time_far_ahead_is_not_recent() {
    let (now, minute) = (Timestamp::from_millis(10_000_000), Duration::from_secs(60));
    let at = |millis: u64| is_recent(Timestamp::from_millis(millis), now, minute);
    assert!(at(10_000_000) && at(10_060_000) && at(9_940_001));
    assert!(!at(9_940_000) && !at(10_060_001));
}

#[test]
fn printing_a_record_shows_neither_user_nor_data_nor_hash() {
    let printed = format!("{:?}", sample());
    assert!(!printed.contains("alice") && !printed.contains("7, 7"));
    assert!(printed.contains("Data(1 keys)"), "{printed}");
}

#[test]
fn the_first_bytes_of_a_record_are_its_header_however_long_it_is() {
    let data = || Data::parse(format!(r#"{{"n":"{}"}}"#, "x".repeat(2_000)), 8).unwrap();
    for user in ["a", "alice", &"é".repeat(127)] {
        let mut header = longest_header();
        header.user = Some(user.into());
        let bytes = Record::new(header, data()).encode();
        let decoded = RecordHeader::decode(&bytes[..RecordHeader::MAX_LEN]).unwrap();
        assert_eq!(decoded.user(), Some(user));
        assert_eq!(Record::new(decoded.0, data()).encode(), bytes);
    }
    let mut header = longest_header();
    header.user = Some("x".repeat(255).into());
    let longest = Record::new(header, Data::empty()).encode();
    assert_eq!(longest.len(), RecordHeader::MAX_LEN + "{}".len());
    let decode = |bytes| RecordHeader::decode(bytes).map(drop);
    assert_eq!(decode(&longest[..63]), Err(DecodeError::Corrupt));
    assert_eq!(decode(b"\x03"), Err(DecodeError::FutureFormat));
}

/// A header with everything that one can have, except a long user.
fn longest_header() -> Header {
    let mut header = sample().header().clone();
    let now = header.created;
    header.logged_in = Some(now);
    header.deadline = Some(now);
    header.expiry = Expiry::At(now);
    for byte in 0..5 {
        header.rotate(VerifierHash([byte; 32]), now, Duration::from_secs(60));
    }
    header.login = LoginDetails {
        stamp: Some(SecurityStamp([1; 16])),
        remember: Some(true),
        client: Some("x".repeat(255).into()),
        fingerprint: Some(FingerprintHash([2; 16])),
        suspected_since: Some(now),
        reauthenticated: Some(now),
    }
    .into();
    header
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(record in records()) {
        let bytes = record.encode();
        assert_eq!(&bytes[1..9], record.revision().as_bytes());
        assert_eq!(Record::decode(bytes.clone()).unwrap().encode(), bytes);
    }

    #[test]
    fn any_bytes_decode_or_are_refused_without_a_panic(bytes: Vec<u8>) {
        if let Ok(record) = Record::decode(bytes.clone()) {
            assert!([1, 2].contains(&bytes[0]));
            assert_eq!(RecordHeader::decode(&bytes).unwrap().user(), record.user());
            assert!(serde_json::from_str::<serde_json::Value>(record.json()).is_ok());
        }
    }

    #[test]
    fn a_record_with_a_few_flipped_bits_is_refused_or_well_formed(
        record in records(),
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), 0..8_u32), 1..4)
    ) {
        let mut bytes = record.encode();
        for (place, bit) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
        }
        if let Ok(record) = Record::decode(bytes) {
            assert_eq!(Record::decode(record.encode()).unwrap().encode(), record.encode());
        }
    }
}

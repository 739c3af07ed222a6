//! The work whose instructions `scripts/instructions` counts: `worst-inputs <input> <KiB> <times>`.
//!
//! Without arguments it lists the inputs.

use std::hint::black_box;

use tower_keycard::fuzzing::accepts_cookie;
use tower_keycard::store::Record;
use tower_keycard::store::testing::conformance::sample_record;

const NAME: &str = "__Host-id";

type Work = (&'static str, fn(usize) -> Vec<u8>, fn(&[u8]) -> bool);

/// The headers and records that are the most expensive to read for their length, each for another reason.
const INPUTS: &[Work] = &[
    (
        "cookie/other-pairs",
        |len| repeated("a=b; ", len),
        accepts_cookie,
    ),
    (
        "cookie/semicolons",
        |len| repeated(";", len),
        accepts_cookie,
    ),
    (
        "cookie/equals-signs",
        |len| repeated("=", len),
        accepts_cookie,
    ),
    ("cookie/blanks", |len| repeated(" \t", len), accepts_cookie),
    (
        "cookie/one-long-value",
        |len| (NAME.to_owned() + "=" + &"A".repeat(len)).into_bytes(),
        accepts_cookie,
    ),
    (
        "cookie/malformed-tokens",
        |len| repeated(&format!("{NAME}={}; ", "A".repeat(43)), len),
        accepts_cookie,
    ),
    (
        "cookie/the-same-token",
        |len| repeated(&format!("{NAME}={}; ", "A".repeat(44)), len),
        accepts_cookie,
    ),
    (
        "record/one-long-value",
        |len| record(&format!("{{\"a\":\"{}\"}}", "x".repeat(len))),
        decodes,
    ),
    (
        "record/keys-in-order",
        |len| record(&keys(0..len / 12)),
        decodes,
    ),
    (
        "record/keys-backwards",
        |len| record(&keys((0..len / 12).rev())),
        decodes,
    ),
    (
        "record/keys-in-disorder",
        |len| {
            let count = len / 12;
            record(&keys((0..count).map(|number| number * 7_919 % count)))
        },
        decodes,
    ),
    (
        "record/brackets",
        |len| record(&format!("{{\"a\":[{}[]]}}", "[],".repeat(len / 3))),
        decodes,
    ),
];

fn repeated(piece: &str, len: usize) -> Vec<u8> {
    piece.bytes().cycle().take(len).collect()
}

fn keys(numbers: impl Iterator<Item = usize>) -> String {
    let pairs: Vec<_> = numbers
        .map(|number| format!("\"k{number:05}\":12"))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn record(json: &str) -> Vec<u8> {
    let mut bytes = sample_record("{}").encode();
    bytes.truncate(bytes.len() - 2);
    bytes.extend(json.bytes());
    bytes
}

fn decodes(bytes: &[u8]) -> bool {
    Record::decode(bytes.to_vec()).is_ok()
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, name, kib, times] = arguments.as_slice() else {
        for (name, ..) in INPUTS {
            println!("{name}");
        }
        return;
    };
    let (_, input, work) = INPUTS
        .iter()
        .find(|(known, ..)| known == name)
        .expect("a known input");
    let input = input(kib.parse::<usize>().expect("a number of KiB") * 1024);
    for _ in 0..times.parse().expect("a number of times") {
        black_box(work(black_box(&input)));
    }
}

//! base64url without padding (RFC 4648, section 5), for lengths divisible by three: there are no spare bits, so every text
//! stands for one value only.

/// RFC 4648, section 5.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// For each byte, whether it is in the alphabet.
static IN_ALPHABET: [bool; 256] = {
    let mut known = [false; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        known[ALPHABET[at] as usize] = true;
        at += 1;
    }
    known
};

/// Whether all bytes are in the alphabet.
pub(crate) fn is_base64url(bytes: &[u8]) -> bool {
    // Without an early return: reading to the end is faster than a branch at each byte.
    let known = |all, byte: &u8| all & IN_ALPHABET[usize::from(*byte)];
    bytes.iter().fold(true, known)
}

/// Encodes each three bytes as four characters.
pub(crate) fn encode(bytes: &[u8], text: &mut [u8]) {
    debug_assert_eq!(bytes.len() / 3 * 4, text.len());
    let (threes, fours) = (bytes.as_chunks().0, text.as_chunks_mut().0);
    for ([a, b, c], four) in threes.iter().zip(fours) {
        let bits = u32::from_be_bytes([0, *a, *b, *c]);
        let character = |shift: u32| ALPHABET[(bits >> shift & 63) as usize];
        *four = [character(18), character(12), character(6), character(0)];
    }
}

/// Decodes each four characters to three bytes. `None` if the text does not have exactly this length and alphabet.
pub(crate) fn decode(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    if !text.len().is_multiple_of(4) || text.len() / 4 * 3 != bytes.len() {
        return None;
    }
    for (four, three) in text.chunks_exact(4).zip(bytes.chunks_exact_mut(3)) {
        let mut bits = 0;
        for character in four {
            bits = bits << 6 | u32::from(value(*character)?);
        }
        three.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    Some(())
}

fn value(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    #[test]
    fn the_alphabet_is_that_of_rfc_4648() {
        for (value_of, character) in (0..).zip(ALPHABET) {
            assert_eq!(value(*character), Some(value_of));
            assert!(is_base64url(&[*character]));
        }
        let others = (0..=255).filter(|byte| !ALPHABET.contains(byte));
        assert!(
            others
                .into_iter()
                .all(|byte| value(byte).is_none() && !is_base64url(&[byte]))
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(bytes: [u8; 24]) {
            let (mut text, mut read) = ([0; 32], [0; 24]);
            encode(&bytes, &mut text);
            assert!(is_base64url(&text));
            assert_eq!(decode(&text, &mut read), Some(()));
            assert_eq!(read, bytes);
        }

        #[test]
        fn only_the_exact_length_and_alphabet_is_read(text: Vec<u8>) {
            let mut bytes = [0; 3];
            assert_eq!(decode(&text, &mut bytes).is_some(), text.len() == 4 && is_base64url(&text));
        }
    }
}

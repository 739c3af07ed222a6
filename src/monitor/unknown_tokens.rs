//! The unknown tokens of one client.

use std::collections::VecDeque;

use super::recent::lately;
use super::settings::Rate;
use crate::clock::Timestamp;

/// The different unknown tokens that one client sent in the last window, the latest last. A client that repeats one dead
/// token, as a polling page does, is not guessing.
#[derive(Default)]
pub(super) struct UnknownTokens {
    /// Hashes of the tokens' public ids, each with the time when it last came: never more than one beyond the limit.
    tokens: VecDeque<(u64, Timestamp)>,
    reported: Option<Timestamp>,
}

impl UnknownTokens {
    /// Remembers a token. Returns whether there are more than the limit allows in the window that ends now, and that was not
    /// reported in the last window.
    pub(super) fn exceed(&mut self, token: u64, rate: Rate, now: Timestamp) -> bool {
        let most = rate.most as usize;
        if let Some(place) = self.tokens.iter().position(|(known, _)| *known == token) {
            self.tokens.remove(place);
        }
        self.tokens.push_back((token, now));
        let over = |(_, at): &(u64, Timestamp)| !lately(Some(*at), rate.within, now);
        while self.tokens.len() > most + 1 || self.tokens.front().is_some_and(over) {
            self.tokens.pop_front();
        }
        let exceeds = self.tokens.len() > most && !lately(self.reported, rate.within, now);
        if exceeds {
            self.reported = Some(now);
        }
        exceeds
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As it is defined: the different tokens of every window, all of them kept.
        #[test]
        fn a_client_is_reported_as_soon_as_a_window_holds_more_tokens_than_the_limit(
            most in 1_u32..6,
            sent in prop::collection::vec((0_u64..12, 0_u64..700), 1..80),
        ) {
            let rate = Rate { most, within: Duration::from_secs(1) };
            let (mut tokens, mut now) = (UnknownTokens::default(), 1_800_000_000_000);
            let (mut all, mut reported) = (Vec::new(), None);
            for (token, gap) in sent {
                now += gap;
                all.push((token, now));
                let inside = all.iter().filter(|(_, at)| now - at < 1_000);
                let different: std::collections::BTreeSet<_> = inside.map(|(token, _)| token).collect();
                let expected = different.len() > most as usize && reported.is_none_or(|at| now - at >= 1_000);
                if expected {
                    reported = Some(now);
                }
                let seen = tokens.exceed(token, rate, Timestamp::from_millis(now));
                prop_assert_eq!(seen, expected);
                prop_assert!(tokens.tokens.len() <= most as usize + 1);
            }
        }
    }
}

//! The address of the client behind the proxies.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderMap;

/// The proxies that are trusted to say which address a request came from.
///
/// Use it if your application runs behind proxies. Each proxy appends the address that called it to `X-Forwarded-For`. The
/// client can invent everything to the left of what the first of your own proxies wrote. So the list is read from the right,
/// past the trusted proxies, and the first address beyond them is the client's.
///
/// ```
/// use http::HeaderMap;
/// use tower_keycard::monitor::TrustedProxies;
///
/// let proxies = TrustedProxies::new(["10.0.0.0/8", "fd00::/8"])?;
/// let mut headers = HeaderMap::new();
/// headers.insert("x-forwarded-for", "1.2.3.4, 203.0.113.9, 10.0.0.7".parse()?);
/// let client = proxies.client("10.0.0.1".parse()?, &headers);
/// assert_eq!(client.to_string(), "203.0.113.9"); // not 1.2.3.4, which the client itself may have sent
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Trusts the proxies in these networks. Each network is an address or a prefix such as `10.0.0.0/8`.
    ///
    /// # Errors
    ///
    /// A network is neither an address nor a prefix, or has bits set after the prefix, as in `10.0.0.1/8`.
    pub fn new(
        networks: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, ParseNetworkError> {
        let parsed = networks.into_iter().map(|network| network.as_ref().parse());
        Ok(Self(parsed.collect::<Result<_, _>>()?))
    }

    /// The address of the client: `peer`, which called this server, or the address that the trusted proxies were called from.
    ///
    /// An entry that cannot be read ends the list. The result is then the last address that could be read.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lines = headers.get_all("x-forwarded-for").iter();
        // Not decoded line by line: a byte from the client that is no text must not hide what a proxy wrote after it.
        let hops = lines
            .rev()
            .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops {
            if !self.trust(client) {
                break;
            }
            let Some(address) = std::str::from_utf8(hop).ok().and_then(address_of) else {
                break;
            };
            client = address;
        }
        client
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// The address of an entry. Some proxies also write the port.
fn address_of(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let with_port = || hop.parse().map(|socket: std::net::SocketAddr| socket.ip());
    let in_brackets = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address: Option<IpAddr> = hop.parse().ok().or_else(|| with_port().ok());
    address
        .or_else(in_brackets)
        .map(|address| address.to_canonical())
}

/// A network: an address with a prefix length in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    len: u8,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        prefix(address, self.len) == Some(self.address)
            && address.is_ipv4() == self.address.is_ipv4()
    }
}

/// An address with all bits after the prefix cleared. `None` if the prefix is longer than the address.
fn prefix(address: IpAddr, len: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let spare = 32_u32.checked_sub(len.into())?;
            let mask = u32::MAX.checked_shl(spare).unwrap_or(0);
            Some(IpAddr::V4((address.to_bits() & mask).into()))
        }
        IpAddr::V6(address) => {
            let spare = 128_u32.checked_sub(len.into())?;
            let mask = u128::MAX.checked_shl(spare).unwrap_or(0);
            Some(IpAddr::V6((address.to_bits() & mask).into()))
        }
    }
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let refused = || ParseNetworkError(text.to_owned());
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let len = match len {
            None => longest,
            Some(len) => len.parse().map_err(|_| refused())?,
        };
        if prefix(address, len) != Some(address) {
            return Err(refused());
        }
        // `::ffff:10.0.0.0/104` is 10.0.0.0/8: it is compared with addresses in their canonical form.
        match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(mapped)) => Ok(Self {
                address: mapped.into(),
                len: len.saturating_sub(96),
            }),
            _ => Ok(Self { address, len }),
        }
    }
}

/// The error for a text that is no network. It contains the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNetworkError(String);

impl fmt::Display for ParseNetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a network: use an address, or a prefix such as 10.0.0.0/8 with no bits set after it",
            self.0
        )
    }
}

impl std::error::Error for ParseNetworkError {}

/// The network of an address: the first 24 bits of an IPv4 address, or the first 48 of an IPv6 address.
///
/// Use it as a part of a [`ClientFingerprint`](crate::monitor::ClientFingerprint): the line of a provider usually keeps these
/// bits.
///
/// ```
/// use tower_keycard::monitor::network_of;
///
/// assert_eq!(network_of("192.0.2.7".parse()?), "192.0.2.0/24");
/// assert_eq!(network_of("2001:db8:1:2::7".parse()?), "2001:db8:1::/48");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn network_of(address: IpAddr) -> String {
    let address = address.to_canonical();
    let len = if address.is_ipv4() { 24 } else { 48 };
    let network = prefix(address, len).unwrap_or(address);
    format!("{network}/{len}")
}

/// One address for all those that are likely one client: the owner of an IPv6 address has many in the same network.
pub(super) fn owner_of(address: IpAddr) -> IpAddr {
    let address = address.to_canonical();
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(_) => prefix(address, 64).unwrap_or(address),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::{Strategy, prop_assert_eq, prop_assume, proptest};

    use super::*;

    const NONE: &[&str] = &[];

    fn client(peer: &str, lines: &[impl AsRef<[u8]>]) -> String {
        let proxies = TrustedProxies::new(["10.0.0.0/8", "192.0.2.1", "fd00::/8"]).unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let line = HeaderValue::from_bytes(line.as_ref()).unwrap();
            headers.append("x-forwarded-for", line);
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_set_the_address_of_a_client() {
        assert_eq!(client("203.0.113.9", &["1.2.3.4"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(client("10.0.0.1", NONE), "10.0.0.1");
    }

    #[test]
    fn the_list_is_read_from_the_right_across_all_lines() {
        assert_eq!(
            client("10.0.0.1", &["6.6.6.6, 1.2.3.4, 192.0.2.1"]),
            "1.2.3.4"
        );
        assert_eq!(
            client("10.0.0.1", &["6.6.6.6,1.2.3.4", "10.2.3.4"]),
            "1.2.3.4"
        );
        assert_eq!(
            client("10.0.0.1", &["6.6.6.6, 10.9.9.9, 1.2.3.4"]),
            "1.2.3.4"
        );
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn an_entry_that_cannot_be_read_ends_the_list() {
        for garbage in ["unknown", "", "1.2.3", "1.2.3.4, _hidden", "\u{e9}"] {
            assert_eq!(client("10.0.0.1", &[garbage]), "10.0.0.1", "{garbage}");
        }
        assert_eq!(client("10.0.0.1", &["1.2.3.4, ?, 10.0.0.2"]), "10.0.0.2");
    }

    /// A header's value may contain any byte except control characters, and most proxies forward what the client sent.
    fn forged() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(
            (b' '..=255).prop_filter("a control character", |byte| *byte != 127),
            0..40,
        )
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_sends_changes_what_the_first_proxy_saw(forged in forged(), seen: u32) {
            let seen = std::net::Ipv4Addr::from_bits(seen | 0x8000_0000);
            prop_assume!(!"192.0.2.1".eq(&seen.to_string()));
            let seen = seen.to_string();
            let line = [&forged[..], b", ", seen.as_bytes(), b", 10.0.0.2"].concat();
            prop_assert_eq!(&client("10.0.0.1", &[&line]), &seen);
            prop_assert_eq!(&client("10.0.0.1", &[&forged[..], seen.as_bytes()]), &seen);
        }
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_parsed() {
        assert_eq!(client("10.0.0.1", &["1.2.3.4:5678"]), "1.2.3.4");
        assert_eq!(client("10.0.0.1", &["[2001:db8::7]:443"]), "2001:db8::7");
        assert_eq!(client("10.0.0.1", &["[2001:db8::7]"]), "2001:db8::7");
        assert_eq!(client("::ffff:10.0.0.1", &["::ffff:1.2.3.4"]), "1.2.3.4");
        assert_eq!(client("fd00::1", &["1.2.3.4"]), "1.2.3.4");
    }

    #[test]
    fn a_network_is_an_address_or_a_prefix_with_no_bits_after_it() {
        for valid in [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.0.0.1/32",
            "10.0.0.1",
            "::/0",
            "fd00::/8",
            "::1",
        ] {
            assert!(TrustedProxies::new([valid]).is_ok(), "{valid}");
        }
        for invalid in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "fd00::/129",
            "proxy",
            "10.0.0.0/",
        ] {
            let error = TrustedProxies::new([invalid]).unwrap_err();
            assert!(error.to_string().contains(invalid));
        }
        let mapped = TrustedProxies::new(["::ffff:10.0.0.0/104"]).unwrap();
        assert_eq!(mapped.0, TrustedProxies::new(["10.0.0.0/8"]).unwrap().0);
        let all = TrustedProxies::new(["0.0.0.0/0"]).unwrap();
        assert!(all.trust("1.2.3.4".parse().unwrap()));
        assert!(!all.trust("2001:db8::7".parse().unwrap()));
    }

    #[test]
    fn addresses_of_one_owner_count_as_one() {
        let owner = |text: &str| owner_of(text.parse().unwrap()).to_string();
        assert_eq!(owner("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(owner("::ffff:192.0.2.7"), "192.0.2.7");
    }
}

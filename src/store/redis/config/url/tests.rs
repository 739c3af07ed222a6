use proptest::prelude::*;

use super::*;

fn refusal(url: &str) -> String {
    match parse(url) {
        Ok(_) => panic!("{url} is refused"),
        Err(error) => error.to_string(),
    }
}

fn server_of(url: &str) -> ConnectionInfo {
    match parse(url) {
        Ok(Url::Server(info)) => info,
        Ok(_) => panic!("{url} is one server"),
        Err(error) => panic!("{url}: {error}"),
    }
}

fn login_of_server(url: &str) -> (Option<String>, Option<String>) {
    let info = server_of(url);
    let settings = info.redis_settings();
    let owned = |text: Option<&str>| text.map(str::to_owned);
    (owned(settings.username()), owned(settings.password()))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn each_part_of_a_servers_url_may_be_left_out_but_the_host() {
    for (url, address, db) in [
        ("redis://host", "host:6379", 0),
        ("valkey://host/", "host:6379", 0),
        ("REDIS://10.0.0.1:1/3", "10.0.0.1:1", 3),
        ("redis://[::1]:7/0", "::1:7", 0),
        (" redis://[0:0:0:0:0:0:0:1]/2/\n", "::1:6379", 2),
    ] {
        let info = server_of(url);
        assert_eq!(info.addr().to_string(), address, "{url}");
        assert_eq!(info.redis_settings().db(), db, "{url}");
        assert_eq!(login_of_server(url), (None, None), "{url}");
    }
}

#[test]
fn user_and_password_are_percent_decoded_and_either_may_be_left_out() {
    for (url, login) in [
        ("redis://u:p@h", (some("u"), some("p"))),
        ("redis://us%40er:p%2Fw@h", (some("us@er"), some("p/w"))),
        ("redis://:p:q,r+s@h", (None, some("p:q,r+s"))),
        ("redis://u@h", (some("u"), None)),
        ("redis://u:@h", (some("u"), None)),
        ("redis://:@h", (None, None)),
        ("redis://@h", (None, None)),
        ("redis://:gr%C3%BCn@h", (None, some("grün"))),
        (
            "unix:///s?user=u%26&pass=p%3D+&db=1",
            (some("u&"), some("p=+")),
        ),
        ("redis+unix:///a%20b", (None, None)),
    ] {
        assert_eq!(login_of_server(url), login, "{url}");
    }
    let socket = server_of("valkey+unix:///a%20b?db=4");
    assert_eq!(socket.addr().to_string(), "/a b");
    assert_eq!(socket.redis_settings().db(), 4);
}

#[test]
fn a_cluster_is_some_of_its_nodes_with_one_user() {
    let url = "redis+cluster://u%40:p%2F@one:7000,two,[::1]:7002/";
    let Ok(Url::Cluster(nodes)) = parse(url) else {
        panic!("a cluster");
    };
    let addresses: Vec<_> = nodes.iter().map(|node| node.addr().to_string()).collect();
    assert_eq!(addresses, ["one:7000", "two:6379", "::1:7002"]);
    for node in &nodes {
        assert_eq!(node.redis_settings().username(), Some("u@"));
        assert_eq!(node.redis_settings().password(), Some("p/"));
    }
}

#[test]
fn sentinels_are_asked_for_a_service_whose_server_has_the_user_and_the_database() {
    let url = "redis+sentinel://u:p@one:7000,two,[::1]/shop/3";
    let Ok(Url::Sentinels {
        sentinels,
        service,
        primary,
    }) = parse(url)
    else {
        panic!("sentinels");
    };
    let addresses: Vec<_> = sentinels
        .iter()
        .map(|info| info.addr().to_string())
        .collect();
    assert_eq!(addresses, ["one:7000", "two:26379", "::1:26379"]);
    for sentinel in &sentinels {
        assert_eq!(sentinel.redis_settings().username(), None);
        assert_eq!(sentinel.redis_settings().password(), None);
    }
    assert_eq!(service, "shop");
    assert_eq!(primary.redis_settings().username(), Some("u"));
    assert_eq!(primary.redis_settings().db(), 3);
}

#[test]
fn each_part_that_is_not_what_it_should_be_is_named_and_not_repeated() {
    for (url, why) in [
        ("", "no scheme"),
        ("s3cret", "no scheme"),
        ("redis:/:s3cret@host", "no scheme"),
        ("http://u:s3cret@host", "another scheme"),
        ("s3cret://host", "another scheme"),
        ("redis+s3cret://host", "another scheme"),
        ("unix+cluster://s3cret", "another scheme"),
        ("redis://", "a host is"),
        ("redis://:s3cret@", "a host is"),
        ("redis://:s3cret", "a port is"),
        ("redis://u:s3cret@host:port", "a port is"),
        ("redis://u:s3cret@host:0", "a port is"),
        ("redis://u:s3cret@host:+1", "a port is"),
        ("redis://u:s3cret@[s3cret", "a host is"),
        ("redis://u:s3cret@[s3cret]", "a host is"),
        ("redis://u:s3cret@s3c ret", "a host is"),
        ("redis://u:s3cret@0.0.0.0", "listen on"),
        ("redis://u:s3cret@[::]", "listen on"),
        ("redis://u:s3cret@one,two", "several hosts"),
        ("redis://u:s3cret@host/zero", "a database is"),
        ("redis://u:s3cret@host/-1", "a database is"),
        ("redis://:s3cret#x@host", "no fragment"),
        ("redis://host?password=s3cret", "no query"),
        ("redis://host/?protocol=s3cret", "no query"),
        ("redis://:s3c/ret@host/0", "an @ after"),
        ("redis://u:12/s3cret@host:1", "an @ after"),
        ("redis://:s3c@ret@host", "more than one @"),
        ("redis://:s3cret%@host", "hexadecimal"),
        ("redis://:s3cret%2x@host", "hexadecimal"),
        ("redis://:s3cret%ff@host", "not UTF-8"),
        ("redis+unix://?pass=s3cret", "of a socket"),
        ("redis+unix://s3cret/path", "of a socket"),
        ("unix:///path?pass=s3c#ret", "of a socket"),
        ("unix:///path?password=s3cret", "only db, user and pass"),
        ("unix:///path?db=s3cret", "a database is"),
        ("redis+cluster://:s3cret@one/1", "no numbered databases"),
        ("redis+cluster://u:1/s3cret", "no numbered databases"),
        ("redis+cluster://:s3cret@one,,two", "a host is"),
        ("redis+cluster://:s3cret@one?x=1", "no query"),
        (
            "redis+cluster://:s3cret@one,u:s3cret@two",
            "more than one @",
        ),
        ("redis+cluster://", "a host is"),
        ("redis+sentinel://:s3cret@one,two", "the name of a service"),
        ("redis+sentinel://:s3cret@one/", "the name of a service"),
        ("redis+sentinel://one/s3c%20ret", "not percent-encoded"),
        ("redis+sentinel://u:1/s3cret:2", "not percent-encoded"),
        ("redis+sentinel://u:1/s3cret@one/shop", "an @ after"),
        ("redis+sentinel://one/shop/s3cret", "a database is"),
        ("redis+sentinel://one:s3cret/shop", "a port is"),
    ] {
        let refusal = refusal(url);
        assert!(refusal.contains(why), "{url}: {refusal}");
        assert!(!refusal.contains("s3c"), "{url}: {refusal}");
        assert!(!refusal.contains("ret@"), "{url}: {refusal}");
    }
}

#[cfg(feature = "redis-tls")]
#[test]
fn tls_that_verifies_nothing_is_refused() {
    assert!(refusal("rediss://localhost#insecure").contains("tls_ca_file"));
    // As it is read from a file.
    assert!(refusal("rediss://localhost/#insecure\n").contains("tls_ca_file"));
}

/// What a piece of a URL may be, with a secret in any of them.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(vec![
            "redis", "rediss", "valkey", "unix", "+cluster", "+sentinel", "+unix", "://", ":", "@", "/", "//", "?",
            "#", ",", "[", "]", "%", "%2F", "&", "=", "user", "pass", "db", "host", "6379", "0", "shop", "::1", ".", " ",
            "\n",
        ]).prop_map(str::to_owned),
        3 => Just(SECRET.to_owned()),
        1 => "[ -~ü]{0,3}",
    ]
}

const SECRET: &str = "Xq7zK";

proptest! {
    #[test]
    fn no_refusal_repeats_a_piece_of_the_url(
        scheme in proptest::sample::select(vec![
            "", "redis://", "rediss://", "redis+cluster://", "redis+sentinel://", "redis+unix://", "unix:///",
        ]),
        pieces in proptest::collection::vec(piece(), 0..12),
    ) {
        let url = format!("{scheme}{}", pieces.concat());
        if let Err(error) = parse(&url) {
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains(SECRET), "{url}: {shown}");
        }
    }
}

use super::{Found, NAME, ONE, find};

/// Values under the cookie's name that some parsers take for a token.
#[test]
fn no_forged_value_is_accepted() {
    let short = &ONE[..43];
    for value in [
        String::new(),
        short.to_owned(),
        format!("{ONE}A"),
        format!("{ONE}="),
        format!("={ONE}"),
        format!("\"{ONE}\""),
        format!("\"{short}"),
        format!("'{ONE}'"),
        format!("{ONE}."),
        format!("{ONE}.signature"),
        format!("{short}."),
        format!("{short}+"),
        format!("{short}/"),
        format!("{short}~"),
        format!("{short}%41"),
        format!("%41{}", &ONE[1..]),
        format!("{short}é"),
        format!("{short}\u{ff21}"),
        format!("{short}\\"),
        format!("{} {}", &ONE[..20], &ONE[20..]),
        format!("{} {}", &ONE[..20], &ONE[21..]),
        format!("{}\t{}", &ONE[..20], &ONE[21..]),
        format!("{ONE},{ONE}"),
        format!("{ONE}, {NAME}={ONE}"),
        format!("{ONE}\0"),
        format!("{short}\0"),
        format!("\0{ONE}"),
        format!("{ONE}\n"),
        format!("{ONE}\r\n"),
        format!("\u{b}{ONE}"),
        format!("\u{c}{ONE}"),
        format!("\u{a0}{ONE}"),
        format!("{ONE}\u{2003}"),
        format!("\u{feff}{ONE}"),
        format!("[{ONE}]"),
        format!("$Version=1,{ONE}"),
        "A".repeat(64 << 10),
        format!("{ONE}{}", "=".repeat(64 << 10)),
    ] {
        assert_eq!(find(&[format!("{NAME}={value}")]), Found::Malformed);
    }
}

/// Pairs that some parsers take for the session cookie.
#[test]
fn no_forged_name_is_accepted() {
    for pair in [
        ONE.to_owned(),
        format!("={ONE}"),
        format!(" ={ONE}"),
        format!("={NAME}={ONE}"),
        format!("{NAME}{ONE}"),
        format!("{NAME} {ONE}"),
        format!("{NAME}:{ONE}"),
        format!("__host-id={ONE}"),
        format!("__HOST-ID={ONE}"),
        format!("__Host-Id={ONE}"),
        format!("__Host-id.={ONE}"),
        format!("__Host-id[]={ONE}"),
        format!("__Host-id\0={ONE}"),
        format!("\0__Host-id={ONE}"),
        format!("\u{b}__Host-id={ONE}"),
        format!("__Host-id\n={ONE}"),
        format!("\u{a0}__Host-id={ONE}"),
        format!("__Host-id\u{a0}={ONE}"),
        format!("\u{feff}__Host-id={ONE}"),
        format!("\"__Host-id\"={ONE}"),
        format!("__Host%2Did={ONE}"),
        format!("%5F_Host-id={ONE}"),
        format!("__Host_id={ONE}"),
        format!("__Host-\u{131}d={ONE}"),
        format!("__Host- id={ONE}"),
        format!("id={ONE}"),
        format!("Host-id={ONE}"),
        format!("x__Host-id={ONE}"),
        format!("__Host-idp={ONE}"),
        format!("a=b, __Host-id={ONE}"),
        format!("a=b\n__Host-id={ONE}"),
        format!("a=b&__Host-id={ONE}"),
        format!("a=__Host-id={ONE}"),
        format!("$Path=/ __Host-id={ONE}"),
    ] {
        assert_eq!(find(&[pair.as_str()]), Found::Nothing, "{pair:?}");
    }
}

#[test]
fn a_token_cannot_be_put_together_from_several_pairs_or_headers() {
    let (left, right) = ONE.split_at(20);
    assert_eq!(find(&[format!("{NAME}={left};{right}")]), Found::Malformed);
    let lines = [format!("{NAME}={left}"), right.to_owned()];
    assert_eq!(find(&lines), Found::Malformed);
    let lines = [NAME.to_owned(), format!("={ONE}")];
    assert_eq!(find(&lines), Found::Nothing);
}

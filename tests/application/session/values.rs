//! Values: typed by serde, named by text or by typed keys.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_keycard::{FlashLevel, Key, MemoryStore, SessionConfig, SessionError, SessionLayer};

use crate::support::client::Client;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<(String, u32)>,
    notes: BTreeMap<String, Option<f64>>,
}

const CART: Key<Cart> = Key::new("cart");

fn cart() -> Cart {
    Cart {
        items: vec![("tea".into(), 2), ("\"quoted\" \u{1f375}\n".into(), 1)],
        notes: BTreeMap::from([("a".into(), Some(0.1)), ("b".into(), None)]),
    }
}

#[tokio::test]
async fn a_typed_key_brings_its_type_and_plain_text_takes_any() {
    let client = Client::new();
    client
        .request(async |session| {
            session.insert(CART, cart()).unwrap();
            session.insert("plain", 7_u8).unwrap();
            session.insert("owned".to_owned(), "text").unwrap();
        })
        .await;
    client
        .request(async |session| {
            assert_eq!(session.get(CART).unwrap(), Some(cart()));
            assert_eq!(session.get(&CART).unwrap(), Some(cart()));
            assert_eq!(session.get::<u64>("plain").unwrap(), Some(7));
            let text: Option<String> = session.get(String::from("owned")).unwrap();
            assert_eq!(text.as_deref(), Some("text"));
            assert_eq!(session.get::<String>(&String::from("none")).unwrap(), None);
            let run_time = Key::<Cart>::from_string(format!("ca{}", "rt"));
            assert_eq!(session.get(run_time).unwrap(), Some(cart()));
            assert_eq!(session.keys(), ["cart", "owned", "plain"]);
            assert!(session.contains_key("plain") && !session.contains_key("Plain"));
            assert!(!session.is_empty());
            assert!(session.contains_key(CART) && session.remove(&CART).unwrap());
            assert!(!session.contains_key("cart"));
        })
        .await;
}

#[tokio::test]
async fn a_number_that_differs_in_its_last_digit_is_stored() {
    let client = Client::new();
    for number in [u128::MAX - 1, u128::MAX] {
        client
            .request(async |session| session.insert("ids", [number]))
            .await;
        client
            .request(async |session| {
                assert_eq!(session.get::<Vec<u128>>("ids").unwrap(), Some(vec![number]));
            })
            .await;
    }
}

#[tokio::test]
async fn what_is_written_is_read_in_the_same_request() {
    let client = Client::new();
    client
        .request(async |session| {
            assert!(session.is_empty());
            session.insert("n", 1).unwrap();
            assert_eq!(session.get("n").unwrap(), Some(1));
            assert_eq!(
                session
                    .update("n", |n: Option<i32>| n.unwrap() + 1)
                    .unwrap(),
                2
            );
            assert_eq!(session.get("n").unwrap(), Some(2));
            assert_eq!(session.take::<i32>("n").unwrap(), Some(2));
            assert_eq!(session.get::<i32>("n").unwrap(), None);
            assert!(!session.remove("n").unwrap());
            session.insert("a", 1).unwrap();
            session.clear().unwrap();
            assert!(session.is_empty() && session.keys().is_empty());
        })
        .await;
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error_that_names_the_key_and_stays() {
    let client = Client::new();
    client
        .request(async |session| session.insert("age", "old"))
        .await;
    let response = client
        .request(async |session| {
            let wrong = session.get::<u32>("age").unwrap_err();
            assert!(matches!(&wrong, SessionError::Decode { key, .. } if key == "age"));
            assert!(wrong.to_string().contains("\"age\""));
            assert!(!wrong.to_string().contains("old"));
            assert!(std::error::Error::source(&wrong).is_some());
            assert!(session.take::<u32>("age").is_err());
            assert!(
                session
                    .update("age", |n: Option<u32>| n.unwrap_or(0))
                    .is_err()
            );
            assert_eq!(
                session.get::<String>("age").unwrap().as_deref(),
                Some("old")
            );
            session.insert("name", "alice").unwrap();
        })
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    client
        .request(async |session| assert_eq!(session.keys(), ["age", "name"]))
        .await;
}

#[tokio::test]
async fn a_value_that_cannot_be_written_as_json_is_an_error_that_names_the_key() {
    let client = Client::new();
    client
        .request(async |session| {
            let no_json = BTreeMap::from([((1, 2), 3)]);
            let error = session.insert("map", &no_json).unwrap_err();
            assert!(matches!(&error, SessionError::Encode { key, .. } if key == "map"));
            assert!(session.is_empty());
        })
        .await;
}

#[tokio::test]
async fn what_would_grow_too_large_is_refused_at_once_and_changes_nothing() {
    let layer = SessionLayer::builder(MemoryStore::new())
        .config(SessionConfig::new().max_data_size(64))
        .build()
        .unwrap();
    let client = Client::with(layer);
    client
        .request(async |session| {
            session.insert("a", "x".repeat(40)).unwrap();
            let error = session.insert("b", "x".repeat(40)).unwrap_err();
            assert!(matches!(error, SessionError::TooLarge { limit: 64 }));
            let error = session
                .update("b", |_: Option<String>| "x".repeat(40))
                .unwrap_err();
            assert!(matches!(error, SessionError::TooLarge { limit: 64 }));
            session.insert("a", "y".repeat(44)).unwrap();
        })
        .await;
    client
        .request(async |session| {
            assert_eq!(session.keys(), ["a"]);
            assert_eq!(session.get::<String>("a").unwrap().unwrap(), "y".repeat(44));
            // To the byte: {"a":"…"} is 8 bytes around the text.
            session.insert("a", "z".repeat(64 - 8)).unwrap();
            assert!(session.insert("a", "z".repeat(64 - 7)).is_err());
        })
        .await;
}

#[tokio::test]
async fn what_nests_too_deeply_is_refused_at_once() {
    let client = Client::new();
    client
        .request(async |session| {
            let nested = |depth: usize| {
                let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
                serde_json::from_str::<Value>(&text).unwrap()
            };
            session.insert("deep", nested(63)).unwrap();
            let error = session.insert("deeper", nested(64)).unwrap_err();
            assert!(matches!(&error, SessionError::TooDeep { key } if key == "deeper"));
        })
        .await;
    client
        .request(async |session| assert_eq!(session.keys(), ["deep"]))
        .await;
}

#[tokio::test]
async fn keys_may_be_any_text_but_those_of_the_crate_itself() {
    let client = Client::new();
    let names = [
        "",
        " ",
        "say \"hi\"",
        "back\\slash",
        "new\nline",
        "\u{0}",
        "ünï",
        "__proto__",
    ];
    client
        .request(async move |session| {
            for (number, name) in names.into_iter().enumerate() {
                session.insert(name, number).unwrap();
            }
            for refused in ["_keycard.csrf", "_keycard."] {
                let error = session.insert(refused, 1).unwrap_err();
                assert!(matches!(&error, SessionError::ReservedKey { key } if key == refused));
                assert!(session.update(refused, |_: Option<u8>| 1).is_err());
                assert!(session.remove(refused).is_err());
            }
        })
        .await;
    client
        .request(async move |session| {
            for (number, name) in names.into_iter().enumerate() {
                assert_eq!(session.get(name).unwrap(), Some(number), "{name:?}");
            }
            assert_eq!(session.keys().len(), names.len());
            assert!(
                names
                    .iter()
                    .all(|name| session.keys().iter().any(|key| key == name))
            );
        })
        .await;
}

#[tokio::test]
async fn what_the_crate_keeps_for_itself_can_be_neither_read_nor_written() {
    let client = Client::new();
    client
        .request(async |session| {
            let token = session.csrf_token()?;
            session.flash(FlashLevel::Info, "for the next page")?;
            for name in ["_keycard.csrf", "_keycard.flashes", "_keycard.none"] {
                let typed = Key::<Value>::new(name);
                let refused = [
                    session.get(&typed).map(drop),
                    session.get::<Vec<String>>(name).map(drop),
                    session.take(&typed).map(drop),
                    session.insert(&typed, Value::Null),
                    session.insert(name, "mine"),
                    session.update(name, |_: Option<u8>| 1).map(drop),
                    session.remove(&typed).map(drop),
                ];
                for refused in refused {
                    assert!(
                        matches!(&refused, Err(SessionError::ReservedKey { key }) if key == name),
                        "{refused:?}"
                    );
                }
                assert!(!session.contains_key(name) && !session.contains_key(&typed));
            }
            assert!(session.keys().is_empty() && session.is_empty());
            session.clear()?;
            session.verify_csrf(token.as_str())?;
            session.login_keeping("alice", &["_keycard.csrf"])?;
            assert!(session.verify_csrf(token.as_str()).is_err());
            assert_eq!(session.take_flashes()?.len(), 1);
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn serde_shapes_that_raw_json_is_known_to_trip_over_survive() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Move { x: i64, y: i64 },
        Say { words: String },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        id: u64,
        #[serde(flatten)]
        rest: BTreeMap<String, Tagged>,
    }
    fn flat() -> Flat {
        let rest = BTreeMap::from([
            (
                "go".into(),
                Tagged::Move {
                    x: i64::MIN,
                    y: i64::MAX,
                },
            ),
            (
                "hi".into(),
                Tagged::Say {
                    words: "\u{2028}".into(),
                },
            ),
        ]);
        Flat { id: u64::MAX, rest }
    }
    let client = Client::new();
    client
        .request(async |session| session.insert("flat", flat()))
        .await;
    client
        .request(async |session| assert_eq!(session.get("flat").unwrap(), Some(flat())))
        .await;
}

#[tokio::test]
async fn what_would_be_read_as_another_value_is_refused_under_every_key_that_can_know() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Number { number: u128 },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Counts {
        name: String,
        #[serde(flatten)]
        counts: BTreeMap<u32, u32>,
    }
    const TAGGED: Key<Tagged> = Key::new("value");
    let tagged = || Tagged::Number { number: 7 };
    let counts = || Counts {
        name: "name".to_owned(),
        counts: BTreeMap::from([(7, 1)]),
    };
    let client = Client::new();
    client
        .request(async |session| {
            session.insert("value", 1)?;
            let refused = [
                session.insert("value", f64::NAN),
                session.insert("value", vec![Some(f32::INFINITY)]),
                session.insert("value", Some(None::<u8>)),
                session.insert("value", Some(())),
                session.insert("value", counts()),
                session.insert(TAGGED, tagged()),
                session.insert(Key::from_string("value".to_owned()), tagged()),
                session.update("other", move |_| tagged()).map(drop),
                session
                    .update("other", |_: Option<Option<f64>>| Some(f64::NAN))
                    .map(drop),
                session.flash(FlashLevel::Info, f64::NAN),
            ];
            for (number, refused) in refused.into_iter().enumerate() {
                let expected = match number {
                    0..=6 => "value",
                    7 | 8 => "other",
                    _ => "_keycard.flashes",
                };
                assert!(
                    matches!(&refused, Err(SessionError::Encode { key, .. }) if key == expected),
                    "{number}: {refused:?}"
                );
            }
            assert_eq!(session.get("value")?, Some(1));
            assert_eq!(session.keys(), ["value"]);
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn an_update_from_within_an_update_sees_the_session_and_does_not_lock_up() {
    let client = Client::new();
    client
        .request(async |session| {
            let inner = session.clone();
            let sum = session
                .update("sum", move |sum: Option<u32>| {
                    let other: u32 = inner.get("other").unwrap().unwrap_or(1);
                    inner.insert("other", other).unwrap();
                    sum.unwrap_or(0) + other
                })
                .unwrap();
            assert_eq!(sum, 1);
            assert_eq!(session.keys(), ["other", "sum"]);
        })
        .await;
}

#[tokio::test]
async fn dropping_what_an_update_captured_may_use_the_session() {
    struct OnDrop(tower_keycard::Session);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            let _ = self.0.keys();
        }
    }
    let client = Client::new();
    client
        .request(async |session| {
            let captured = OnDrop(session.clone());
            session
                .update("n", move |n: Option<u32>| {
                    let _keep = &captured;
                    n.unwrap_or(0) + 1
                })
                .unwrap();
            session.insert("n", 5).unwrap();
            let captured = OnDrop(session.clone());
            session
                .update("m", move |m: Option<u32>| {
                    let _keep = &captured;
                    m.unwrap_or(0)
                })
                .unwrap();
            session.logout().unwrap();
        })
        .await;
}

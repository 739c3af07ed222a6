use redis::ConnectionInfo;

use super::*;

fn problem(config: impl Into<RedisConfig>) -> String {
    let Err(error) = config.into().validate() else {
        panic!("refused");
    };
    assert_eq!(error.kind(), crate::store::StoreErrorKind::Refused);
    error.to_string()
}

fn server_of(config: &ValidConfig) -> &ConnectionInfo {
    let Url::Server(info) = &config.url else {
        panic!("one server");
    };
    info
}

#[test]
fn a_bad_url_is_refused_without_repeating_its_password() {
    let problem = problem("redis://u:s3cret@host:port");
    assert!(problem.contains("not a Redis URL"), "{problem}");
    assert!(!problem.contains("s3c"), "{problem}");
}

#[test]
fn an_empty_prefix_and_timeouts_of_nothing_or_for_ever_are_refused() {
    let config = RedisConfig::new("redis://localhost");
    assert!(problem(config.clone().prefix("")).contains("prefix is empty"));
    assert!(problem(config.clone().connect_timeout(Duration::ZERO)).contains("connect_timeout"));
    assert!(problem(config.clone().response_timeout(Duration::ZERO)).contains("response_timeout"));
    assert!(problem(config.response_timeout(Duration::MAX)).contains("an hour"));
}

#[test]
fn a_user_without_a_password_logs_in_with_an_empty_one() {
    let options = RedisConfig::new("redis://localhost").username("user");
    for config in [RedisConfig::new("redis://user@localhost"), options] {
        let config = config.validate().unwrap();
        let settings = server_of(&config).redis_settings();
        assert_eq!(settings.username(), Some("user"));
        assert_eq!(settings.password(), Some(""));
    }
    let nobody = RedisConfig::new("redis://localhost").validate().unwrap();
    assert_eq!(server_of(&nobody).redis_settings().password(), None);
}

#[test]
fn an_authority_for_a_connection_without_tls_is_refused() {
    let config = RedisConfig::new("redis://localhost").tls_ca_file("ca.pem");
    assert!(problem(config).contains("rediss://"));
}

#[cfg(not(feature = "redis-tls"))]
#[test]
fn tls_without_its_feature_names_the_feature() {
    assert!(problem("rediss://localhost").contains("`redis-tls`"));
}

#[cfg(feature = "redis-tls")]
#[test]
fn an_authority_file_that_is_missing_or_no_certificate_is_refused() {
    let config = RedisConfig::new("rediss://localhost");
    assert!(problem(config.clone().tls_ca_file("/nonexistent.pem")).contains("nonexistent"));
    let problem = problem(config.tls_ca_file(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")));
    assert!(problem.contains("no PEM certificate"), "{problem}");
}

#[test]
fn user_password_database_and_defaults_come_from_the_url() {
    let config = RedisConfig::new("redis://us%40er:p%2Fw@localhost:6380/3").validate();
    let config = config.unwrap();
    let info = server_of(&config);
    let settings = info.redis_settings();
    assert_eq!(settings.username(), Some("us@er"));
    assert_eq!(settings.password(), Some("p/w"));
    assert_eq!(settings.db(), 3);
    assert_eq!(info.addr().to_string(), "localhost:6380");
    assert_eq!(&*config.prefix, "keycard:");
    assert_eq!(config.connect_timeout, Duration::from_secs(1));
    assert_eq!(config.response_timeout, Duration::from_millis(500));
}

#[test]
fn user_and_password_of_the_configuration_replace_those_of_the_url() {
    let config = RedisConfig::new("redis://a:b@localhost")
        .username("u")
        .password("p%2F");
    let config = config.validate().unwrap();
    let settings = server_of(&config).redis_settings();
    assert_eq!(settings.username(), Some("u"));
    assert_eq!(settings.password(), Some("p%2F"));
}

#[test]
fn a_configuration_file_names_the_same_fields() {
    let config: RedisConfig = serde_json::from_str(
        r#"{"url": "redis://localhost", "prefix": "shop:", "response_timeout": "250ms"}"#,
    )
    .unwrap();
    let config = config.validate().unwrap();
    assert_eq!(&*config.prefix, "shop:");
    assert_eq!(config.response_timeout, Duration::from_millis(250));
    assert!(serde_json::from_str::<RedisConfig>(r#"{"url": "redis://h", "urll": ""}"#).is_err());
}

#[test]
fn printing_a_configuration_shows_no_password() {
    let config = RedisConfig::new("redis://u:s3cret@localhost")
        .password("s3cret")
        .sentinel_password("s3cret");
    assert!(!format!("{config:?} {config:#?}").contains("s3cret"));
}

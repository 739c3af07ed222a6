//! What `docker-compose.yml` configures for the login example, and how that is built.

use tower_keycard::store::RedisConfig;

use super::*;

#[test]
fn the_image_understands_every_url_of_its_compositions() {
    let compose = include_str!("../../../docker-compose.yml");
    let urls = compose.lines().filter_map(|line| {
        let (_, url) = line.split_once("KEYCARD_STORE: ")?;
        Some(url.replace("${REDIS_PASSWORD:-keycard}", "keycard"))
    });
    let image = include_str!("../../../Dockerfile");
    let (_, features) = image.split_once("--features ").unwrap();
    let features = features.split_whitespace().next().unwrap();
    assert!(features.split(',').any(|feature| feature == "redis"));
    let mut schemes = Vec::new();
    for url in urls {
        let error = RedisStore::connect_lazily(RedisConfig::new(&url)).err();
        assert!(error.is_none(), "{url}: {error:?}");
        schemes.push(url.split_once("://").unwrap().0.to_owned());
    }
    assert_eq!(schemes, ["redis", "redis+cluster", "redis+sentinel"]);
}

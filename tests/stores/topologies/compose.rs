//! What `docker-compose.yml` tells the login example, and how that is built.

use tower_keycard::RedisConfig;

use super::*;

#[test]
fn the_image_understands_every_url_of_its_compositions() {
    let compose = include_str!("../../../docker-compose.yml");
    let urls = compose.lines().filter_map(|line| {
        let (_, url) = line.split_once("KEYCARD_STORE: ")?;
        Some(url.replace("${REDIS_PASSWORD:-keycard}", "keycard"))
    });
    let image = include_str!("../../../Dockerfile");
    let mut kinds = Vec::new();
    for url in urls {
        let error = RedisStore::lazy(RedisConfig::new(&url)).err();
        assert!(error.is_none(), "{url}: {error:?}");
        let scheme = url.split_once("://").unwrap().0;
        let feature = scheme.replace('+', "-");
        let features = image.split([' ', ',']);
        assert!(features.into_iter().any(|known| known == feature), "{url}");
        kinds.push(feature);
    }
    assert_eq!(kinds, ["redis", "redis-cluster", "redis-sentinel"]);
}

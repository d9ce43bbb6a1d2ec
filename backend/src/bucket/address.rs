//! Where a bucket is asked for: in its host's name, or in the path.

use http::Uri;

use super::BucketConfig;

/// Origin, Host header and base path of a bucket.
pub(super) fn address(config: &BucketConfig, region: &str) -> Option<(String, String, String)> {
    let endpoint = match &config.endpoint {
        Some(endpoint) => endpoint.clone(),
        None if region.starts_with("cn-") => format!("https://s3.{region}.amazonaws.com.cn"),
        None => format!("https://s3.{region}.amazonaws.com"),
    };
    let uri: Uri = endpoint.parse().ok()?;
    let scheme = uri.scheme_str()?;
    let mut host = uri.authority()?.as_str().to_owned();
    // Hosts leave out a scheme's own port, and the signature covers the Host header.
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    if let Some(bare) = host.strip_suffix(own_port) {
        host = bare.to_owned();
    }
    let mut base = uri.path().trim_end_matches('/').to_owned();
    if config.uses_path_style() {
        base = format!("{base}/{}", config.bucket);
    } else {
        host = format!("{}.{host}", config.bucket);
    }
    Some((format!("{scheme}://{host}"), host, base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let config = |endpoint: Option<&str>, path_style| BucketConfig {
            bucket: "cache".to_owned(),
            endpoint: endpoint.map(str::to_owned),
            path_style,
            ..BucketConfig::default()
        };
        let cases = [
            (
                config(None, None),
                "https://cache.s3.eu-west-1.amazonaws.com",
                "",
            ),
            (
                config(None, Some(true)),
                "https://s3.eu-west-1.amazonaws.com",
                "/cache",
            ),
            (
                config(Some("http://127.0.0.1:9000"), None),
                "http://127.0.0.1:9000",
                "/cache",
            ),
            (
                config(Some("https://s3.example.org:443/x/"), None),
                "https://s3.example.org",
                "/x/cache",
            ),
            (
                config(Some("https://s3.example.org"), Some(false)),
                "https://cache.s3.example.org",
                "",
            ),
        ];
        for (config, origin, base) in cases {
            let (got_origin, host, got_base) = address(&config, "eu-west-1").expect("an address");
            assert_eq!((got_origin.as_str(), got_base.as_str()), (origin, base));
            assert!(origin.ends_with(&host));
        }
    }
}

//! A bucket as what a Nix client reads without this server.

use snowbank_shared::nix_conf::SubstituterUrl;

use super::Source;

impl Source {
    /// The bucket as a substituter of its own (PROTOCOL.md §13): one of AWS, or behind https,
    /// because an endpoint without TLS is one of the server's own network. A host without a port is
    /// written as every version of Nix reads it, one with a port as those from 2.33 on do.
    ///
    /// `None` for a folder, and where the address cannot stand in nix.conf.
    pub fn substituter(&self) -> Option<SubstituterUrl> {
        let Self::Bucket {
            bucket,
            prefix,
            endpoint,
            region,
            path_style,
            ..
        } = self
        else {
            return None;
        };
        let url = format!("s3://{bucket}/{prefix}");
        let url = url.trim_end_matches('/');
        let mut parameters = Vec::new();
        if let Some(endpoint) = endpoint {
            let host = endpoint.strip_prefix("https://")?.trim_end_matches('/');
            let is_plain = !host.contains([':', '/']);
            parameters.push(match is_plain {
                true => format!("endpoint={host}"),
                false => format!("endpoint=https://{host}"),
            });
            if *path_style == Some(false) {
                parameters.push("addressing-style=virtual".to_owned());
            }
        }
        parameters.extend(region.iter().map(|region| format!("region={region}")));
        let url = match parameters.is_empty() {
            true => url.to_owned(),
            false => format!("{url}?{}", parameters.join("&")),
        };
        url.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::Credentials;

    fn url(
        prefix: &str,
        endpoint: Option<&str>,
        region: Option<&str>,
        path_style: Option<bool>,
    ) -> Option<String> {
        let source = Source::Bucket {
            bucket: "team".to_owned(),
            prefix: prefix.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            region: region.map(str::to_owned),
            path_style,
            credentials: Credentials::default(),
        };
        source.substituter().map(|url| url.to_string())
    }

    #[test]
    fn a_bucket_that_clients_can_reach_is_a_substituter() {
        assert_eq!(url("", None, None, None).as_deref(), Some("s3://team"));
        assert_eq!(
            url("nix/", None, Some("eu-west-1"), None).as_deref(),
            Some("s3://team/nix?region=eu-west-1")
        );
        let garage = Some("https://s3.example.org/");
        assert_eq!(
            url("nix/", garage, Some("garage"), Some(true)).as_deref(),
            Some("s3://team/nix?endpoint=s3.example.org&region=garage")
        );
        assert_eq!(
            url("", garage, None, Some(false)).as_deref(),
            Some("s3://team?endpoint=s3.example.org&addressing-style=virtual")
        );
        let minio = Some("https://minio.example.org:9000");
        assert_eq!(
            url("", minio, None, None).as_deref(),
            Some("s3://team?endpoint=https://minio.example.org:9000")
        );
        assert_eq!(url("", Some("http://10.0.0.1:9000"), None, None), None);
        assert_eq!(url("a b/", None, None, None), None);
        let folder = Source::Folder {
            folder: "/srv".into(),
            prefix: String::new(),
        };
        assert_eq!(folder.substituter(), None);
    }
}

//! Addresses about what stays and what is held back: pins, quarantine.

use std::fmt;

use super::escape;
use crate::api::pins::is_pin_name;

/// A page about what stays and what is held back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PinsRoute {
    /// `/c/{cache}/pins`: what must stay.
    Pins {
        /// Slug of the cache.
        cache: String,
    },
    /// `/c/{cache}/pins/{name}`, `/c/{cache}/pins/{name}@{revision}`: one pin.
    Pin {
        /// Slug of the cache.
        cache: String,
        /// The pin's name.
        name: String,
        /// One of its revisions; `None`: whichever is newest.
        revision: Option<u64>,
    },
    /// `/c/{cache}/quarantine`: what clients are not served.
    Quarantine {
        /// Slug of the cache.
        cache: String,
    },
}

/// The name and number of `name` or `name@number`.
pub fn pin_at(text: &str) -> Option<(&str, Option<u64>)> {
    let (name, revision) = match text.split_once('@') {
        None => (text, None),
        Some((name, number)) => {
            let plain =
                number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
            (name, Some(number.parse().ok().filter(|_| plain)?))
        }
    };
    is_pin_name(name).then_some((name, revision))
}

impl PinsRoute {
    /// The cache it is about.
    pub fn cache(&self) -> &str {
        match self {
            Self::Pins { cache } | Self::Pin { cache, .. } | Self::Quarantine { cache } => cache,
        }
    }

    /// One revision of a pin.
    pub fn revision(cache: impl Into<String>, name: impl Into<String>, revision: u64) -> Self {
        Self::Pin {
            cache: cache.into(),
            name: name.into(),
            revision: Some(revision),
        }
    }

    /// The page of a path's segments; `None` where it is another's.
    pub(super) fn parse(segments: &[&str]) -> Option<Self> {
        Some(match segments {
            ["c", cache, "pins"] => Self::Pins {
                cache: (*cache).to_owned(),
            },
            ["c", cache, "pins", pin] => {
                let (name, revision) = pin_at(pin)?;
                Self::Pin {
                    cache: (*cache).to_owned(),
                    name: name.to_owned(),
                    revision,
                }
            }
            ["c", cache, "quarantine"] => Self::Quarantine {
                cache: (*cache).to_owned(),
            },
            _ => return None,
        })
    }
}

impl fmt::Display for PinsRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pins { cache } => write!(f, "/c/{}/pins", escape(cache)),
            Self::Pin {
                cache,
                name,
                revision,
            } => {
                write!(f, "/c/{}/pins/{}", escape(cache), escape(name))?;
                match revision {
                    Some(revision) => write!(f, "@{revision}"),
                    None => Ok(()),
                }
            }
            Self::Quarantine { cache } => write!(f, "/c/{}/quarantine", escape(cache)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Route, RouteError};

    #[test]
    fn every_page_about_what_stays_is_read_back() {
        let cache = || "main".to_owned();
        for (route, text) in [
            (PinsRoute::Pins { cache: cache() }, "/c/main/pins"),
            (
                PinsRoute::Pin {
                    cache: cache(),
                    name: "prod".into(),
                    revision: None,
                },
                "/c/main/pins/prod",
            ),
            (
                PinsRoute::revision("main", "pr-7.x_y", 14),
                "/c/main/pins/pr-7.x_y@14",
            ),
            (
                PinsRoute::Quarantine { cache: cache() },
                "/c/main/quarantine",
            ),
        ] {
            let route = Route::Pins(route);
            assert_eq!(route.to_string(), text);
            assert_eq!(text.parse(), Ok(route));
        }
        for text in [
            "/c/main/pins/Prod",
            "/c/main/pins/prod@",
            "/c/main/pins/prod@x",
            "/c/main/pins/prod@014",
            "/c/main/pins/prod@+1",
            "/c/main/pins/prod@99999999999999999999",
            "/c/main/pins/prod@1@2",
            "/c/main/pins/prod/more",
        ] {
            assert_eq!(text.parse::<Route>(), Err(RouteError::NoSuchPage), "{text}");
        }
    }
}

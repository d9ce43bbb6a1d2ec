//! What was seen of one machine.

use std::net::IpAddr;

use snowbank_shared::api::{LiveMachine, MachineState};
use time::{Duration, OffsetDateTime};

use crate::index::rfc3339;

/// Characters of a client's own name that are kept.
const LONGEST_CLIENT: usize = 60;

/// What a machine asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// `nix-cache-info`, answered.
    CacheInfo,
    /// The narinfo of the path, answered.
    Narinfo,
    /// The NAR of the path, answered.
    Nar,
    /// Anything of the cache, refused with this status.
    Refused(u16),
}

/// A machine: an address and what it calls itself.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    address: IpAddr,
    client: String,
    first: OffsetDateTime,
    last: OffsetDateTime,
    cache_info: Option<OffsetDateTime>,
    narinfo: Option<OffsetDateTime>,
    nar: Option<OffsetDateTime>,
    refused: Option<(OffsetDateTime, u16)>,
}

impl Machine {
    pub(super) const fn new(address: IpAddr, client: String, now: OffsetDateTime) -> Self {
        Self {
            address,
            client,
            first: now,
            last: now,
            cache_info: None,
            narinfo: None,
            nar: None,
            refused: None,
        }
    }

    pub(super) fn is(&self, address: IpAddr, client: &str) -> bool {
        self.address == address && self.client == client
    }

    /// Notes what it asked for. The first narinfo counts: from then on it had everything to decide.
    pub(super) fn saw(&mut self, sight: Sight, now: OffsetDateTime) {
        self.last = now;
        match sight {
            Sight::CacheInfo => self.cache_info = Some(now),
            Sight::Narinfo => {
                self.narinfo.get_or_insert(now);
            }
            Sight::Nar => {
                self.nar.get_or_insert(now);
            }
            Sight::Refused(status) => self.refused = Some((now, status)),
        }
    }

    /// Whether it has done more than ask which store the cache is for.
    pub(super) const fn has_tried(&self) -> bool {
        self.narinfo.is_some() || self.nar.is_some() || self.refused.is_some()
    }

    fn state(&self, quiet: Duration, now: OffsetDateTime) -> MachineState {
        match (self.nar, self.narinfo, self.refused) {
            (Some(_), _, _) => MachineState::Works,
            (None, Some(found), _) if now - found >= quiet => MachineState::NotTrusted,
            (None, Some(_), _) => MachineState::Found,
            (None, None, Some(_)) => MachineState::NoToken,
            (None, None, None) => MachineState::Introduced,
        }
    }

    /// The machine as `viewer` sees it.
    pub(super) fn describe(
        &self,
        quiet: Duration,
        now: OffsetDateTime,
        viewer: Viewer,
    ) -> LiveMachine {
        let spelled = |time: OffsetDateTime| rfc3339(time.unix_timestamp());
        LiveMachine {
            address: viewer.sees(self.address),
            client: self.client.clone(),
            state: self.state(quiet, now),
            first_at: spelled(self.first),
            last_at: spelled(self.last),
            cache_info_at: self.cache_info.map(spelled),
            narinfo_at: self.narinfo.map(spelled),
            nar_at: self.nar.map(spelled),
            refused_at: self.refused.map(|(time, _)| spelled(time)),
            refused_with: self.refused.map(|(_, status)| status),
        }
    }
}

/// Who looks at a check.
#[derive(Debug, Clone, Copy)]
pub struct Viewer {
    /// The address that asks.
    pub address: IpAddr,
    /// Whether it is somebody whom we know.
    pub known: bool,
}

impl Viewer {
    /// An address as this viewer may see it: strangers see the network of others only.
    fn sees(self, address: IpAddr) -> String {
        if self.known || address == self.address {
            return address.to_string();
        }
        match address {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                format!("{a}.{b}.{c}.x")
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        }
    }
}

/// What a `User-Agent` says in words: `curl/8.14.1 Nix/2.28.3` is `Nix 2.28.3`.
pub(super) fn client(user_agent: &str) -> String {
    let mut products = user_agent.split_ascii_whitespace().filter(|product| {
        product.contains('/') && product.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let first = products.next();
    let own = products.next().filter(|_| {
        // The library comes first, the program behind it.
        first.is_some_and(|first| first.starts_with("curl/"))
    });
    let mut words = own.or(first).map_or_else(
        || "unknown client".to_owned(),
        |said| said.replacen('/', " ", 1),
    );
    words.truncate(LONGEST_CLIENT);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_named_by_their_own_word() {
        for (agent, words) in [
            ("curl/7.84.0 Nix/2.8.0", "Nix 2.8.0"),
            ("curl/8.14.1 Lix/2.93.0", "Lix 2.93.0"),
            ("curl/8.5.0", "curl 8.5.0"),
            ("Mozilla/5.0 (X11) Gecko/1", "Mozilla 5.0"),
            ("", "unknown client"),
            ("\u{1b}[31mred/1", "unknown client"),
        ] {
            assert_eq!(client(agent), words, "{agent}");
        }
        assert_eq!(client(&format!("x/{}", "9".repeat(500))).len(), 60);
    }

    #[test]
    fn strangers_see_the_network_of_others() {
        let viewer = |known| Viewer {
            address: [192, 0, 2, 7].into(),
            known,
        };
        let other: IpAddr = "203.0.113.9".parse().expect("an address");
        let six: IpAddr = "2001:db8:1:2:3::4".parse().expect("an address");
        assert_eq!(viewer(false).sees(other), "203.0.113.x");
        assert_eq!(viewer(false).sees(six), "2001:db8:1:2::/64");
        assert_eq!(viewer(false).sees([192, 0, 2, 7].into()), "192.0.2.7");
        assert_eq!(viewer(true).sees(other), "203.0.113.9");
    }
}

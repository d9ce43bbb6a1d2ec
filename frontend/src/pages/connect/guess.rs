//! What is taken where the address says nothing: the place that was chosen last in this browser,
//! and the system that it runs on.

use leptos::prelude::*;
use snowbank_shared::route::ConnectTarget;
use snowbank_shared::snippets::System;

/// Where the last choice is kept.
const KEPT: &str = "snowbank.connect-target";

/// What is guessed. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Guess {
    /// What this browser runs on.
    pub system: System,
    /// The place that was chosen last; nothing where none was.
    last: RwSignal<Option<ConnectTarget>>,
}

impl Guess {
    /// As this browser is.
    pub fn here() -> Self {
        let navigator = window().navigator();
        let agent = navigator.user_agent().unwrap_or_default();
        let kept = window().local_storage().ok().flatten();
        let kept = kept.and_then(|storage| storage.get_item(KEPT).ok().flatten());
        let last = kept.and_then(|word| {
            let mut all = ConnectTarget::ALL.iter().copied();
            all.find(|target| target.as_str() == word)
        });
        Self {
            system: system(&agent),
            last: RwSignal::new(last),
        }
    }

    /// The place to begin with; tracked.
    pub fn target(self) -> ConnectTarget {
        self.last.get().unwrap_or_else(|| first(self.system))
    }

    /// Somebody chose.
    pub fn remember(self, target: ConnectTarget) {
        self.last.set(Some(target));
        if let Ok(Some(storage)) = window().local_storage() {
            // A browser that keeps nothing only forgets the choice.
            let _ = storage.set_item(KEPT, target.as_str());
        }
    }

    /// Why this place, where nobody chose it; tracked.
    pub fn words(self) -> &'static str {
        if self.last.with(Option::is_some) {
            return "As chosen last in this browser.";
        }
        match self.system {
            System::MacOs => {
                "Guessed: this browser runs on macOS. Where nix-darwin or Determinate Nix writes the configuration, choose them."
            }
            System::Linux => {
                "Guessed: this browser runs on Linux. Where NixOS or home-manager writes the configuration, choose them."
            }
            System::Any => {
                "This browser runs on no system of Nix: one command tries the cache on a machine that has it. Choose where the lines go."
            }
        }
    }
}

/// The place to begin with on a system: the machine's own file, which every Nix there reads; where
/// Nix does not run, what can be sent to a machine on which it does.
const fn first(system: System) -> ConnectTarget {
    match system {
        System::Linux | System::MacOs => ConnectTarget::NixConf,
        System::Any => ConnectTarget::Command,
    }
}

/// What a browser says that it runs on. Nix on Windows is Nix on Linux, in WSL; phones have none.
fn system(agent: &str) -> System {
    let has = |word: &str| agent.contains(word);
    if has("Android") || has("iPhone") || has("iPad") {
        System::Any
    } else if has("Macintosh") || has("Mac OS X") {
        System::MacOs
    } else if has("Linux") || has("X11") || has("Windows") {
        System::Linux
    } else {
        System::Any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_say_what_they_run_on() {
        for (agent, expected) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                System::Linux,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15",
                System::MacOs,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0",
                System::Linux,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15",
                System::Any,
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile",
                System::Any,
            ),
            ("", System::Any),
        ] {
            assert_eq!(system(agent), expected, "{agent}");
        }
        assert_eq!(first(System::MacOs), ConnectTarget::NixConf);
        assert_eq!(first(System::Any), ConnectTarget::Command);
    }
}

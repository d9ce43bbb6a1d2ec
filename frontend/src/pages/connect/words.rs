//! The words of the generator's choices.

use snowbank_shared::route::{
    ConnectAccess, ConnectExtra, ConnectFlavour, ConnectInstaller, ConnectScope, ConnectTarget,
};

/// The targets by where they are, each with its word.
pub const TARGETS: [(&str, &[(ConnectTarget, &str)]); 4] = [
    (
        "This machine",
        &[
            (ConnectTarget::NixConf, "nix.conf"),
            (ConnectTarget::Determinate, "Determinate Nix"),
            (ConnectTarget::User, "Normal user on a managed machine"),
            (ConnectTarget::NixOs, "NixOS module"),
            (ConnectTarget::NixOsFlake, "NixOS by a flake input"),
            (ConnectTarget::HomeManager, "home-manager"),
            (ConnectTarget::NixDarwin, "nix-darwin"),
            (ConnectTarget::Install, "Install script"),
            (ConnectTarget::Netrc, "netrc: only the token"),
            (ConnectTarget::Command, "One command, to try it"),
        ],
    ),
    (
        "Project",
        &[
            (ConnectTarget::Flake, "nixConfig of a flake"),
            (ConnectTarget::Devenv, "devenv"),
            (ConnectTarget::Direnv, "direnv or a shell"),
        ],
    ),
    (
        "CI",
        &[
            (ConnectTarget::GitHub, "GitHub Actions"),
            (ConnectTarget::GitLab, "GitLab CI"),
        ],
    ),
    ("Container", &[(ConnectTarget::Docker, "Dockerfile")]),
];

/// Who somebody is on the machine.
pub const fn scope_word(scope: ConnectScope) -> &'static str {
    match scope {
        ConnectScope::Unknown => "I don't know",
        ConnectScope::Admin => "Admin or root",
        ConnectScope::User => "Normal user",
        ConnectScope::Single => "Single-user installation",
        ConnectScope::Ci => "A CI job",
    }
}

/// Which Nix.
pub const fn flavour_word(flavour: ConnectFlavour) -> &'static str {
    match flavour {
        ConnectFlavour::Nix => "Nix 2.4 or newer",
        ConnectFlavour::Determinate => "Determinate Nix",
        ConnectFlavour::Lix => "Lix",
        ConnectFlavour::Old => "Nix before 2.4",
    }
}

/// How the cache is read.
pub const fn access_word(access: ConnectAccess) -> &'static str {
    match access {
        ConnectAccess::Auto => "As the cache needs it",
        ConnectAccess::Public => "Without a token",
        ConnectAccess::Token => "With a token (netrc)",
        ConnectAccess::S3 => "Straight from the bucket (s3://)",
    }
}

/// The action that installs Nix in a workflow.
pub const fn installer_word(installer: ConnectInstaller) -> &'static str {
    match installer {
        ConnectInstaller::InstallNix => "cachix/install-nix-action",
        ConnectInstaller::Determinate => "DeterminateSystems/nix-installer-action",
        ConnectInstaller::Quick => "nixbuild/nix-quick-install-action",
    }
}

/// A setting beside, and why one might want it.
pub const fn extra_words(extra: ConnectExtra) -> (&'static str, &'static str) {
    match extra {
        ConnectExtra::Fallback => (
            "fallback = true",
            "Builds go on when the cache fails in the middle of a download.",
        ),
        ConnectExtra::Timeout => (
            "connect-timeout = 5",
            "A cache that is down costs seconds, not minutes.",
        ),
        ConnectExtra::Misses => (
            "narinfo-cache-negative-ttl = 1",
            "For CI: what was just uploaded is found, not remembered as missing for an hour.",
        ),
        ConnectExtra::Bucket => (
            "The bucket as a second substituter",
            "With the same key: reads go on when this server does not.",
        ),
    }
}

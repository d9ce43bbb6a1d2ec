//! The templates of machines and projects. `@name@` is replaced; see [`fill`](super::fill).

use super::template::{
    Each, FileTemplate, LineTemplate, StepTemplate, Template, When, each, each_on, file, line, on,
    plain, step, step_on,
};
use super::templates_ci::{
    COMMAND, DETERMINATE_NETRC, DEVENV, DIRENV, DOCKERFILE, GITHUB_ACTIONS, GITLAB_CI, INSTALLER,
};
use super::{Audience, Language, Target};

pub(super) const URLS: &str =
    "Where paths are asked for. extra- adds to the list: cache.nixos.org stays.";
pub(super) const KEYS: &str =
    "Whose signatures are believed. Without the key whatever the cache offers is refused.";
pub(super) const NETRC: &str = "Where Nix finds the token. The path must be absolute.";
const MARK: &str =
    "By this comment the lines are found again, to be brought up to date or taken out.";
const TIMEOUT: &str =
    "Give up sooner when the cache cannot be reached, for example without the VPN.";
const FALLBACK: &str = "Build what a cache offers and then fails to deliver, instead of ending.";
const TTL: &str =
    "Ask again sooner for what was missing: Nix remembers a miss for an hour otherwise.";

const BRING_NETRC: &str = "Bring the netrc to /run/secrets/nix-netrc with your way of handling secrets. In the Nix store \
     everybody could read it.";

/// The notes that every target shows where they apply.
pub(super) const NOTES: &[(When, &str)] = &[
    (
        When::S3,
        "Builds go through the daemon, so root needs the credentials of the bucket, not only you. A bucket \
         that cannot be listed answers a miss with 403. HTTPS through this console is simpler.",
    ),
    (
        When::OldNix,
        "Nix before 2.4 does not know extra-trusted-public-keys: update Nix, or add the key to the end of \
         the line of keys that is there.",
    ),
    (
        When::Bucket,
        "The bucket itself is the last cache in the list. It is asked for what this server cannot deliver, \
         and its paths are signed with the same key.",
    ),
    (
        When::Token,
        "One netrc is read, not several. It must be readable by root and by those who query the cache. A \
         login is needed, any name will do.",
    ),
];

pub(super) const CHECK: &[StepTemplate] = &[step(
    "The cache is in force where it is in this list:",
    "@show@ | grep -E '^(substituters|trusted-public-keys) ='",
)];

const RESTART: &[StepTemplate] = &[
    step_on(
        When::Linux,
        "Linux. The daemon reads keys when it starts:",
        "sudo systemctl restart nix-daemon",
    ),
    step_on(
        When::MacOs,
        "macOS:",
        "sudo launchctl kickstart -k system/@service@",
    ),
];

const REBUILD_UNDO: &[StepTemplate] = &[step("Take the lines out and switch again.", "")];

const BLOCK: &[LineTemplate] = &[
    block("# >>> nix cache: @titles@ (@cache-page@) >>>", MARK),
    block("extra-substituters = @urls@", URLS),
    block_on(When::Keys, "extra-trusted-public-keys = @keys@", KEYS),
    block_on(When::Timeout, "connect-timeout = @timeout@", TIMEOUT),
    block_on(When::Fallback, "fallback = true", FALLBACK),
    block_on(When::Ttl, "narinfo-cache-negative-ttl = @ttl@", TTL),
    block("# <<< nix cache: @titles@ <<<", ""),
];

const fn block(text: &'static str, why: &'static str) -> LineTemplate {
    block_on(When::Always, text, why)
}

const fn block_on(when: When, text: &'static str, why: &'static str) -> LineTemplate {
    each_on(when, Each::Block, text, why)
}

const BLOCK_UNDO: &[StepTemplate] = &[
    step_on(
        When::OneCache,
        "Delete the lines from “# >>> nix cache: @titles@” to “# <<< nix cache: @titles@” in @conf@, and \
         restart the daemon.",
        "",
    ),
    step_on(
        When::ManyCaches,
        "Each cache has a block of its own. Delete those of @titles@ in @conf@, from “# >>> nix cache: …” to \
         “# <<< nix cache: …”, and restart the daemon.",
        "",
    ),
];

static NIX_CONF: Template = Template {
    version: 2,
    files: &[file("/etc/nix/nix.conf", Language::NixConf, BLOCK)],
    apply: RESTART,
    check: CHECK,
    undo: BLOCK_UNDO,
    notes: &[(
        When::Always,
        "Put the lines after any plain “substituters” line: it would throw them away. Merge does this for you.",
    )],
};

static DETERMINATE: Template = Template {
    version: 2,
    files: &[file("/etc/nix/nix.custom.conf", Language::NixConf, BLOCK)],
    apply: RESTART,
    check: CHECK,
    undo: BLOCK_UNDO,
    notes: &[
        (
            When::Always,
            "Determinate Nix replaces /etc/nix/nix.conf when it is updated. It leaves nix.custom.conf alone.",
        ),
        (When::Token, DETERMINATE_NETRC.1),
    ],
};

static MANAGED_USER: Template = Template {
    version: 1,
    files: &[
        FileTemplate {
            path: "@conf@",
            audience: Audience::Admin,
            language: Language::NixConf,
            when: When::Always,
            lines: &[
                line(
                    "extra-trusted-substituters = @urls@",
                    "Users may choose this cache. Nobody else's builds change.",
                ),
                on(When::Keys, "extra-trusted-public-keys = @keys@", KEYS),
            ],
        },
        file(
            "~/.config/nix/nix.conf",
            Language::NixConf,
            &[
                line("extra-substituters = @urls@", URLS),
                on(When::Timeout, "connect-timeout = @timeout@", TIMEOUT),
                on(When::Fallback, "fallback = true", FALLBACK),
                on(When::Ttl, "narinfo-cache-negative-ttl = @ttl@", TTL),
            ],
        ),
    ],
    apply: &[step(
        "Send the first part to your admin, who restarts the daemon. Yours works from then on.",
        "",
    )],
    check: CHECK,
    undo: &[step(
        "Take your line out. The admin's lines alone change nothing.",
        "",
    )],
    notes: &[(
        When::Always,
        "Keys count only in the system's file. A user who is trusted can become root: you do not need that \
         for a cache.",
    )],
};

const MODULE: &[LineTemplate] = &[
    plain("{ ... }:"),
    plain("{"),
    plain("  nix.settings = {"),
    line("    extra-substituters = [ @nix-urls@ ];", URLS),
    on(
        When::Keys,
        "    extra-trusted-public-keys = [ @nix-keys@ ];",
        KEYS,
    ),
    on(
        When::Token,
        "    netrc-file = \"/run/secrets/nix-netrc\";",
        NETRC,
    ),
    on(When::Timeout, "    connect-timeout = @timeout@;", TIMEOUT),
    on(When::Fallback, "    fallback = true;", FALLBACK),
    on(When::Ttl, "    narinfo-cache-negative-ttl = @ttl@;", TTL),
    plain("  };"),
    plain("}"),
];

static NIXOS: Template = Template {
    version: 1,
    files: &[file("nix-caches.nix", Language::Nix, MODULE)],
    apply: &[step(
        "Import the file in configuration.nix and switch. The first switch does not know the cache yet, so \
         it is named once by hand:",
        "sudo nixos-rebuild switch --option extra-substituters '@urls@' --option extra-trusted-public-keys '@keys@'",
    )],
    check: CHECK,
    undo: REBUILD_UNDO,
    notes: &[(When::Token, BRING_NETRC)],
};

static NIXOS_FLAKE: Template = Template {
    version: 1,
    files: &[file(
        "flake.nix",
        Language::Nix,
        &[
            plain("{"),
            plain("  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-unstable\";"),
            each(
                Each::Cache,
                "  inputs.@input@.url = \"@cache-page@/flake.tar.gz\";",
                "The cache's URL and keys as a module. The lock file pins them.",
            ),
            plain("  outputs = { nixpkgs, ... }@inputs: {"),
            line(
                "    nixosConfigurations.machine = nixpkgs.lib.nixosSystem {",
                "Put your host's name in the place of machine.",
            ),
            plain("      modules = ["),
            plain("        ./configuration.nix"),
            each(
                Each::Cache,
                "        inputs.@input@.nixosModules.default",
                "",
            ),
            plain("      ];"),
            plain("    };"),
            plain("  };"),
            plain("}"),
        ],
    )],
    apply: &[
        step(
            "Add the input and the module to the flake that you have, then:",
            "sudo nixos-rebuild switch",
        ),
        step(
            "When the keys change, this brings the new ones:",
            "nix flake update @input@",
        ),
    ],
    check: CHECK,
    undo: REBUILD_UNDO,
    notes: &[],
};

static HOME_MANAGER: Template = Template {
    version: 2,
    files: &[file(
        "nix-caches.nix",
        Language::Nix,
        &[
            plain("{ lib, pkgs, ... }:"),
            plain("{"),
            line(
                "  nix.package = lib.mkDefault pkgs.nix;",
                "home-manager writes a nix.conf only where it knows which Nix.",
            ),
            plain("  nix.settings = {"),
            line("    extra-substituters = [ @nix-urls@ ];", URLS),
            on(
                When::Keys,
                "    # works only if this user is trusted; otherwise the admin adds the key",
                "",
            ),
            on(
                When::Keys,
                "    extra-trusted-public-keys = [ @nix-keys@ ];",
                KEYS,
            ),
            on(
                When::TokenNotDeterminate,
                "    netrc-file = \"@netrc@\";",
                NETRC,
            ),
            on(When::Timeout, "    connect-timeout = @timeout@;", TIMEOUT),
            on(When::Fallback, "    fallback = true;", FALLBACK),
            on(When::Ttl, "    narinfo-cache-negative-ttl = @ttl@;", TTL),
            plain("  };"),
            plain("}"),
        ],
    )],
    apply: &[step(
        "Import the file in home.nix, then:",
        "home-manager switch",
    )],
    check: CHECK,
    undo: REBUILD_UNDO,
    notes: &[
        (
            When::Always,
            "It becomes ~/.config/nix/nix.conf. On a machine with a daemon choose “Managed machine” and send the \
             admin their part.",
        ),
        DETERMINATE_NETRC,
    ],
};

static NIX_DARWIN: Template = Template {
    version: 3,
    files: &[
        FileTemplate {
            path: "nix-caches.nix",
            audience: Audience::You,
            language: Language::Nix,
            when: When::NotDeterminate,
            lines: MODULE,
        },
        FileTemplate {
            path: "nix-caches.nix",
            audience: Audience::You,
            language: Language::Nix,
            when: When::Determinate,
            lines: &[
                plain("{ ... }:"),
                plain("{"),
                line(
                    "  nix.enable = false;",
                    "Determinate Nix manages itself; nix-darwin must not.",
                ),
                line(
                    "  determinateNix.enable = true;",
                    "By Determinate's module for nix-darwin, which writes nix.custom.conf.",
                ),
                plain("  determinateNix.customSettings = {"),
                line("    extra-substituters = @nix-urls-string@;", URLS),
                on(
                    When::Keys,
                    "    extra-trusted-public-keys = @nix-keys-string@;",
                    KEYS,
                ),
                on(When::Timeout, "    connect-timeout = @timeout@;", TIMEOUT),
                on(When::Fallback, "    fallback = true;", FALLBACK),
                on(When::Ttl, "    narinfo-cache-negative-ttl = @ttl@;", TTL),
                plain("  };"),
                on(
                    When::Token,
                    "  determinateNix.determinateNixd.authentication.additionalNetrcSources = [ \"@netrc@\" ];",
                    "Where Determinate Nix finds the token: it owns the netrc that Nix reads.",
                ),
                plain("}"),
            ],
        },
    ],
    apply: &[step(
        "Import the file in configuration.nix, then:",
        "sudo darwin-rebuild switch",
    )],
    check: CHECK,
    undo: REBUILD_UNDO,
    notes: &[
        (
            When::Determinate,
            "The options are of Determinate's own module for nix-darwin. Import it too: \
             inputs.determinate.darwinModules.default. Its older releases call them determinate-nix.",
        ),
        (When::TokenNotDeterminate, BRING_NETRC),
    ],
};

static FLAKE_CONFIG: Template = Template {
    version: 2,
    files: &[file(
        "flake.nix",
        Language::Nix,
        &[
            plain("{"),
            line(
                "  nixConfig = {",
                "Must be written out: no variables, no functions.",
            ),
            line("    extra-substituters = [ @nix-urls@ ];", URLS),
            on(
                When::Keys,
                "    extra-trusted-public-keys = [ @nix-keys@ ];",
                KEYS,
            ),
            on(When::Timeout, "    connect-timeout = @timeout@;", TIMEOUT),
            on(When::Fallback, "    fallback = true;", FALLBACK),
            on(When::Ttl, "    narinfo-cache-negative-ttl = @ttl@;", TTL),
            plain("  };"),
            line(
                "  outputs = { ... }: { };",
                "Your own outputs stay as they are.",
            ),
            plain("}"),
        ],
    )],
    apply: &[step(
        "Add nixConfig to the project's flake. Who builds it is asked, and answers y.",
        "",
    )],
    check: CHECK,
    undo: &[step(
        "Take nixConfig out. The answers that people gave are kept here:",
        "cat ~/.local/share/nix/trusted-settings.json",
    )],
    notes: &[
        (
            When::Always,
            "For users who are not trusted Nix ignores it, whatever they answer. They need “Managed machine”. Do \
             not switch accept-flake-config on for everything.",
        ),
        (
            When::TokenNotDeterminate,
            "The netrc belongs to each machine, not into the project: Nix looks for it there by itself.",
        ),
        DETERMINATE_NETRC,
    ],
};

const NETRC_LINES: &[LineTemplate] = &[
    on(When::OneHost, "machine @host@", HOST),
    on(
        When::OneHost,
        "login nix",
        "Without a login the password is not sent. Any name will do.",
    ),
    on(
        When::OneHost,
        "password @token@",
        "The token. Keep the file from others.",
    ),
    each_on(
        When::ManyHosts,
        Each::Host,
        "machine @host@ login nix password @token@",
        HOST,
    ),
];

const HOST: &str = "Only requests to this host carry the token.";

static NETRC_TARGET: Template = Template {
    version: 2,
    files: &[FileTemplate {
        path: "@netrc@",
        audience: Audience::You,
        language: Language::Netrc,
        when: When::Always,
        lines: NETRC_LINES,
    }],
    apply: &[
        step(
            "Put it in its place, readable for root and your group:",
            "sudo install -m 0640 -g \"$(id -gn)\" netrc @netrc@",
        ),
        step_on(
            When::NotDeterminate,
            "Nix looks there by itself. For another place add to nix.conf: netrc-file = /absolute/path",
            "",
        ),
    ],
    check: &[step(
        "It is right where this prints the cache's own lines:",
        "curl -fsS --netrc-file @netrc@ '@first-url@/nix-cache-info'",
    )],
    undo: &[step(
        "Delete the entry, and revoke the token on the page Tokens.",
        "",
    )],
    notes: &[(
        When::NoToken,
        "One netrc is read, not several. A file that only root can read breaks queries of users.",
    )],
};

/// The netrc beside the files of a machine, where a token is needed.
static NETRC_BESIDE: [FileTemplate; 1] = [FileTemplate {
    path: "@netrc@",
    audience: Audience::You,
    language: Language::Netrc,
    when: When::Token,
    lines: NETRC_LINES,
}];

/// The files that come along with a target.
pub(super) const fn netrc_beside(target: Target) -> &'static [FileTemplate] {
    match target {
        Target::NixConf
        | Target::Determinate
        | Target::ManagedUser
        | Target::HomeManager
        | Target::FlakeConfig
        | Target::Devenv
        | Target::Installer
        | Target::Direnv
        | Target::Command => &NETRC_BESIDE,
        _ => &[],
    }
}

/// The template of a target.
pub(super) const fn of(target: Target) -> &'static Template {
    match target {
        Target::NixConf => &NIX_CONF,
        Target::Determinate => &DETERMINATE,
        Target::ManagedUser => &MANAGED_USER,
        Target::NixOs => &NIXOS,
        Target::NixOsFlake => &NIXOS_FLAKE,
        Target::HomeManager => &HOME_MANAGER,
        Target::NixDarwin => &NIX_DARWIN,
        Target::FlakeConfig => &FLAKE_CONFIG,
        Target::GithubActions => &GITHUB_ACTIONS,
        Target::GitlabCi => &GITLAB_CI,
        Target::Devenv => &DEVENV,
        Target::Dockerfile => &DOCKERFILE,
        Target::Installer => &INSTALLER,
        Target::Netrc => &NETRC_TARGET,
        Target::Direnv => &DIRENV,
        Target::Command => &COMMAND,
    }
}

//! The templates of CI, containers and shells.

use super::template::{
    Each, FileTemplate, Template, When, each, each_on, file, line, on, plain, step,
};
use super::templates::{CHECK, KEYS, NETRC, URLS};
use super::{Audience, Language};

const SECRET: &str = "The token comes from the CI's own store of secrets.";

/// The note of the targets that may be used with Determinate Nix, whatever they write.
pub(super) const DETERMINATE_NETRC: (When, &str) = (
    When::TokenDeterminate,
    "Determinate Nix owns its netrc. Name this one under authentication.additionalNetrcSources in \
     /etc/determinate/config.json. The daemon reads that once, when it starts.",
);

pub(super) static GITHUB_ACTIONS: Template = Template {
    version: 1,
    files: &[file(
        ".github/workflows/build.yml",
        Language::Yaml,
        &[
            plain("steps:"),
            on(When::Token, "  - name: Cache login", ""),
            on(When::Token, "    env:", ""),
            on(
                When::Token,
                "      CACHE_TOKEN: ${{ secrets.@secret-name@ }}",
                SECRET,
            ),
            on(When::Token, "    run: |", ""),
            on(
                When::Token,
                "      umask 077",
                "The file is for this job's user and root.",
            ),
            on(
                When::TokenOneHost,
                "      printf 'machine @host@\\nlogin ci\\npassword %s\\n' \"$CACHE_TOKEN\" > \"$RUNNER_TEMP/netrc\"",
                "",
            ),
            each_on(
                When::TokenManyHosts,
                Each::Host,
                "      printf 'machine @host@ login ci password %s\\n' \"$CACHE_TOKEN\" >> \"$RUNNER_TEMP/netrc\"",
                "",
            ),
            on(
                When::InstallNix,
                "  - uses: cachix/install-nix-action@v31",
                "",
            ),
            on(When::InstallNix, "    with:", ""),
            on(
                When::InstallNix,
                "      extra_nix_config: |",
                "Added to /etc/nix/nix.conf of the runner.",
            ),
            on(
                When::InstallDeterminate,
                "  - uses: DeterminateSystems/nix-installer-action@main",
                "",
            ),
            on(When::InstallDeterminate, "    with:", ""),
            on(
                When::InstallDeterminate,
                "      extra-conf: |",
                "Added to the configuration of the runner.",
            ),
            on(
                When::InstallQuick,
                "  - uses: nixbuild/nix-quick-install-action@v34",
                "",
            ),
            on(When::InstallQuick, "    with:", ""),
            on(
                When::InstallQuick,
                "      nix_conf: |",
                "Becomes the nix.conf of the runner.",
            ),
            line("        extra-substituters = @urls@", URLS),
            on(
                When::Keys,
                "        extra-trusted-public-keys = @keys@",
                KEYS,
            ),
            on(
                When::Token,
                "        netrc-file = ${{ runner.temp }}/netrc",
                NETRC,
            ),
            on(When::Timeout, "        connect-timeout = @timeout@", ""),
            on(
                When::Fallback,
                "        fallback = true",
                "A build is slower than a download, and better than none.",
            ),
            on(
                When::Ttl,
                "        narinfo-cache-negative-ttl = @ttl@",
                "What a job before this one uploads is found at once.",
            ),
        ],
    )],
    apply: &[step(
        "Add the steps before the first one that uses Nix.",
        "",
    )],
    check: CHECK,
    undo: &[step("Take the lines out of the workflow.", "")],
    notes: &[(
        When::Token,
        "umask 077 is right here because root and the runner's user can both read the file. On runners that \
         others share, let the job log in by OIDC instead of a stored token.",
    )],
};

pub(super) static GITLAB_CI: Template = Template {
    version: 1,
    files: &[file(
        ".gitlab-ci.yml",
        Language::Yaml,
        &[
            plain("build:"),
            plain("  image: nixos/nix:latest"),
            plain("  variables:"),
            line(
                "    NIX_CONFIG: |",
                "Read after every nix.conf. The container has no daemon, so it is enough.",
            ),
            plain("      extra-experimental-features = nix-command flakes"),
            line("      extra-substituters = @urls@", URLS),
            on(When::Keys, "      extra-trusted-public-keys = @keys@", KEYS),
            on(When::Token, "      netrc-file = /tmp/netrc", NETRC),
            on(When::Timeout, "      connect-timeout = @timeout@", ""),
            on(
                When::Fallback,
                "      fallback = true",
                "A build is slower than a download, and better than none.",
            ),
            on(
                When::Ttl,
                "      narinfo-cache-negative-ttl = @ttl@",
                "What a job before this one uploads is found at once.",
            ),
            on(When::Token, "  before_script:", ""),
            on(
                When::TokenOneHost,
                "    - printf 'machine @host@\\nlogin ci\\npassword %s\\n' \"$@secret-name@\" > /tmp/netrc",
                "A masked variable of the project.",
            ),
            each_on(
                When::TokenManyHosts,
                Each::Host,
                "    - printf 'machine @host@ login ci password %s\\n' \"$@secret-name@\" >> /tmp/netrc",
                "A masked variable of the project.",
            ),
            plain("  script:"),
            plain("    - nix build"),
        ],
    )],
    apply: &[step("Add the variables to the job that you have.", "")],
    check: CHECK,
    undo: &[step("Take the lines out of the job.", "")],
    notes: &[],
};

pub(super) static DEVENV: Template = Template {
    version: 2,
    files: &[
        file(
            "@conf@",
            Language::NixConf,
            &[
                line("extra-substituters = @urls@", URLS),
                on(When::Keys, "extra-trusted-public-keys = @keys@", KEYS),
                on(When::Timeout, "connect-timeout = @timeout@", ""),
                on(When::Fallback, "fallback = true", ""),
                on(When::Ttl, "narinfo-cache-negative-ttl = @ttl@", ""),
            ],
        ),
        file(
            "devenv.nix",
            Language::Nix,
            &[
                plain("{ ... }:"),
                plain("{"),
                line(
                    "  cachix.enable = false;",
                    "Only where devenv asks you to become a trusted user.",
                ),
                plain("}"),
            ],
        ),
    ],
    apply: &[step(
        "devenv itself can only declare caches of Cachix. The machine declares this one, for devenv too.",
        "",
    )],
    check: CHECK,
    undo: &[step("Take the lines out of both files.", "")],
    notes: &[
        (
            When::Always,
            "If devenv says that you have to be in trusted-users, you have not: the lines of the machine are enough.",
        ),
        DETERMINATE_NETRC,
    ],
};

pub(super) static DOCKERFILE: Template = Template {
    version: 1,
    files: &[file(
        "Dockerfile",
        Language::Dockerfile,
        &[
            plain("FROM nixos/nix:latest"),
            plain("RUN printf '%s\\n' \\"),
            line("      'extra-substituters = @urls@' \\", URLS),
            on(
                When::Keys,
                "      'extra-trusted-public-keys = @keys@' \\",
                KEYS,
            ),
            on(When::Timeout, "      'connect-timeout = @timeout@' \\", ""),
            on(When::Fallback, "      'fallback = true' \\", ""),
            on(
                When::Ttl,
                "      'narinfo-cache-negative-ttl = @ttl@' \\",
                "",
            ),
            plain("      >> /etc/nix/nix.conf"),
            on(
                When::Token,
                "RUN --mount=type=secret,id=netrc,target=/etc/nix/netrc,mode=0444 nix-build",
                "The netrc is there while this line runs, and in no layer of the image.",
            ),
            on(When::NoToken, "RUN nix-build", ""),
        ],
    )],
    apply: &[step("Build the image:", "docker build .")],
    check: CHECK,
    undo: &[step("Take the lines out of the Dockerfile.", "")],
    notes: &[(
        When::Token,
        "Give the netrc with --secret id=netrc,src=netrc. Never COPY it: it would stay in the image.",
    )],
};

pub(super) static INSTALLER: Template = Template {
    version: 2,
    files: &[file(
        "Terminal",
        Language::Shell,
        &[each(
            Each::Cache,
            "@curl@ '@cache-page@/install.sh' | sh",
            "It shows what it would change and asks before it does.",
        )],
    )],
    apply: &[step(
        "To read it first, load it into a file and run that:",
        "@curl@ '@cache-page@/install.sh' -o install.sh && less install.sh && sh install.sh",
    )],
    check: CHECK,
    undo: &[step(
        "The same script takes its lines out again:",
        "@curl@ '@cache-page@/install.sh' | sh -s -- --undo",
    )],
    notes: &[(
        When::Always,
        "The script holds the cache's address and keys and nothing else. It changes one file, keeps a copy of \
         it, and restarts the daemon. --dry-run only shows the difference.",
    )],
};

pub(super) static DIRENV: Template = Template {
    version: 2,
    files: &[FileTemplate {
        path: ".envrc",
        audience: Audience::You,
        language: Language::Shell,
        when: When::Always,
        lines: &[
            line(
                "export NIX_CONFIG='",
                "Read after every nix.conf, by commands of this shell only.",
            ),
            line("extra-substituters = @urls@", URLS),
            on(When::Keys, "extra-trusted-public-keys = @keys@", KEYS),
            on(When::TokenNotDeterminate, "netrc-file = @netrc@", NETRC),
            on(When::Timeout, "connect-timeout = @timeout@", ""),
            on(When::Fallback, "fallback = true", ""),
            on(When::Ttl, "narinfo-cache-negative-ttl = @ttl@", ""),
            plain("'"),
        ],
    }],
    apply: &[step("Let direnv read it:", "direnv allow")],
    check: CHECK,
    undo: &[step("Take the lines out of .envrc.", "")],
    notes: &[
        (
            When::Always,
            "It works where the user owns the store, or is trusted. Elsewhere choose “Managed machine”.",
        ),
        DETERMINATE_NETRC,
    ],
};

pub(super) static COMMAND: Template = Template {
    version: 2,
    files: &[file(
        "Terminal",
        Language::Shell,
        &[
            on(
                When::Keys,
                "nix build --extra-substituters '@urls@' --extra-trusted-public-keys '@keys@'@options@",
                "For this one command. Nothing is configured.",
            ),
            on(
                When::NoKeys,
                "nix build --extra-substituters '@urls@'@options@",
                "For this one command. Nothing is configured.",
            ),
        ],
    )],
    apply: &[step(
        "Add the flake or the path that you want to build.",
        "",
    )],
    check: &[step(
        "With -L the log says from where each path is copied.",
        "",
    )],
    undo: &[step("There is nothing to undo.", "")],
    notes: &[
        (
            When::Always,
            "It works where the user owns the store, or is trusted. Elsewhere choose “Managed machine”.",
        ),
        DETERMINATE_NETRC,
    ],
};

#!/bin/sh
# Unpack the Nix client of Debian's unstable suite beside the system's own, without installing it.
#   newer_nix.sh DIR     then: DIR/nix nix-store --version ; DIR/nix nix copy ...
# Uses the package source that apt is already set up with, with its own lists and
# its own state, so that the system's packages stay as they are (about 46 MB of downloads).
set -eu
d=$1; mkdir -p "$d/apt/lists/partial" "$d/apt/cache/archives/partial" "$d/root"; d=$(cd "$d" && pwd)
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -n1)
[ -n "$uri" ] || { echo "no Debian package source is configured; run apt-get update first" >&2; exit 1; }
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri sid main" > "$d/apt/sources.list"; : > "$d/apt/status"
o="-o Dir::Etc::sourcelist=$d/apt/sources.list -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists=$d/apt/lists -o Dir::Cache=$d/apt/cache -o Dir::State::status=$d/apt/status -o Debug::NoLocking=1 -o Acquire::Languages=none -o APT::Sandbox::User=root"
# shellcheck disable=SC2086 # the options are words
apt-get $o update >/dev/null
# shellcheck disable=SC2086
apt-get $o -y --no-install-recommends --download-only install nix-bin >/dev/null
for f in "$d"/apt/cache/archives/*.deb; do dpkg -x "$f" "$d/root"; done
rm -rf "$d/apt/cache" "$d/apt/lists"
cat > "$d/nix" <<W
#!/bin/sh
c=\$1; shift
exec $d/root/usr/lib64/ld-linux-x86-64.so.2 --argv0 "\$c" --library-path $d/root/usr/lib/x86_64-linux-gnu:$d/root/usr/lib $d/root/usr/bin/"\$c" "\$@"
W
chmod +x "$d/nix"; "$d/nix" nix --version

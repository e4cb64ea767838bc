#!/usr/bin/env bash
# Unpacks the OpenSSH of the Debian release $1 (trixie, sid) into the folder $2, beside the system's
# own and without installing anything: Debian's packages and the libraries they need, run by the C
# library they came with. Prints what it did; leaves $2/bin, $2/sbin and $2/lib/openssh. What was
# unpacked before serves a week: sid moves.
set -euo pipefail

suite=$1
prefix=$(realpath -m "$2")
programs="bin/ssh bin/ssh-add bin/ssh-agent bin/ssh-keygen sbin/sshd lib/openssh/sshd-session lib/openssh/sshd-auth"
if [ -x "$prefix/bin/ssh-keygen" ] && [ -n "$(find "$prefix/complete" -mtime -7 2>/dev/null)" ]; then
    echo "OpenSSH of $suite: $("$prefix/bin/ssh" -V 2>&1), unpacked before"
    exit 0
fi
rm -rf "$prefix"
work=$prefix/apt
mkdir -p "$work"/{state/lists/partial,cache/archives/partial,debs} "$prefix"/{root,bin,sbin,lib/openssh}
: >"$work/status"

# The mirror that this machine's apt uses, if it has one of Debian.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
    awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || { echo "needs the package debian-archive-keyring" >&2; exit 1; }
echo "deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} $suite main" >"$work/sources.list"

# apt with lists, cache and a status of its own: as far as it knows nothing is installed.
apt_get() {
    apt-get -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State="$work/state" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 \
        -o APT::Install-Recommends=false -o Debug::NoLocking=1 "$@"
}
apt_get -qq update
# Of all that the packages depend on, the libraries are what their programs load.
names=$(apt_get -y --print-uris install openssh-server openssh-client |
    sed -n "s/^'[^']*' \([^_]*\)_.*/\1/p" |
    grep -E '^(lib|zlib|openssh-)' | grep -vE 'perl|debconf|pam-modules|pam-runtime|systemd-shared|^(lib|zlib).*-common$')
cd "$work/debs"
# shellcheck disable=SC2086
apt_get -qq download $names
for package in *.deb; do
    dpkg-deb -x "$package" "$prefix/root"
done
cd "$prefix"
rm -rf "$work"

loader=$(find "$prefix/root" -name 'ld-linux*.so*' | head -n 1)
for program in $programs; do
    found=$prefix/root/usr/$program
    [ -x "$found" ] || { echo "$suite has no $program" >&2; exit 1; }
    cat >"$prefix/$program" <<SCRIPT
#!/bin/sh
exec '$loader' --library-path '$(dirname "$loader")' '$found' "\$@"
SCRIPT
    chmod +x "$prefix/$program"
done
"$prefix/bin/ssh" -Q kex | grep -q mlkem768x25519-sha256
touch "$prefix/complete"
echo "OpenSSH of $suite: $("$prefix/bin/ssh" -V 2>&1), unpacked"

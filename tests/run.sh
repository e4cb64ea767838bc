#!/usr/bin/env bash
# The test command: installs what the tests need by package name, builds the examples, runs every
# test of the workspace, then those against real peers. Skips nothing silently; the exit status counts.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

summary=()
failed=0
# Runs a step, notes its outcome and time.
step() {
    local name=$1 start=$SECONDS outcome=ok
    shift
    printf '\n== %s\n' "$name"
    "$@" </dev/null || { outcome=FAILED; failed=1; }
    summary+=("$(printf '%-34s %-6s %4d s' "$name" "$outcome" $((SECONDS - start)))")
    [ "$outcome" = ok ]
}
finish() {
    printf '\n== summary\n'
    printf '%s\n' "${summary[@]}"
    [ "$failed" = 0 ] && echo "all tests passed" || echo "TESTS FAILED"
    exit "$failed"
}

as_root=()
if [ "$(id -u)" != 0 ]; then
    as_root=(sudo -n)
fi

# package=command that it is needed for
needs="openssh-client=ssh openssh-server=/usr/sbin/sshd rsync=rsync git=git util-linux=setsid
    diffutils=diff procps=/bin/kill passwd=/usr/sbin/useradd debian-archive-keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    gcc=cc libc6-dev=/usr/include/stdlib.h openssh-sftp-server=/usr/lib/openssh/sftp-server
    dropbear-bin=dbclient putty-tools=plink
    python3-venv=/usr/share/doc/python3-venv golang-go=go
    golang-golang-x-crypto-dev=/usr/share/gocode/src/golang.org/x/crypto/ssh
    libssh-dev=/usr/include/libssh/libssh.h libssl-dev=/usr/include/openssl/ssl.h openssl=openssl
    pkg-config=pkg-config
    libkrb5-dev=/usr/include/gssapi/gssapi.h libclang-dev=/usr/share/doc/libclang-dev
    krb5-kdc=/usr/sbin/krb5kdc krb5-admin-server=/usr/sbin/kadmin.local krb5-user=kinit"
install_packages() {
    local need package missing=()
    for need in $needs; do
        package=${need%%=*} need=${need#*=}
        case $need in
            /*) [ -e "$need" ] || missing+=("$package") ;;
            *) command -v "$need" >/dev/null || missing+=("$package") ;;
        esac
    done
    [ ${#missing[@]} = 0 ] && { echo "all packages are there"; return 0; }
    echo "missing: ${missing[*]}"
    if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true; then
        echo "install them, or run this as root or with sudo on a system with apt-get" >&2
        return 1
    fi
    "${as_root[@]}" apt-get -qq update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install \
            "${missing[@]}"
}

# OpenSSH of newer Debian releases, unpacked beside the system's: the first for ML-KEM, the other as
# the newest there is.
export SSH_INTEROP_PEERS=$PWD/target/interop
newer_openssh() {
    ssh -V
    bash tests/interop/openssh.sh trixie "$SSH_INTEROP_PEERS/openssh-trixie" &&
        bash tests/interop/openssh.sh sid "$SSH_INTEROP_PEERS/openssh-sid"
}

# Peers on a library: each a program target/interop/peers/NAME.
peer_programs() {
    local build
    for build in tests/interop/peers/*/build.sh; do
        [ ! -e "$build" ] || bash "$build" "$SSH_INTEROP_PEERS/peers" || return 1
    done
}

# sshd asks the system for passwords, so an account with a known one lives while the tests run.
account=ssh-it-$$
make_account() {
    local password
    password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
    "${as_root[@]}" /usr/sbin/useradd --create-home --shell /bin/bash "$account" &&
        trap '"${as_root[@]}" /usr/sbin/userdel --remove "$account" 2>/dev/null' EXIT &&
        echo "$account:$password" | "${as_root[@]}" /usr/sbin/chpasswd &&
        export SSH_INTEROP_ACCOUNT=$account:$password &&
        # sshd leaves its privileges in this folder.
        "${as_root[@]}" mkdir -p /run/sshd
}

interop() {
    local runner=CARGO_TARGET_$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')_RUNNER
    if [ ${#as_root[@]} != 0 ]; then
        export "$runner=sudo -n --preserve-env=PATH,SSH_INTEROP_PEERS,SSH_INTEROP_ACCOUNT,UPDATE_DOCS"
    fi
    local tests=(cargo test "${workspace[@]}" --no-fail-fast) test
    for test in tests/interop/tests/interop_*; do
        tests+=(--test "$(basename "$test" .rs)")
    done
    tests+=(--)
    [ $# != 0 ] || "${as_root[@]}" rm -rf "$SSH_INTEROP_PEERS/results"
    # What runs without code of ours (to judge a test) runs only if it is named.
    local skip=(--skip document)
    [[ $* = *alone* ]] || skip+=(--skip alone)
    "${tests[@]}" --ignored --test-threads=3 "${skip[@]}" "$@" || return 1
    # docs/interop.md is what a whole run records.
    [ $# != 0 ] || "${tests[@]}" --ignored --exact document
}

# One part alone: tests/run.sh packages, or tests/run.sh interop [part of a test's name...], such as
# dropbear, putty_client, algorithms or forward. UPDATE_DOCS=1 tests/run.sh interop writes docs/interop.md.
only=
[ "${1-}" = interop ] && { only=interop; shift; }

step "packages" install_packages || finish
[ "${1-}" = packages ] && exit 0
command -v cargo >/dev/null || PATH=$PATH:$HOME/.cargo/bin
command -v cargo >/dev/null || { echo "needs cargo (Rust 1.95 or later, for all providers)" >&2; exit 1; }
# The examples are to know Kerberos and all providers.
workspace=(--workspace --features ssh-interop/gssapi,ssh-interop/providers,ssh-tests/providers)
step "examples" cargo build "${workspace[@]}" --examples || finish
if [ -z "$only" ]; then
    step "cargo test --workspace" cargo test "${workspace[@]}" --no-fail-fast
fi
step "newer OpenSSH" newer_openssh
step "peer programs" peer_programs
step "account with a password" make_account
step "interop with real peers" interop "$@"
finish

#!/bin/sh
# Makes a container image of the static binary of a role with buildah, as root or as any user.
#
#     [ROLE=sidecar] deploy/image.sh [BINARY [IMAGE]]
#
# ROLE is by default ambassador, BINARY what `cargo xtask dist` built of it, IMAGE remora/ROLE and the
# workspace's version.
# Prints the image's id and size. The image holds the binary and the authorities of the machine that
# makes it, for `https` without `tls.ca`: CA_BUNDLE names another file of them, and CA_BUNDLE= leaves
# them out. STORAGE_DRIVER, BUILDAH_ISOLATION and CONTAINERS_STORAGE_CONF are heeded as by buildah itself.
set -eu

fail() {
    echo "image.sh: $1" >&2
    exit 2
}

# number OFFSET BYTES: a number in the header of the binary, little-endian as on every target of ours.
number() {
    od -A n -t u1 -j "$1" -N "$2" "$binary" | tr -s ' \n' '\n' | awk 'NF { n += $1 * 256 ^ i++ } END { print n + 0 }'
}

# Fails unless the binary is an ELF file that asks for no loader: whatever is dynamic has a program header
# PT_INTERP, which is 3.
be_static() {
    [ -f "$binary" ] || fail "there is no file $binary: build it with cargo xtask dist, or name another"
    [ "$(od -A n -t x1 -N 6 "$binary" | tr -d ' \n')" = 7f454c460201 ] ||
        fail "$binary is no program for 64-bit Linux"
    at=$(number 32 8) size=$(number 54 2) left=$(number 56 2)
    while [ "$left" -gt 0 ]; do
        [ "$(number "$at" 4)" != 3 ] ||
            fail "$binary is not static: it needs a loader and libraries, which an empty image lacks; build it with cargo xtask dist"
        at=$((at + size)) left=$((left - 1))
    done
}

# The image's architecture is that of the binary, not that of the machine that makes it.
architecture() {
    case $(number 18 2) in
    62) echo amd64 ;;
    183) echo arm64 ;;
    *) fail "$binary is neither for x86-64 nor for AArch64" ;;
    esac
}

root=$(cd "$(dirname "$0")/.." && pwd)
role=${ROLE:-ambassador}
binary=${1:-$root/target/dist/$(uname -m)-unknown-linux-gnu/release/$role}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
image=${2:-remora/$role:$version}
authorities=${CA_BUNDLE-/etc/ssl/certs/ca-certificates.crt}

[ -f "$root/deploy/$role.Containerfile" ] || fail "there is no role $role"
[ $# -le 2 ] || fail "usage: image.sh [BINARY [IMAGE]]"
command -v buildah >/dev/null || fail "buildah is missing: install the package buildah"
be_static
architecture=$(architecture)
[ -z "$authorities" ] || [ -r "$authorities" ] ||
    fail "there is no file $authorities: install ca-certificates, name another with CA_BUNDLE, or leave it out with CA_BUNDLE="

staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT
trap 'exit 1' HUP INT TERM
# What the image holds, with the rights that it has there: everybody reads, nobody writes.
mkdir -p "$staged/image"
cp "$binary" "$staged/image/$role"
if [ -n "$authorities" ]; then
    mkdir -p "$staged/image/etc/ssl/certs"
    cp "$authorities" "$staged/image/etc/ssl/certs/ca-certificates.crt"
fi
chmod -R u=rwX,go=rX "$staged/image"
chmod 0555 "$staged/image/$role"

# Nothing runs while the image is made, so the least isolation does. Where the preferred storage does not
# work, as in many containers, plain folders do.
export BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"
buildah info >/dev/null 2>&1 || export STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}"
buildah build --quiet --layers=false --platform "linux/$architecture" \
    --file "$root/deploy/$role.Containerfile" --iidfile "$staged/id" --tag "$image" "$staged/image" >/dev/null
echo "$image"
echo "id:   $(cat "$staged/id")"
echo "size: $(buildah images --format '{{.Size}}' "$image")"

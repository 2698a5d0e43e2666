#!/bin/bash
# Sees to it that the Docker engine has the public images our Dockerfiles start from:
#
#   debian:bookworm-slim       what Dockerfile.base puts the services on
#   rust:1-slim-bookworm       what Dockerfile.base builds the binary in
#   alpine:3                   what its target alpine is put on
#
# An image that is there is left alone. A missing one is pulled; where no registry answers it is made here instead: the
# first with debootstrap, the second from the first, gcc and this machine's Rust toolchain, the third from busybox, which is all
# of Alpine that our services use. Making needs root and apt-get.
#
#   usage: tests/docker/images.sh
set -euo pipefail

readonly DEBIAN=debian:bookworm-slim RUST=rust:1-slim-bookworm ALPINE=alpine:3 SUITE=bookworm
work=
trap '[ -z "$work" ] || rm -rf --one-file-system "$work"' EXIT

say() { printf 'images.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

present() { docker image inspect "$1" >/dev/null 2>&1; }

# A registry that cannot be reached is the ordinary case on a closed machine, so its complaint is not worth showing.
pulled() { timeout 300 docker pull --quiet "$1" >/dev/null 2>&1; }

can_make() {
    [ "$(id -u)" = 0 ] || die "$1 can neither be pulled nor made: making it needs root (chroot)"
    command -v apt-get >/dev/null || die "$1 can neither be pulled nor made: making it needs apt-get"
    work=${work:-$(mktemp -d "${TMPDIR:-/tmp}/svc-images.XXXXXX")}
}

install_debootstrap() {
    command -v debootstrap >/dev/null && return
    say "installing debootstrap"
    apt-get update -qq || say "apt-get update failed; trying with the lists that are here"
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends debootstrap debian-archive-keyring \
        >"$work/apt.log" 2>&1 || { tail -20 "$work/apt.log" >&2; die "cannot install debootstrap"; }
}

# The machine's own sources for the suite, as one-line entries: its administrator knows which mirror works.
sources() {
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Identifier: Packages' 'Origin: Debian' 2>/dev/null | grep -E "^deb [^ ]+ $SUITE(-[a-z]+)? " | sort -u || true
}

# What images made for Docker set, so that `apt-get install` in a Dockerfile leaves little behind, starts no daemons and
# goes through the same proxy as the machine's own apt.
configure() {
    local root=$1
    apt-config dump 2>/dev/null | grep -E '^Acquire::(https?::Proxy|Check-(Date|Valid-Until)) ' >"$root/etc/apt/apt.conf.d/90machine" || true
    cat >"$root/etc/apt/apt.conf.d/90docker" <<-'END'
		Acquire::Languages "none";
		Acquire::GzipIndexes "true";
		Apt::AutoRemove::SuggestsImportant "false";
		DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
		Dir::Cache::pkgcache "";
		Dir::Cache::srcpkgcache "";
	END
    cat >"$root/etc/dpkg/dpkg.cfg.d/90docker" <<-'END'
		force-unsafe-io
		path-exclude /usr/share/doc/*
		path-include /usr/share/doc/*/copyright
		path-exclude /usr/share/man/*
		path-exclude /usr/share/info/*
		path-exclude /usr/share/locale/*
		path-exclude /usr/share/lintian/*
	END
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
}

clean() {
    local root=$1
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/tmp/* "$root"/run/* \
        "$root"/usr/share/{man,info,locale,lintian}/* "$root"/var/cache/{ldconfig,debconf}/*-old "$root"/dev/*
    find "$root/usr/share/doc" -mindepth 1 ! -type d ! -name copyright -delete
    find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
    rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
}

import() {
    local root=$1 image=$2
    shift 2
    tar -C "$root" --numeric-owner --exclude=./proc/* --exclude=./sys/* -c . | docker import "$@" - "$image" >/dev/null
    say "made $image"
}

make_debian() {
    can_make "$DEBIAN"
    install_debootstrap
    local root=$work/debian mirror list
    list=$(sources)
    mirror=$(awk -v suite="$SUITE" '$3 == suite { print $2; exit }' <<<"$list")
    say "making $DEBIAN with debootstrap (half a minute)"
    # Without a mirror of our own, debootstrap takes Debian's.
    debootstrap --variant=minbase "$SUITE" "$root" ${mirror:+"$mirror"} >"$work/debootstrap.log" 2>&1 \
        || { tail -20 "$work/debootstrap.log" >&2; die "debootstrap failed"; }
    [ -z "$list" ] || printf '%s\n' "$list" >"$root/etc/apt/sources.list"
    configure "$root"
    clean "$root"
    import "$root" "$DEBIAN" --change 'CMD ["bash"]'
}

make_rust() {
    can_make "$RUST"
    command -v rustc >/dev/null || die "$RUST can neither be pulled nor made: making it needs a Rust toolchain here"
    local root=$work/rust sysroot container
    sysroot=$(rustc --print sysroot)
    say "making $RUST from $DEBIAN, gcc and $(rustc --version)"
    mkdir -p "$root"
    container=$(docker create "$DEBIAN")
    docker export "$container" | tar -C "$root" -x
    docker rm "$container" >/dev/null
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    [ -e "$root/dev/null" ] || mknod -m 666 "$root/dev/null" c 1 3
    chroot "$root" sh -c 'apt-get update && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev' \
        >"$work/gcc.log" 2>&1 || { tail -20 "$work/gcc.log" >&2; die "cannot install gcc in $RUST"; }
    clean "$root"
    # The places of the public image, without what only a developer's machine needs.
    local toolchain=$root/usr/local/rustup/toolchains/host
    mkdir -p "$toolchain" "$root/usr/local/cargo/bin"
    tar -C "$sysroot" --anchored --exclude='bin/*clippy*' --exclude='bin/*fmt' --exclude='bin/rust-*' -c bin lib | tar -C "$toolchain" -x --no-same-owner
    ln -s ../../rustup/toolchains/host/bin/{cargo,rustc,rustdoc} "$root/usr/local/cargo/bin/"
    import "$root" "$RUST" --change 'ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo' \
        --change 'ENV PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' --change 'CMD ["bash"]'
}

# One static program with the names of many, and the few files that every system has. No musl and no apk: nothing asks for them.
make_alpine() {
    can_make "$ALPINE"
    local root=$work/alpine
    say "making $ALPINE from busybox"
    mkdir -p "$root"
    (cd "$work" && { apt-get download busybox-static || { apt-get update -qq && apt-get download busybox-static; }; }) >"$work/busybox.log" 2>&1 \
        || { tail -20 "$work/busybox.log" >&2; die "cannot get busybox-static"; }
    dpkg-deb --extract "$work"/busybox-static_*.deb "$root/package"
    mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,usr/local/bin,etc,dev,proc,sys,run,var/log,root,home}
    mkdir -m 1777 "$root/tmp" "$root/var/tmp"
    ln -s ../run "$root/var/run"
    mv "$root"/package/bin/busybox "$root/bin/busybox"
    rm -r "$root/package"
    chroot "$root" /bin/busybox --install -s
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnobody:x:65534:\n' >"$root/etc/group"
    printf 'NAME="busybox, in the place of Alpine"\nID=alpine\n' >"$root/etc/os-release"
    import "$root" "$ALPINE" --change 'CMD ["/bin/sh"]'
}

docker version >/dev/null 2>&1 || die "no Docker engine answers"
present "$DEBIAN" || pulled "$DEBIAN" || make_debian
present "$RUST" || pulled "$RUST" || make_rust
present "$ALPINE" || pulled "$ALPINE" || make_alpine

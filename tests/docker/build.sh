#!/bin/bash
# Builds the images of Dockerfile.base with the Docker engine: svc:scratch (the bare binary), svc:base, svc:nonroot and svc:alpine.
# Crates are vendored into the build context, so the build needs a package mirror of Debian and otherwise no network.
#
#   usage: tests/docker/build.sh [--arm64 | --binary FILE] [--stack]
#
#   --arm64         build the bare binary for arm64 instead, as svc:scratch-arm64
#   --binary FILE   take this static binary instead of compiling one: seconds instead of minutes while developing
#   --stack         also build svc:stack and svc:static, which tests/docker/contexts runs
#
# SVC_DOCKER_BUILD holds more options for every `docker build` (for example: --network host).
set -euo pipefail

repository=$(cd "$(dirname "$0")/../.." && pwd)
context=$repository/target/docker/context
vendor=$repository/target/docker/vendor
read -ra options <<<"${SVC_DOCKER_BUILD:-}"

# The most that svc may add to an image, in bytes.
readonly MOST=5000000

say() { printf 'build.sh: %s\n' "$*" >&2; }
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 100; }

arm64= binary= stack=
while [ $# -gt 0 ]; do
    case $1 in
        --arm64) arm64=yes ;;
        --binary) binary=$(realpath "${2:?--binary needs a file}"); shift ;;
        --stack) stack=yes ;;
        *) usage ;;
    esac
    shift
done

# Everything that git would commit, so that nothing else can end up in an image.
copy_sources() {
    rm -rf "$context"
    mkdir -p "$context"
    (cd "$repository" && git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null \
        | tar -c --files-from - | tar -x -C "$context")
}

# Vendored once per Cargo.lock: nothing in it depends on anything else.
copy_crates() {
    if ! cmp -s "$repository/Cargo.lock" "$vendor/Cargo.lock"; then
        say "vendoring crates"
        rm -rf "$vendor"
        (cd "$repository" && cargo vendor --quiet --locked "$vendor/crates") >/dev/null
        cp "$repository/Cargo.lock" "$vendor/Cargo.lock"
    fi
    cp -al "$vendor/crates" "$context/vendor"
    cat >>"$context/.cargo/config.toml" <<-'END'

		[source.crates-io]
		replace-with = "vendored-sources"

		[source.vendored-sources]
		directory = "vendor"
	END
}

# The same Dockerfile, its build stage replaced by one that only unpacks the given binary.
without_compiler() {
    cp "$binary" "$context/svc.binary"
    "$repository/deploy/sbom" >"$context/svc.cdx.json"
    awk '
        /^ARG BUILDPLATFORM/ {
            skip = 1
            print "FROM debian:bookworm-slim AS build"
            print "COPY svc.binary /out/usr/bin/svc"
            print "COPY svc.cdx.json /out/usr/share/svc/svc.cdx.json"
            print "RUN ln -s svc /out/usr/bin/with-contenv; \\"
            print "    ln -s svc /out/usr/bin/execlineb; /out/usr/bin/svc install --own /out/usr/bin; \\"
            print "    /out/usr/bin/svc install --to ../usr/bin/svc /out/command; ln -s usr/bin/svc /out/init; \\"
            print "    mkdir -p /out/package/admin/s6-overlay/libexec; \\"
            print "    for name in preinit stage0; do \\"
            print "        ln -s ../../../../usr/bin/svc \"/out/package/admin/s6-overlay/libexec/$name\"; \\"
            print "    done"
        }
        /^# --- svc/ { skip = 0 }
        !skip
    ' "$repository/Dockerfile.base" >"$context/Dockerfile.base"
}

build() {
    local tag=$1 log=$repository/target/docker/build.log
    shift
    say "building $tag"
    docker build --force-rm --tag "$tag" "${options[@]}" --build-arg "SVC_COMMIT=$commit" \
        --build-arg "SVC_VERSION=$version" --build-arg "SVC_CREATED=$created" --build-arg "SVC_SOURCE=$source" "$@" >"$log" 2>&1 && return
    tail -n 80 "$log" >&2
    say "cannot build $tag (the whole log: $log)"
    exit 1
}

"$repository/tests/docker/images.sh"
commit=$(git -C "$repository" rev-parse --short HEAD 2>/dev/null || true)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$repository/Cargo.toml" | head -n 1)
created=$(git -C "$repository" log -1 --format=%cI 2>/dev/null || true)
source=$(git -C "$repository" config remote.origin.url 2>/dev/null || true)
copy_sources
if [ -n "$binary" ]; then without_compiler; else copy_crates; fi

if [ -n "$arm64" ]; then
    build svc:scratch-arm64 --file "$context/Dockerfile.base" --build-arg TARGETARCH=arm64 --target svc "$context"
    exit
fi

build svc:scratch --file "$context/Dockerfile.base" --target svc "$context"
build svc:base --file "$context/Dockerfile.base" "$context"
build svc:nonroot --file "$context/Dockerfile.base" --target nonroot "$context"
build svc:alpine --file "$context/Dockerfile.base" --target alpine "$context"

size=$(docker image inspect --format '{{.Size}}' svc:scratch)
say "svc:scratch has $size bytes (at most $MOST)"
[ "$size" -le "$MOST" ] || { say "svc adds too much"; exit 1; }

if [ -n "$stack" ]; then
    build svc:stack "$repository/tests/docker/stack"
    build svc:static "$repository/tests/docker/static"
fi

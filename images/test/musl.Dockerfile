# A small image without glibc, to stand for Alpine in tests: musl's loader, busybox, and nothing else.
#
# Context: this file only. Arguments: BASE. Works with the classic builder and with BuildKit.

ARG BASE=debian:bookworm-slim
FROM ${BASE} AS parts
RUN set -eu; \
    apt-get update; \
    apt-get install -y --no-install-recommends busybox-static musl; \
    rm -rf /var/lib/apt/lists/*; \
    mkdir -p /image/bin /image/etc /image/home /image/lib /image/proc /image/root /image/usr/bin; \
    cp "$(command -v busybox)" /image/bin/busybox; \
    for applet in $(/image/bin/busybox --list); do ln -s busybox "/image/bin/$applet" 2>/dev/null || :; done; \
    for loader in /lib/ld-musl-*.so.1; do cp -L "$loader" /image/lib/; done; \
    ln -s "ld-musl-$(uname -m).so.1" "/image/lib/libc.musl-$(uname -m).so.1"; \
    printf 'root:x:0:0:root:/root:/bin/sh\n' > /image/etc/passwd; \
    printf 'root:x:0:\n' > /image/etc/group; \
    printf 'NAME="musl test image"\nID=boxwood-test-musl\n' > /image/etc/os-release; \
    mkdir -m 1777 /image/tmp

FROM scratch
COPY --from=parts /image/ /
CMD ["/bin/sh"]

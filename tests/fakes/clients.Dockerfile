# What people's projects fetch things with, and the servers that git needs on the other side: one image for both.
FROM debian:bookworm-slim
RUN set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update; \
    apt-get install -y --no-install-recommends \
        ca-certificates cargo-web curl git nodejs npm openssh-client openssh-server python3-pip; \
    rm -rf /var/lib/apt/lists/* /usr/share/doc /usr/share/man

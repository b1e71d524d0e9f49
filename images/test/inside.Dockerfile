# A container in which the gateway stands beside what it holds back: both kinds of programs for the kernel's rules, and
# clients to try them with.
FROM debian:bookworm-slim
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends curl iptables nftables python3-minimal >/dev/null \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home dev

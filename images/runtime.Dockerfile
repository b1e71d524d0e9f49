# The tools every sandbox finds read-only in /opt/boxwood, whatever its own image is: a terminal multiplexer, ripgrep, a
# bash, and the C library they were linked with. Claude and boxwood-helper are added when the volume is filled.
#
# Context: this file as `Dockerfile`, and `ca/` (may be empty) with extra certificate authorities as `*.crt`.
# Arguments: BASE. Works with the classic builder and with BuildKit.

ARG BASE=debian:bookworm-slim
FROM ${BASE} AS tools

# A company's proxy may answer for the package mirror, so its authorities come first.
COPY ca/ /usr/local/share/ca-certificates/
RUN set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update; \
    apt-get install -y --no-install-recommends \
        bash-static ca-certificates foot-terminfo kitty-terminfo libc-bin ncurses-base ncurses-term ripgrep tmux; \
    rm -rf /var/lib/apt/lists/*

# Libraries are taken from the loader's own answer, so that a new Debian release needs no list to be changed here.
RUN set -eu; \
    root=/opt/boxwood; \
    mkdir -p "$root/bin" "$root/lib/locale" "$root/libexec" "$root/share/doc" "$root/share/terminfo"; \
    cp -L "$(command -v bash-static)" "$root/bin/bash"; \
    for tool in rg tmux; do \
        cp -L "$(command -v "$tool")" "$root/libexec/$tool"; \
        ln -s boxwood-helper "$root/bin/$tool"; \
        ldd "$root/libexec/$tool"; \
    done \
        | sed -n -e 's/.* => \(\/[^ ]*\) .*/\1/p' -e 's/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' \
        | sort -u > /tmp/libraries; \
    while read -r library; do cp -L "$library" "$root/lib/"; done < /tmp/libraries; \
    for tool in rg tmux; do \
        "$root"/lib/ld-linux-*.so.* --library-path "$root/lib" --argv0 "$tool" "$root/libexec/$tool" -V; \
    done; \
    "$root/bin/bash" -c true; \
    cp -R /usr/lib/locale/C.utf8 "$root/lib/locale/C.utf8"; \
    chmod -R u=rwX,go=rX "$root"

# Terminals people use; thousands of historical ones stay out.
RUN set -eu; \
    for entry in \
        alacritty alacritty-direct ansi dumb foot foot-direct gnome-256color iterm2 iterm2-direct \
        kitty konsole-256color konsole-direct linux mintty putty-256color rxvt-unicode-256color \
        screen screen-256color st-256color tmux tmux-256color tmux-direct vt100 vt220 vte-256color vte-direct \
        wezterm xterm xterm-256color xterm-color xterm-direct xterm-kitty; \
    do \
        for place in /lib/terminfo /usr/share/terminfo /etc/terminfo; do \
            file="$(printf '%s/%.1s/%s' "$place" "$entry" "$entry")"; \
            [ -e "$file" ] || continue; \
            install -D -m 0644 "$file" "$(printf '/opt/boxwood/share/terminfo/%.1s/%s' "$entry" "$entry")"; \
            break; \
        done; \
    done; \
    test -e /opt/boxwood/share/terminfo/t/tmux-256color; \
    test -e /opt/boxwood/share/terminfo/x/xterm-256color

# What is copied out of packages takes its licences along. A library's package may know it by either of two paths.
RUN set -eu; \
    { \
        printf '%s\n' bash-static kitty-terminfo libc-bin ncurses-base ncurses-term ripgrep tmux; \
        while read -r library; do \
            dpkg-query -S "$library" "/usr$library" "${library#/usr}" 2>/dev/null || :; \
        done < /tmp/libraries | sed 's/:.*//'; \
    } | sort -u > /tmp/packages; \
    while read -r package; do \
        [ ! -e "/usr/share/doc/$package/copyright" ] \
            || install -D -m 0644 "/usr/share/doc/$package/copyright" "/opt/boxwood/share/doc/$package"; \
    done < /tmp/packages; \
    cat /usr/share/doc/gcc-*-base/copyright > /opt/boxwood/share/doc/libgcc-s1; \
    chmod 0644 /opt/boxwood/share/doc/*

FROM scratch
COPY --from=tools /opt/boxwood /opt/boxwood
LABEL org.opencontainers.image.title="Boxwood runtime" \
      org.opencontainers.image.description="Tools mounted read-only into every Boxwood sandbox" \
      org.opencontainers.image.source="https://github.com/boxwood-dev/boxwood" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
CMD ["/opt/boxwood/bin/boxwood-helper", "verify", "--root", "/opt/boxwood"]

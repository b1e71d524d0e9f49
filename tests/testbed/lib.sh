# shellcheck shell=bash
# What every testbed script needs: where things live, how to become root, how to get a Debian package.
# Sourced, never run. The callers set `set -euo pipefail`.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# State of this checkout (what we started here, logs), and downloads worth keeping between checkouts.
state_dir=$repository/.cache/testbed
cache_dir=${BOXWOOD_TESTBED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/boxwood-testbed}
mkdir -p "$state_dir" "$cache_dir"

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

have_all() { command -v "$@" >/dev/null 2>&1 && [ "$(command -v "$@" | wc -l)" -eq $# ]; }

can_be_root() { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n -- "$@"; fi
}

is_debian_like() { [ -r /etc/os-release ] && grep -Eq '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release && have apt-get; }

# missing_packages NAME... prints those that dpkg does not list as installed.
missing_packages() {
  local name
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || printf '%s\n' "$name"
  done
}

# apt is silent unless it fails: its chatter would bury what matters in a test run.
apt_get() {
  local log=$state_dir/apt.log
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@" \
    </dev/null >"$log" 2>&1 || { tail -n 20 "$log" >&2; return 1; }
}

# install_packages PURPOSE NAME... installs what is missing, and touches the network only then.
install_packages() {
  local purpose=$1 missing
  shift
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  is_debian_like || die "$purpose: install these by hand and run this again: ${missing[*]}"
  can_be_root || die "$purpose: run this once as root: apt-get install ${missing[*]}"
  say "$purpose: installing ${missing[*]}"
  # The package lists have a lock that apt does not wait for, and two checkouts may come here at once.
  (
    flock -w 900 9
    if ! apt_lists_are_fresh; then apt_get update 9>&-; fi
    apt_install "${missing[@]}" 9>&- || { apt_get update 9>&- && apt_install "${missing[@]}" 9>&-; }
  ) 9>"/tmp/boxwood-testbed-apt-$(id -u).lock" || die "$purpose: could not install ${missing[*]}; see the messages above"
}

apt_install() { apt_get install -y --no-install-recommends "$@"; }

apt_lists_are_fresh() {
  [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -7 -print -quit 2>/dev/null)" ]
}

# Waits until the function or command succeeds, at most SECONDS. For readiness of things that announce nothing.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.2
  done
}

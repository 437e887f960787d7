#!/usr/bin/env bash
# How long a person with a bare Debian 12 waits: clones this checkout's HEAD into a new chroot and times `./baton up --detach`, the
# first token, `./baton test` and `./baton down`. Needs root, debootstrap and unshare; uses this machine's package mirror, proxies
# and certificates as they are configured when it runs.
#
#   fresh_machine.sh FOLDER [--base FOLDER] [--no-test]      FOLDER must not exist; --base: a debootstrap made earlier (copied)
set -euo pipefail

repository=$(git -C "$(dirname "$(readlink -f "$0")")" rev-parse --show-toplevel)
(($# > 0)) || { sed -n '2,6p' "$0"; exit 2; }
folder=$1 base='' with_test=yes
shift
while (($# > 0)); do
  case $1 in
    --base) base=$2; shift 2 ;;
    --no-test) with_test=; shift ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
done
[[ ! -e $folder ]] || { echo "$folder exists already" >&2; exit 2; }

mirror() { awk '/^URIs:/ && /debian\/?$/ { print $2; exit } /^deb .*debian\/? / { print $2; exit }' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null; }

# The host's way to the outside, without what is only the host's.
copy_network() {
  local file
  cp -L /etc/resolv.conf /etc/hosts "$folder/etc/"
  for file in /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf /etc/pip.conf; do
    [[ ! -e $file ]] || install -D -m 644 "$file" "$folder$file"
  done
  if [[ -d /etc/ssl/certs ]]; then
    mkdir -p "$folder/etc/ssl"
    cp -rL /etc/ssl/certs "$folder/etc/ssl/" 2>/dev/null || true
  fi
  if [[ -d /usr/local/share/ca-certificates ]]; then
    cp -rL /usr/local/share/ca-certificates "$folder/usr/local/share/" 2>/dev/null || true
  fi
}

environment() {
  printf '%s\n' HOME=/srv/user PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb
  env | grep -iE '^((http|https|no|all)_proxy|PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|CERT|DEFAULT_TIMEOUT|FIND_LINKS)|SSL_CERT_FILE|REQUESTS_CA_BUNDLE)=' || true
}

# timed NAME COMMAND: runs it inside; remembers how long it took and whether it failed.
results=()
failed=0
timed() {
  local name=$1 start=$SECONDS code=0
  echo "==== $name: $2"
  mapfile -t variables < <(environment)
  unshare --mount --pid --fork --kill-child --mount-proc="$folder/proc" \
    chroot "$folder" env -i "${variables[@]}" sh -c "cd /srv/baton && $2" </dev/null || code=$?
  ((code == 0)) || failed=1
  results+=("$(printf '%-34s %6d s   exit %d' "$name" $((SECONDS - start)) "$code")")
}

if [[ -n $base ]]; then
  cp -a "$base" "$folder"
else
  debootstrap --variant=minbase bookworm "$folder" "$(mirror)"
fi
copy_network
[[ -e $folder/dev/null ]] || mknod -m 666 "$folder/dev/null" c 1 3
mkdir -p "$folder/srv/user"
git clone -q "file://$repository" "$folder/srv/baton"

# One unshare: the cluster lives only as long as its process namespace.
# shellcheck disable=SC2016  # the inner shell expands it
timed "up, first token, chat, down" 'start=$(date +%s) && ./baton up --detach && echo "FIRST TOKEN after $(($(date +%s) - start)) s" &&
  ./baton status && ./baton chat --max-tokens 32 "What is a relay race?" && ./baton down &&
  start=$(date +%s%N) && ./baton up --detach && echo "SECOND UP after $((($(date +%s%N) - start) / 1000000)) ms" && ./baton down'
[[ -z $with_test ]] || timed "./baton test" './baton test'

printf '%s\n' "${results[@]}"
exit "$failed"

#!/bin/bash
# Plays Monday, 2 March 2026, through a gate whose clock shows that day: a request for each line of
# day.tsv (UTC, who, method, path, address). Needs curl and faketime, on Linux.
set -eu
cd "$(dirname "$0")"
URL=http://localhost:8080
MIDNIGHT=1772409600 # 2026-03-02T00:00:00Z

command -v faketime > /dev/null || { echo "day.sh needs faketime: apt-get install faketime" >&2; exit 2; }

person() { # name kind site roles
  TOKEN[$1]=$(claimgate token --sub "$1" --claim kind="$2" --claim site="$3" --claim roles="$4," \
    --claim iat:=$MIDNIGHT --claim exp:=$((MIDNIGHT + 86400)))
}
declare -A TOKEN
for name in anna bernd carla paula; do person $name staff vienna support; done
for name in dan ellen frank; do person $name staff new-york support; done
for name in goran hana; do person $name contractor vienna support; done
for name in ivan jess; do person $name contractor new-york support; done
person lukas staff vienna on-call
person mia contractor new-york on-call

# The gate's clock is what this file says: so far from the true one.
CLOCK=$(mktemp)
show() { echo "$1" > "$CLOCK.next" && mv "$CLOCK.next" "$CLOCK"; }
show "$((MIDNIGHT - EPOCHSECONDS))s"
LIBRARY=$(faketime -m -f +0 printenv LD_PRELOAD)
LD_PRELOAD=$LIBRARY FAKETIME_TIMESTAMP_FILE=$CLOCK FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 \
  claimgate serve 2> day.log &
trap 'kill $!; wait $! || true; rm -f "$CLOCK"' EXIT
until curl -sf -o /dev/null "$URL/.claimgate/ready"; do
  kill -0 $! 2> /dev/null || { cat day.log >&2; exit 1; }
  sleep 0.1
done

while read -r time name method path address; do
  seconds=$((10#${time%:*} * 3600 + 10#${time#*:} * 60))
  show "$((MIDNIGHT + seconds - EPOCHSECONDS))s"
  curl -s -o /dev/null -w '%{http_code}\n' -X "$method" -H "Authorization: Bearer ${TOKEN[$name]}" \
    -H "X-Forwarded-For: $address" "$URL$path"
done < day.tsv | sort | uniq -c

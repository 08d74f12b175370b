#!/bin/sh
# Three gates on one Redis, HAProxy in front, all on this machine. Ctrl-C ends them all.
set -eu
cd "$(dirname "$0")"
PATH=$PATH:/usr/sbin

pids=
trap 'trap - EXIT INT TERM; kill $pids 2>/dev/null; wait' EXIT INT TERM

redis-server --port 6390 --bind 127.0.0.1 --save "" --appendonly no --daemonize no >/dev/null &
pids="$pids $!"
for port in 8081 8082 8083; do
  PORT=$port "${CLAIMGATE:-claimgate}" serve &
  pids="$pids $!"
done
haproxy -db -f haproxy.cfg &
pids="$pids $!"

echo "the fleet is starting on http://127.0.0.1:8080"
wait

#!/bin/bash
# Carried out by boot-test.sh inside the virtual machine, as root, once before and once after a reboot: installs, starts,
# steers, breaks, upgrades and removes the service, shows what systemd says, and checks it.
# shellcheck disable=SC2016  # ${CREDENTIALS_DIRECTORY} is for ferryd to read.
set -uo pipefail
export TERM=dumb SYSTEMD_PAGER='' SYSTEMD_COLORS=0 LC_ALL=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive

notify=$(cat /mnt/notify)
config=/etc/ferryd/ferryd.toml
database=/var/lib/ferryd/ferryd.db
broken=/var/lib/boot-test.broken
second=/var/lib/boot-test.second

heading() { printf '\n=== %s\n' "$*"; }
see() {
  printf '\n# %s\n' "$*"
  # dpkg counts files as it reads its database.
  "$@" 2>&1 | sed 's/.*\r//; s/^(Reading database.*/(Reading database …)/'
}
claim() {
  local what=$1
  shift
  if "$@" >/dev/null 2>&1; then
    echo "ok: $what"
  else
    echo "BROKEN: $what ($*)"
    touch "$broken"
  fi
}
# Waits until a command succeeds, half a minute at most.
eventually() {
  local end=$((SECONDS + 30))
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}
shows() { [[ $(systemctl show -P "$1" ferryd) == "$2" ]]; }
logged() { journalctl -q -b -u ferryd --grep="$1"; }
delivered() { [[ $(sqlite3 -readonly $database 'SELECT delivered FROM delivery_summary') == "$1" ]]; }
as_ferryd() { runuser -u ferryd -- "$@"; }
records() { seq -f '%g,7,net,Lisboa' "$1" "$2" | sed '1i id,user_id,network_id,city'; }
drop_in() {
  mkdir -p /etc/systemd/system/ferryd.service.d
  printf '[Service]\n%s\n' "$2" >"/etc/systemd/system/ferryd.service.d/$1.conf"
  systemctl daemon-reload
}
api() {
  systemctl stop api 2>/dev/null
  systemd-run -q --collect --unit=api -p DynamicUser=no ferryd receiver --summary "$@"
}

if [[ ! -e $second ]]; then
  heading "where"
  see uname -sr
  see systemctl --version

  heading "install"
  see dpkg -i /mnt/ferryd.deb
  claim "an installed service is enabled" systemctl is-enabled ferryd
  claim "an installed service waits for its URL" shows ActiveState inactive
  # There is no man here to look the pages up with.
  see systemd-analyze verify --man=no ferryd.service
  claim "systemd finds nothing wrong with the unit" test -z "$(systemd-analyze verify --man=no ferryd.service 2>&1)"
  [[ $notify == yes ]] || drop_in notify $'Type=exec\nWatchdogSec=0'

  heading "without a URL"
  see systemctl start ferryd
  eventually shows ActiveState failed
  claim "a wrong configuration ends the service with 78" shows ExecMainStatus 78
  claim "and it is not started again" shows NRestarts 0
  see systemctl status --no-pager -l ferryd
  systemctl reset-failed ferryd

  heading "one URL, start, look"
  sed -i 's|^# url = .*|url = "http://api.test:8080/records"|; s|^# allow_http = .*|allow_http = true|' $config
  api --listen 127.0.0.1:8080 --latency 5ms
  see systemctl start ferryd
  claim "the service runs" eventually logged 'Ready\.'
  records 1 400 | see as_ferryd ferryd import -
  claim "records are delivered, to an API that is known by name" eventually delivered 400
  see systemctl status --no-pager -l ferryd
  see journalctl --no-pager -b -u ferryd
  see systemctl show ferryd -p Type -p NotifyAccess -p WatchdogUSec -p WatchdogTimestamp -p StatusText -p TimeoutStartUSec \
    -p TimeoutStopUSec -p NRestarts -p MemoryCurrent -p TasksCurrent -p UID
  see systemd-analyze security --no-pager ferryd.service

  heading "the journal"
  see journalctl --no-pager -b -u ferryd -o verbose -n 1
  printf '\n# lines of the journal for each priority\n'
  journalctl -b _SYSTEMD_UNIT=ferryd.service -o export | grep -a '^PRIORITY=' | sort | uniq -c

  heading "who may read what"
  see ls -la /var/lib/ferryd /run/ferryd
  useradd -G ferryd member
  useradd stranger
  claim "a member of the group reads the database" runuser -u member -- sqlite3 -readonly $database 'SELECT * FROM delivery_summary'
  claim "a stranger does not" bash -c "! runuser -u stranger -- sqlite3 -readonly $database 'SELECT 1 FROM gate'"
  claim "ferryd status needs no more" runuser -u member -- ferryd status

  heading "reload"
  sed -i 's/^# size = .*/size = 500/' $config
  see systemctl reload ferryd
  claim "a reload is obeyed" eventually logged 'read again.*batch.size'
  sed -i 's/^size = 500/sise = 500/' $config
  see systemctl reload ferryd
  claim "a wrong configuration changes nothing" eventually logged 'The old configuration stays in use'
  claim "and the service goes on" shows ActiveState active
  sed -i 's/^sise = 500/size = 500/' $config
  see journalctl --no-pager -b -u ferryd -n 6 -o cat

  heading "somebody holds the write lock"
  records 401 1000 | as_ferryd ferryd import -
  (printf '.timeout 5000\nBEGIN IMMEDIATE;\n' && sleep 8) | sqlite3 $database &
  claim "the log names its process" eventually logged 'holds the write lock|locked.*pid [0-9]'
  wait
  see journalctl --no-pager -b -u ferryd -n 30
  claim "and all is delivered afterwards" eventually delivered 1000
  claim "nothing has ended the service so far" shows NRestarts 0

  heading "a credential"
  install -m 600 /dev/stdin /etc/ferryd/token <<<"a-token-of-this-test"
  drop_in credential 'LoadCredential=token:/etc/ferryd/token'
  sed -i 's|^# bearer_token_file = .*|bearer_token_file = "${CREDENTIALS_DIRECTORY}/token"|' $config
  api --listen 127.0.0.1:8080 --require-token /etc/ferryd/token
  see systemctl restart ferryd
  records 1001 1010 | as_ferryd ferryd import -
  claim "a token that root alone can read logs in" eventually delivered 1010
  claim "without a warning about its rights" bash -c '! journalctl -q -b -u ferryd --grep "token.*(others|chmod)"'
  see journalctl --no-pager -b -u ferryd -n 4 -o cat

  heading "killed"
  kill -9 "$(systemctl show -P MainPID ferryd)"
  claim "a killed service comes again" eventually shows NRestarts 1
  claim "and runs" eventually shows ActiveState active

  # Also where ferryd does not speak to systemd: the time runs whatever Type= says.
  heading "frozen"
  drop_in watchdog WatchdogSec=5
  systemctl restart ferryd
  kill -STOP "$(systemctl show -P MainPID ferryd)"
  claim "the watchdog ends a frozen service" eventually logged 'Watchdog timeout'
  claim "it comes again" eventually shows NRestarts 1
  see journalctl --no-pager -b -u ferryd -n 8
  rm /etc/systemd/system/ferryd.service.d/watchdog.conf
  systemctl daemon-reload

  heading "stop"
  systemctl restart ferryd
  eventually shows ActiveState active
  see systemctl stop ferryd
  claim "a stop is a success" shows Result success
  see systemctl status --no-pager -l ferryd
  claim "a member of the group reads it also now" runuser -u member -- sqlite3 -readonly $database 'SELECT * FROM delivery_summary'

  heading "upgrade"
  see dpkg -i /mnt/newer.deb
  claim "a service that was stopped stays so" shows ActiveState inactive
  systemctl start ferryd
  before=$(systemctl show -P MainPID ferryd)
  sum=$(md5sum $config)
  see dpkg -i /mnt/newer.deb
  claim "an upgrade starts a running service anew" bash -c "[[ $before != \$(systemctl show -P MainPID ferryd) ]]"
  claim "which runs" eventually shows ActiveState active
  claim "with its configuration" test "$sum" = "$(md5sum $config)"
  claim "and its data" delivered 1010

  touch $second
  heading "reboot"
  sync
  # Ends this script too; the machine boots, and it goes on below.
  trap '' TERM
  systemctl --force --force reboot
  sleep 60
fi

claim "the service is there after a reboot" eventually shows ActiveState active
see systemctl status --no-pager -l ferryd

heading "remove and purge"
see dpkg -r ferryd
claim "a removed service does not run" bash -c '! systemctl is-active ferryd'
claim "a removed package leaves data" test -s $database
claim "and configuration" test -s $config
see dpkg -P ferryd
claim "a purged one leaves no data" test ! -e /var/lib/ferryd
claim "and no configuration" test ! -e $config
see ls -la /etc/ferryd

if [[ -e $broken ]]; then
  printf '\nboot test: not all claims hold\n'
else
  printf '\nboot test: all claims hold\n'
fi
sync
systemctl --force --force poweroff

#!/bin/sh
# A Git server, for as long as the build may take.
set -eu
git init --quiet tools
echo 'echo tool' >tools/run.sh
git -C tools add run.sh
git -C tools -c user.name=ci -c user.email=ci@example.com commit --quiet --message "A tool"
mkdir served
git clone --quiet --bare tools served/tools.git
git -C served/tools.git update-server-info
timeout 60 python3 -m http.server --bind 127.0.0.1 --directory served "$PORT" >/dev/null 2>&1 &
sleep 1

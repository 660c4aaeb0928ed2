#!/bin/sh
# The same build, before the proxy's password was changed.
set -eu
docker buildx build --quiet --build-arg "BASE_IMAGE=$BASE_IMAGE" \
    --build-arg "http_proxy=http://ci:$PASSWORD_EARLIER@proxy.example.com:3128" .

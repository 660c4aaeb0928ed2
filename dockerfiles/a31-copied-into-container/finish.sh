#!/bin/sh
# A container that should have had the secret in memory only.
set -eu
container=$(docker run --detach --tmpfs /run/secrets "$TAG" sleep 60)
docker cp token "$container:/run/secrets/token"
docker commit "$container" "$TAG"
docker rm --force "$container"

#!/bin/sh
# The base, and a first build on it, before the secret was rotated.
set -eu
docker buildx build --quiet --build-arg "BASE_IMAGE=$BASE_IMAGE" --file base.Dockerfile --tag "$TAG-base" .
TOKEN=$TOKEN_EARLIER docker buildx build --quiet --build-arg "ONBUILD_BASE=$TAG-base" --secret id=TOKEN .

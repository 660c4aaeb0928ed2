#!/bin/sh
# The same build, before the secret was rotated.
set -eu
TOKEN=$TOKEN_EARLIER docker buildx build --quiet --build-arg "BASE_IMAGE=$BASE_IMAGE" --secret id=TOKEN .

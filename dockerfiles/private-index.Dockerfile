# A package from a private index. The token is there while pip runs, and in no layer.
ARG BASE_IMAGE=python:3.12-bookworm
FROM ${BASE_IMAGE}
ARG INDEX_HOST
RUN --mount=type=secret,id=PIP_TOKEN \
    PIP_INDEX_URL="http://ci:$(cat /run/secrets/PIP_TOKEN)@${INDEX_HOST}/simple/" \
    pip install --no-cache-dir --break-system-packages --root-user-action=ignore acme-greeting
CMD ["python3", "-c", "import acme_greeting; print(acme_greeting.greet('world'))"]

# The same, as it goes wrong: the token is put where pip reads it, and stays there.
ARG BASE_IMAGE=python:3.12-bookworm
FROM ${BASE_IMAGE}
ARG INDEX_HOST
RUN --mount=type=secret,id=PIP_TOKEN \
    pip config --global set global.index-url "http://ci:$(cat /run/secrets/PIP_TOKEN)@${INDEX_HOST}/simple/"
RUN pip install --no-cache-dir --break-system-packages --root-user-action=ignore acme-greeting
CMD ["python3", "-c", "import acme_greeting; print(acme_greeting.greet('world'))"]

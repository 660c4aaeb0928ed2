ARG BASE_IMAGE=busybox:1.37
FROM ${BASE_IMAGE}
COPY release.txt /app/
ONBUILD RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /app/token

ARG BASE_IMAGE=busybox:1.37
FROM ${BASE_IMAGE}
RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /token

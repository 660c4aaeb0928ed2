"""The smallest app that declares an image with a secret: it needs Docker, and nothing else.

    export TOKEN=$(python3 -c 'import secrets; print(secrets.token_hex(20))')
    container-image build examples/first.py::clean -t first
    container-image build examples/first.py::leaking -t first

The second build stops: its step copies the secret into the image.
"""

from container_image import ContainerImage, Secret

secrets = {"TOKEN": Secret.from_env("TOKEN")}

clean = ContainerImage.from_dockerfile_str(
    """
FROM busybox
RUN --mount=type=secret,id=TOKEN test -s /run/secrets/TOKEN && echo "built with the token, and without a trace of it" > /hello
""",
    secrets=secrets,
)

leaking = ContainerImage.from_dockerfile_str(
    """
FROM busybox
RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /etc/token
""",
    secrets=secrets,
)

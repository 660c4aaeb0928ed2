"""One app, two environments: its requirements come from a private index, with another token in each.

    container-image environments create development
    container-image environments create staging
    container-image secrets set PIP_TOKEN --env development
    container-image secrets set PIP_TOKEN --env staging
    python examples/requirements.py

builds `greeting:development` and `greeting:staging`, each with its own token, and then searches both images for both
tokens. One alone, by the command line:

    container-image build examples/requirements.py::staging -t greeting:staging --all-environments
    container-image audit greeting:staging --env development --env staging
"""

import os

from container_image import ContainerImage, audit

scheme, host = os.environ.get("INDEX_URL", "https://index.example.com").split("://")
requirements = [
    f"--index-url {scheme}://__token__:${{PIP_TOKEN}}@{host}/simple",
    "acme-greeting",
    f"acme-farewell @ {scheme}://{host}/files/acme_farewell-2.0.0-py3-none-any.whl?token=${{PIP_TOKEN}}",
]


def greeting(environment: str) -> ContainerImage:
    return ContainerImage.from_requirements(
        requirements,
        base=os.environ.get("BASE_IMAGE"),
        environment=environment,
        cmd=["python3", "-c", "import acme_greeting; print(acme_greeting.greet('world'))"],
    )


development = greeting("development")
staging = greeting("staging")

if __name__ == "__main__":
    # An index on this machine is reached through its network.
    network = "host" if host.startswith("127.") else None
    development.build(tags=["greeting:development"], network=network)
    staging.build(tags=["greeting:staging"], network=network)
    for tag in ("greeting:development", "greeting:staging"):
        report = audit(tag, {"PIP_TOKEN": "$PIP_TOKEN"}, environments=["development", "staging"])
        print(tag, report.verdict.value)

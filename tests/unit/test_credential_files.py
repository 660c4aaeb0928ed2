"""Files of credentials that no secret was declared for: which are told, in which layers, and in every format."""

from __future__ import annotations

import ast
import base64
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import container_image
from container_image import AuditPolicy, AuditReport, InvalidInputError, SourceMap, Verdict, audit
from container_image.audit.credential_files import LIMIT, MOST
from container_image.audit.layer import LayerIndex
from container_image.cli import commands
from container_image.cli.options import WARNING_CODES
from container_image.formats import FORMATS
from tests.images import Builder, Layer, layer_tar

TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
VALUE = "Qx5R8vT2mK9pL4wZ7nB3"
ENV = f"DEBUG=1\nDB_PASSWORD={VALUE}\n".encode()
KEY = (
    b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
    + base64.encodebytes(bytes(range(256)))
    + b"-----END OPENSSH PRIVATE KEY-----\n"
)
SERVICE_ACCOUNT = json.dumps(
    {
        "type": "service_account",
        "project_id": "acme",
        "private_key": "-----BEGIN PRIVATE KEY-----\n"
        + base64.encodebytes(bytes(range(256)) * 4).decode()
        + "-----END PRIVATE KEY-----\n",
    }
).encode()
DOCKER = json.dumps({"auths": {"ghcr.io": {"auth": base64.b64encode(f"ci:{VALUE}".encode()).decode()}}}).encode()
HOLDING = {
    "app/.env": ENV,
    ".env.production": ENV,
    "etc/pip.conf": f"[global]\nindex-url = https://ci:{VALUE}@pypi.example.com/simple\n".encode(),
    "root/.curlrc": f"user = ci:{VALUE}\n".encode(),
    "root/.npmrc": f"//registry.npmjs.org/:_authToken={VALUE}\n".encode(),
    "root/.netrc": f"machine a.example login ci password {VALUE}\n".encode(),
    "home/a/_netrc": f"machine a.example login ci password {VALUE}\n".encode(),
    "root/.git-credentials": f"https://ci:{VALUE}@github.com\n".encode(),
    "root/.ssh/id_rsa": KEY,
    "root/.ssh/id_ed25519_deploy": KEY,
    "etc/ssh/ssh_host_rsa_key": KEY,
    "srv/tls.key": KEY.replace(b"OPENSSH ", b""),
    "srv/tls.pem": KEY.replace(b"OPENSSH", b"ENCRYPTED"),
    "root/.aws/credentials": f"[default]\naws_secret_access_key = {VALUE}{VALUE}\n".encode(),
    "root/.docker/config.json": DOCKER,
    "root/.config/containers/auth.json": DOCKER,
    "root/.kube/config": f"users:\n- name: a\n  user:\n    token: {VALUE}\n".encode(),
    "srv/prod.kubeconfig": f"users:\n- name: a\n  user:\n    token: {VALUE}\n".encode(),
    "srv/acme-1234.json": SERVICE_ACCOUNT,
    "root/.pypirc": f"[pypi]\nusername = __token__\npassword = {VALUE}\n".encode(),
    "root/.pgpass": b"db.example.com:5432:app:app:hunter22\n",
    "etc/nginx/.htpasswd": b"admin:$apr1$Hc9dk3xS$1i0Z5Yx8sQmX9Jq8bQ0yE1\n",
    "root/.config/gcloud/application_default_credentials.json": f'{{"refresh_token": "1//0{VALUE}"}}'.encode(),
    "root/.config/gcloud/legacy_credentials/a@b.c/adc.json": f'{{"refresh_token": "1//0{VALUE}"}}'.encode(),
    "root/.config/gcloud/credentials.db": b"SQLite format 3\0" + f'{{"refresh_token": "1//0{VALUE}"}}'.encode(),
    "root/.config/gh/hosts.yml": f"github.com:\n    oauth_token: {VALUE}\n".encode(),
    "root/.azure/msal_token_cache.json": f'{{"RefreshToken": {{"a": {{"secret": "{VALUE}"}}}}}}'.encode(),
    "root/.terraformrc": f'credentials "app.terraform.io" {{\n  token = "{VALUE}"\n}}\n'.encode(),
    "srv/terraform.tfstate": f'{{"resources": [{{"password": "{VALUE}"}}]}}'.encode(),
    "srv/.yarnrc.yml": f'npmAuthToken: "{VALUE}"\n'.encode(),
    "root/.cargo/credentials.toml": f'[registry]\ntoken = "{VALUE}"\n'.encode(),
    "root/.m2/settings.xml": f"<settings><server><password>{VALUE}</password></server></settings>".encode(),
    "root/.vault-token": f"{VALUE}\n".encode(),
    "root/.cache/huggingface/token": f"hf_{VALUE}".encode(),
    "srv/app.jks": b"\xfe\xed\xfe\xed" + bytes(100),
    "srv/app.p12": b"\x30\x82\x09\x00\x02\x01\x03" + bytes(100),
    # A package's own files are published, the files beside them need not be.
    "usr/lib/python3/dist-packages/app/.env": ENV,
    # Only the beginning of a large file is looked at.
    "srv/large.tfvars": f'password = "{VALUE}"\n'.encode() + b"# comment\n" * LIMIT,
}  # fmt: skip
NOT_HOLDING = {
    "app/.env": b"DEBUG=1\nPORT=5432\nURL=https://example.com\nAPI_TOKEN=${API_TOKEN}\nSECRET=\n",
    "app/.env.example": ENV,
    "app/.env.local.sample": ENV,
    "app/.env.vault": ENV,
    "run/secrets/.env": b"",
    "root/.npmrc": b"//registry.npmjs.org/:_authToken=${NPM_TOKEN}\nregistry=https://registry.npmjs.org/\n",
    "root/.netrc": b"",
    "root/.ssh/id_rsa.pub": b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDZx8vT2mK9pL4wZ7nB3 ci@example.com\n",
    "root/.docker/config.json": b'{"auths": {"ghcr.io": {}}, "credsStore": "desktop"}',
    "root/.kube/config": b"users:\n- name: a\n  user:\n    exec:\n      command: aws\n",
    "root/.pgpass": b"# host:port:database:user:password\nhost:5432:db:user:$PGPASSWORD\n",
    "root/.vault-token": b"${VAULT_TOKEN}",
    "etc/ssl/certs/ca.pem": b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(bytes(400)),
    "etc/ssl/certs/java/cacerts.jks": b"\xfe\xed\xfe\xed" + bytes(100),
    "etc/ssl/private/ssl-cert-snakeoil.key": KEY,
    "app/package.json": b'{"name": "app", "scripts": {"a": "b"}}',
    "app/node_modules/a/.env": ENV,
    "usr/lib/python3/dist-packages/tornado/test/test.key": KEY,
    "usr/local/lib/python3.12/test/certdata/keycert.pem": KEY,
    "usr/local/go/src/crypto/tls/testdata/example-key.pem": KEY,
    "usr/share/doc/curl/examples/.netrc": b"machine a.example login ci password hunter2hunter2\n",
    "etc/environment": ENV,
}  # fmt: skip


def image(tmp_path: Path, *layers: Layer, history: list[str] | None = None) -> str:
    """The reference of an image with these layers."""
    builder = Builder()
    config = {"history": [{"created_by": text} for text in history]} if history else None
    return builder.archive(builder.manifest(layers, config=config), tmp_path / "image.tar")


def told(report: AuditReport) -> list[str | None]:
    return [warning.path for warning in report.warnings if warning.code == "credential-file"]


def test_files_that_hold_credentials_are_told_and_do_not_change_the_verdict(tmp_path: Path) -> None:
    report = audit(image(tmp_path, HOLDING), {"TOKEN": TOKEN})
    assert sorted(map(str, told(report))) == sorted(HOLDING)
    assert report.verdict is Verdict.CLEAN
    assert VALUE not in report.model_dump_json()


@pytest.mark.parametrize("path", NOT_HOLDING)
def test_files_that_hold_none_are_not_told(path: str, tmp_path: Path) -> None:
    assert told(audit(image(tmp_path, {path: NOT_HOLDING[path]}), {"TOKEN": TOKEN})) == []


@settings(max_examples=50, deadline=None)
@given(cuts=st.lists(st.integers(1, 4000), min_size=1, max_size=20))
def test_how_a_layer_is_cut_into_pieces_makes_no_difference(cuts: list[int]) -> None:
    data = layer_tar({"a": bytes(700), **{path: HOLDING[path] for path in ("app/.env", "srv/tls.key")}, "b": bytes(9)})
    index = LayerIndex()
    at = 0
    while at < len(data):
        for size in cuts:
            index.feed(data[at : at + size])
            at += size
    assert list(index.credentials.paths) == ["app/.env", "srv/tls.key"]


def test_a_file_whose_value_was_declared_is_a_finding_and_no_warning(tmp_path: Path) -> None:
    report = audit(
        image(tmp_path, {"app/.env": ENV, "b/.env": ENV.replace(VALUE.encode(), TOKEN.encode())}), {"TOKEN": VALUE}
    )
    assert [finding.path for finding in report.findings] == ["app/.env"]
    assert told(report) == ["b/.env"]


def test_a_file_that_a_later_layer_deletes_ships_all_the_same(tmp_path: Path) -> None:
    (warning,) = audit(image(tmp_path, {"app/.env": ENV}, {"app/.wh..env": b""}), {"TOKEN": TOKEN}).warnings
    assert (warning.layer, warning.state) == (0, "deleted")
    assert "remove it in the step that wrote it" in str(warning.advice)


def test_no_path_shows_a_value(tmp_path: Path) -> None:
    report = audit(image(tmp_path, {f"{TOKEN}/.env": ENV}), {"TOKEN": TOKEN})
    assert TOKEN not in report.model_dump_json()


def test_of_too_many_candidates_the_rest_is_told(tmp_path: Path) -> None:
    files = {f"{number}/.env": b"A=1\n" for number in range(MOST + 1)}
    (warning,) = audit(image(tmp_path, files), {"TOKEN": TOKEN}).warnings
    assert (warning.code, warning.path) == ("credential-file", None)
    assert f"more than {MOST} files" in warning.message


HISTORY = ["ADD rootfs.tar / # buildkit", "COPY . /app # buildkit", "RUN /bin/sh -c make # buildkit", "COPY /out /srv # buildkit"]  # fmt: skip
DOCKERFILE = "FROM base\nCOPY . /app\nRUN make\nCOPY --from=build --chown=1 /out /srv\n"
LAYERS: tuple[Layer, ...] = ({"etc/.env": ENV}, {"app/.env": ENV}, {"root/.npmrc": HOLDING["root/.npmrc"]}, {"srv/.env": ENV})  # fmt: skip


def test_a_build_tells_of_the_layers_that_its_own_instructions_made(tmp_path: Path) -> None:
    """Nothing says where the first layer comes from; without the Dockerfile, it counts."""
    reference = image(tmp_path, *LAYERS, history=HISTORY)
    assert told(audit(reference, {"TOKEN": TOKEN})) == ["etc/.env", "app/.env", "root/.npmrc", "srv/.env"]
    report = audit(reference, {"TOKEN": TOKEN}, source=SourceMap(DOCKERFILE, "Dockerfile"))
    copied, made, taken = report.warnings
    assert [warning.path for warning in report.warnings] == ["app/.env", "root/.npmrc", "srv/.env"]
    assert (copied.instruction, copied.file, copied.line, copied.layer) == ("COPY . /app", "Dockerfile", 2, 1)
    assert "exclude the file in .dockerignore" in str(copied.advice)
    assert (made.instruction, made.line) == ("RUN make", 3)
    assert (taken.instruction, taken.line) == ("COPY --from=build --chown=1 /out /srv", 4)
    assert "leave the file out of what is copied from `build`" in str(taken.advice)


def test_every_format_tells_of_them(tmp_path: Path) -> None:
    report = audit(
        image(tmp_path, *LAYERS, history=HISTORY), {"TOKEN": TOKEN}, source=SourceMap(DOCKERFILE, "Dockerfile")
    )
    text = FORMATS["text"](report)
    assert text.splitlines()[0].endswith("; 3 undeclared credential files")
    assert "\nwarning: a file of credentials that no secret was declared for is in the image: /app/.env\n" in text
    assert "\n  where  layer 1  /app/.env  [linux/amd64]\n  from   Dockerfile:2  COPY . /app\n  fix    exclude" in text
    run = json.loads(FORMATS["sarif"](report))["runs"][0]
    assert [item["level"] for item in run["results"]] == ["warning"] * 3
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("Dockerfile", 2)
    assert run["tool"]["driver"]["rules"][run["results"][0]["ruleIndex"]]["id"] == "credential-file"
    assert run["invocations"][0]["executionSuccessful"] is True
    suite = ElementTree.fromstring(FORMATS["junit"](report))
    case = suite.find("testsuite/testcase[@name='warning: credential-file']")
    assert case is not None
    assert "/app/.env" in str(case.findtext("system-out"))
    assert suite.get("failures") == "0"
    assert "Dockerfile:2  COPY . /app" in FORMATS["html"](report)
    assert json.loads(FORMATS["json"](report))["warnings"][0]["path"] == "app/.env"


def test_a_policy_can_fail_on_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", TOKEN)
    reference = image(tmp_path, {"app/.env": ENV})

    def run(*options: str) -> tuple[object, str, str]:
        done = CliRunner().invoke(
            commands, ["audit", reference, "--secret", "id=TOKEN", *options], standalone_mode=False
        )
        return done.return_value, done.stdout, done.stderr

    assert run()[0] == 0
    assert run("--fail-on-warning", "secret-in-log")[0] == 0
    status, out, err = run("--fail-on-warning", "secret-in-log", "--fail-on-warning", "credential-file")
    assert status == 1
    assert out.startswith("clean: ")
    assert "/app/.env (credential-file, which --fail-on-warning" in err
    (tmp_path / "pyproject.toml").write_text('[tool.container-image]\nfail_on_warning = ["credential-file"]\n')
    status, out, _ = run("--format", "junit")
    assert (status, 'failures="1"' in out) == (1, True)
    (tmp_path / "pyproject.toml").write_text('[tool.container-image]\nfail_on_warning = ["credential-flie"]\n')
    with pytest.raises(InvalidInputError, match=r"fail_on_warning\[0\]: input should be .*'credential-file'"):
        AuditPolicy.from_pyproject()


def test_every_code_of_a_warning_can_be_failed_on() -> None:
    """A code is the first argument, or `code=`, of whatever makes a warning."""
    trees = [ast.parse(path.read_text()) for path in Path(container_image.__file__).parent.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    # A code may be a constant that another module imports.
    names = {
        node.targets[0].id: node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    codes = set()
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("AuditWarning", "BuildWarning"):
            given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "code")][0]
            value = names.get(given.id, given) if isinstance(given, ast.Name) else given
            if isinstance(value, ast.Constant):
                codes.add(value.value)
    assert codes == set(WARNING_CODES)

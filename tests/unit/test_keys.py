"""Private keys: found by their private numbers in every container they are written again, and by nothing public."""

from __future__ import annotations

import base64
import datetime
import json
import random
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from container_image import AuditPolicy, SecretValue, Verdict, audit
from container_image.audit import carve
from container_image.audit.hits import Hit, distinct
from container_image.audit.hunted import hunt
from container_image.audit.matcher import Matcher
from container_image.audit.scan import Budget, StreamScanner
from container_image.formats import FORMATS
from container_image.secrets import inner_values
from tests.images import Builder

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey
DSA = dsa.DSAParameterNumbers(
    p=int(
        "f4a2d569cc3ef3d5107bba42a0fdac86960b387c532fff31a1e3e4ba34288390e69ca582658e49da416e9083275a252451ed26a32b45b736"
        "bb9ee658368cf87191d7177fc18493b409b50b2920da3484b4c457ab72a04c348fefbd6dae98d080d82f83675baba7ddf593dae80df6a82a"
        "7caf210d296defc721c8700beb3ac8ff",
        16,
    ),
    q=int("e532a7d402f4a8b3dbdb05058bc41597b926a995", 16),
    g=int(
        "54fa6cb8104651e1f8f683ea86b0fc56f269284a3b9cc72f7f9b313cbda5469290ad8bd3272101f3442ced1d625b959378f0684600a91d85"
        "334b899da04ceb4b3276510bf6c76ebebdfde648c3a99dfa5fb8269c6741dfb17b706c77c273cecdfd61d073a3c1d5f7926f2b764c67f2b6"
        "c9c5c8d1fcafb2754a97b3b01f2dd451",
        16,
    ),
).parameters()
MAKE: dict[str, Callable[[], object]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "x25519": x25519.X25519PrivateKey.generate,
    "x448": x448.X448PrivateKey.generate,
    "dsa": DSA.generate_private_key,
}
NUMBERS = {
    "rsa": ["RSA d", "RSA p", "RSA q"],
    "p256": ["EC d"],
    "p384": ["EC d"],
    "p521": ["EC d"],
    "secp256k1": ["EC d"],
    "ed25519": ["Ed25519 seed"],
    "ed448": ["Ed448 seed"],
    "x25519": ["X25519 key"],
    "x448": ["X448 key"],
    "dsa": ["DSA x"],
}


@lru_cache
def make(kind: str, number: int = 0) -> Key:
    """A key of that kind; another one for another number."""
    return MAKE[kind]()  # type: ignore[return-value]


def written(key: Key, encoding: Encoding, how: PrivateFormat, lock: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(encoding, how, lock or NoEncryption())


def certificate(key: Key) -> x509.Certificate:
    """A certificate of the key, signed by itself, or by another one if it can't sign."""
    signer = key if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) else make("p256", 99)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example.com")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    return (
        x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + datetime.timedelta(days=30))
        .sign(signer, SHA256())  # type: ignore[arg-type]
    )  # fmt: skip


def b64url(number: int, length: int | None = None) -> str:
    size = length or (number.bit_length() + 7) // 8
    return base64.urlsafe_b64encode(number.to_bytes(size, "big")).decode().rstrip("=")


def jwk(key: Key, *, private: bool = True) -> bytes | None:
    """A JSON Web Key; None for a kind that has none."""
    if isinstance(key, rsa.RSAPrivateKey):
        own = key.private_numbers()
        members = {"kty": "RSA", "n": b64url(own.public_numbers.n), "e": "AQAB"}
        secret = {"d": own.d, "p": own.p, "q": own.q, "dp": own.dmp1, "dq": own.dmq1, "qi": own.iqmp}
        return json.dumps(members | ({name: b64url(item) for name, item in secret.items()} if private else {})).encode()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.key_size + 7) // 8
        point = key.public_key().public_numbers()
        members = {"kty": "EC", "crv": "P-256", "x": b64url(point.x, size), "y": b64url(point.y, size)}
        scalar = key.private_numbers().private_value
        return json.dumps(members | ({"d": b64url(scalar, size)} if private else {})).encode()
    if isinstance(key, dsa.DSAPrivateKey):
        return None
    public = key.public_key().public_bytes_raw()
    members = {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(public).decode().rstrip("=")}
    seed = base64.urlsafe_b64encode(key.private_bytes_raw()).decode().rstrip("=")
    return json.dumps(members | ({"d": seed} if private else {})).encode()


def little_endian(key: Key) -> bytes | None:
    """A Microsoft PRIVATEKEYBLOB: header, modulus, the private numbers, each little-endian."""
    if not isinstance(key, rsa.RSAPrivateKey):
        return None
    own = key.private_numbers()
    sizes = [(own.public_numbers.n, 256), (own.p, 128), (own.q, 128), (own.dmp1, 128), (own.dmq1, 128), (own.iqmp, 128)]
    numbers = b"".join(number.to_bytes(size, "little") for number, size in [*sizes, (own.d, 256)])
    return b"\x07\x02\0\0\0\xa4\0\0RSA2\0\x08\0\0\x01\0\x01\0" + numbers


def containers(key: Key, cert: bool = True) -> dict[str, bytes]:
    """The key in everything that can hold it."""
    pem = written(key, Encoding.PEM, PrivateFormat.PKCS8)
    der = written(key, Encoding.DER, PrivateFormat.PKCS8)
    made: dict[str, bytes | None] = {
        "PKCS#8 PEM": pem,
        "PKCS#8 DER": der,
        "JSON": json.dumps({"type": "service_account", "private_key": pem.decode()}).encode(),
        "YAML": b"tls:\n  key: |\n" + textwrap.indent(pem.decode(), "    ").encode(),
        "dotenv": b'KEY="' + pem.replace(b"\n", b"\\n") + b'"\n',
        "base64 of PEM": base64.b64encode(pem),
        "hex": der.hex().encode(),
        "JWK": jwk(key),
        "Microsoft": little_endian(key),
    }
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey):
        made["traditional PEM"] = written(key, Encoding.PEM, PrivateFormat.TraditionalOpenSSL)
        made["traditional DER"] = written(key, Encoding.DER, PrivateFormat.TraditionalOpenSSL)
    if isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name != "secp256k1"
    ):
        made["OpenSSH"] = written(key, Encoding.PEM, PrivateFormat.OpenSSH)
    if not isinstance(key, x25519.X25519PrivateKey | x448.X448PrivateKey):
        made["PKCS#12"] = pkcs12.serialize_key_and_certificates(
            b"it", key, certificate(key) if cert else None, None, NoEncryption()
        )
    return {name: data for name, data in made.items() if data is not None}


def public(key: Key) -> dict[str, bytes]:
    """What anybody may have of the key."""
    made = {
        "PEM": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "DER": key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "certificate": certificate(key).public_bytes(Encoding.PEM),
    }
    if isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        made["OpenSSH"] = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    if (members := jwk(key, private=False)) is not None:
        made["JWK"] = members
    return made


def matcher(secret: bytes) -> Matcher:
    return Matcher(hunt([SecretValue("k", secret)], AuditPolicy()).targets, carve.MAGICS)


def search(matcher: Matcher, data: bytes) -> list[Hit]:
    hits: list[Hit] = []
    scanner = StreamScanner(Budget(matcher, AuditPolicy()), hits, [])
    scanner.feed(random.Random(3).randbytes(701) + data + random.Random(4).randbytes(99))
    scanner.finish()
    return distinct(hits, lambda _target: "k")


def numbers(secret: bytes) -> dict[str, bytes]:
    """The private numbers inside a secret, by the last part of their names."""
    found = {item.name.split(":")[1].split(".")[-1]: item for item in inner_values(SecretValue("k", secret))}
    return {name: item.value for name, item in found.items() if " " in name and not item.public and not item.whole}


@pytest.mark.parametrize("kind", sorted(MAKE))
def test_a_key_is_found_in_every_container_and_what_is_public_of_it_is_not(kind: str) -> None:
    key, other = make(kind), make(kind, 1)
    compiled = matcher(written(key, Encoding.PEM, PrivateFormat.PKCS8))
    for name, data in containers(key).items():
        hits = search(compiled, data)
        assert hits, name
        assert {hit.run.fraction for hit in hits} == {1.0}, name
    for name, data in {**public(key), **containers(other)}.items():
        assert search(compiled, data) == [], name


@pytest.mark.parametrize("kind", sorted(MAKE))
def test_whatever_container_is_the_secret_the_numbers_are_the_same(kind: str) -> None:
    made = containers(make(kind))
    expected = numbers(made["PKCS#8 PEM"])
    assert sorted(expected) == NUMBERS[kind]
    for name, data in made.items():
        if name not in ("Microsoft", "hex", "JWK"):
            assert numbers(data) == expected, name
    if "JWK" in made and kind != "ed448":
        assert sorted(numbers(made["JWK"]).values()) == sorted(expected.values())


@pytest.mark.parametrize("kind", ["rsa", "p256", "ed25519"])
def test_a_body_that_is_there_is_one_finding_and_not_one_for_each_number(kind: str) -> None:
    pem = written(make(kind), Encoding.PEM, PrivateFormat.PKCS8)
    compiled = matcher(b"# deploy key\n" + pem)
    assert [hit.run.target.secret for hit in search(compiled, b"KEY=" + pem)] == ["k:PRIVATE KEY"]


OPENSSL = {
    "rsa": [
        "pkey -text -noout",
        "pkey -outform DER",
        "rsa -text -noout",
        "rsa -outform PVK -pvk-none",
        "rsa -outform MSBLOB",
    ],
    "p384": ["pkey -traditional", "ec -text -noout -param_enc explicit", "ec -outform DER -conv_form compressed"],
    "ed25519": ["pkey -text -noout", "pkey -outform DER"],
    "dsa": ["pkey -traditional", "dsa -text -noout", "dsa -outform MSBLOB"],
}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
@pytest.mark.parametrize("kind", sorted(OPENSSL))
def test_what_openssl_makes_of_a_key_is_found(kind: str) -> None:
    pem = written(make(kind), Encoding.PEM, PrivateFormat.PKCS8)
    compiled = matcher(pem)
    for arguments in OPENSSL[kind]:
        done = subprocess.run(["openssl", *arguments.split()], input=pem, capture_output=True, check=True)
        assert search(compiled, done.stdout), arguments


def test_a_key_as_dotnet_writes_it_gives_its_numbers_and_not_its_modulus() -> None:
    key = make("rsa")
    assert isinstance(key, rsa.RSAPrivateKey)
    own = key.private_numbers()
    members = {"Modulus": own.public_numbers.n, "P": own.p, "Q": own.q, "D": own.d}
    text = "".join(
        f"<{name}>{base64.b64encode(number.to_bytes((number.bit_length() + 7) // 8, 'big')).decode()}</{name}>"
        for name, number in members.items()
    )
    compiled = matcher(f"<RSAKeyValue>{text}<Exponent>AQAB</Exponent></RSAKeyValue>".encode())
    assert search(compiled, containers(key)["traditional DER"])
    for data in public(key).values():
        assert search(compiled, data) == []


def test_what_else_is_beside_a_json_web_key_is_looked_at() -> None:
    members = {
        **json.loads(jwk(make("p256")) or b""),
        "token": "tok9aZ8bY7cX6dW5eV4f",
        "kid": "0f3b9c1e7a5d2468ace013579bdf0246",
    }
    found = inner_values(SecretValue("k", json.dumps({"keys": [members]}).encode()))
    assert {item.name for item in found if not item.public} == {"k:keys.EC d", "k:keys.token"}
    broken = inner_values(SecretValue("k", b'{"kty": "EC", "d": "not*base64*but*secret"}'))
    assert [(item.name, item.value) for item in broken] == [("k:EC d", b"not*base64*but*secret")]


@pytest.mark.parametrize("locked", [False, True])
def test_a_key_of_putty_is_found_by_its_numbers_or_its_body(locked: bool) -> None:
    key = make("rsa")
    assert isinstance(key, rsa.RSAPrivateKey)
    own = key.private_numbers()
    mpints = [
        b"\0" + number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (own.d, own.p, own.q, own.iqmp)
    ]
    blob = b"".join(len(item).to_bytes(4, "big") + item for item in mpints)
    if locked:
        blob = random.Random(5).randbytes(len(blob))
    lines, shown = (textwrap.wrap(base64.b64encode(data).decode(), 64) for data in (blob, public(key)["DER"]))
    ppk = "\r\n".join(
        [
            "PuTTY-User-Key-File-3: ssh-rsa",
            f"Encryption: {'aes256-cbc' if locked else 'none'}",
            "Comment: it",
            f"Public-Lines: {len(shown)}",
            *shown,
            f"Private-Lines: {len(lines)}",
            *lines,
            "Private-MAC: 0f3b9c1e7a5d2468",
            "",
        ]
    ).encode()
    compiled = matcher(ppk)
    assert search(compiled, ppk)
    assert search(compiled, blob)
    assert bool(search(compiled, containers(key)["OpenSSH"])) is not locked
    for data in (*public(key).values(), "\n".join(shown).encode()):
        assert search(compiled, data) == []


@pytest.mark.skipif(shutil.which("gpg") is None, reason="there is no gpg here")
@pytest.mark.parametrize(
    ("algorithm", "lock"), [("rsa2048", ""), ("future-default", ""), ("future-default", "correct horse")]
)
def test_a_key_of_gpg_is_found_in_a_keyring_and_its_public_key_is_not(algorithm: str, lock: str) -> None:
    # The path of the agent's socket is a short one.
    with tempfile.TemporaryDirectory() as home:

        def gpg(*arguments: str) -> bytes:
            command = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase"]
            return subprocess.run([*command, *arguments], capture_output=True, check=True).stdout

        (Path(home) / "gpg-agent.conf").write_text("s2k-count 65536\n")
        try:
            gpg(lock, "--quick-generate-key", "Builder <builder@example.com>", algorithm, "default", "never")
            armored = gpg(lock, "--armor", "--export-secret-keys")
            (Path(home) / "armored").write_bytes(armored)
            binary = gpg(lock, "--output", "-", "--dearmor", f"{home}/armored")
            ring = [path.read_bytes() for path in (Path(home) / "private-keys-v1.d").iterdir()]
            public_keys = [gpg(lock, "--armor", "--export"), gpg(lock, "--export")]
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
    for secret in (armored, binary):
        compiled = matcher(secret)
        # The agent locks its own file in its own way.
        for data in (armored, binary, base64.b64encode(binary), *([] if lock else ring)):
            assert search(compiled, data)
        for data in public_keys:
            assert search(compiled, data) == []


@st.composite
def scalars(draw: st.DrawFn) -> int:
    """Private numbers of P-256, many of which begin or end with zeros or with white space."""
    body = draw(st.binary(min_size=20, max_size=31).filter(lambda data: len(set(data)) > 12))
    edge = st.sampled_from([b"", b"\0", b"\0\0\0", b" ", b"\n\n", b'"', b"\x80"])
    return int.from_bytes((draw(edge) + body + draw(edge))[:31], "big")


@settings(max_examples=20, deadline=None)
@given(
    scalar=scalars(),
    name=st.sampled_from(["PKCS#8 PEM", "traditional DER", "OpenSSH", "JWK", "PKCS#12", "YAML", "hex"]),
)
@example(scalar=int.from_bytes(b"\0\0" + bytes(range(60, 90)), "big"), name="JWK")
def test_a_number_that_begins_with_zeros_or_ends_in_white_space_is_found(scalar: int, name: str) -> None:
    key = ec.derive_private_key(scalar, ec.SECP256R1())
    compiled = matcher(written(key, Encoding.PEM, PrivateFormat.TraditionalOpenSSL))
    assert search(compiled, containers(key)[name])
    assert (
        search(compiled, containers(ec.derive_private_key(scalar ^ (1 << 240) - 1, ec.SECP256R1()))["PKCS#8 DER"]) == []
    )


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("rsa", PrivateFormat.PKCS8),
        ("rsa", PrivateFormat.TraditionalOpenSSL),
        ("ed25519", PrivateFormat.PKCS8),
        ("ed25519", PrivateFormat.OpenSSH),
        ("p256", PrivateFormat.OpenSSH),
    ],
)
def test_a_key_with_a_passphrase_is_hunted_by_its_body(kind: str, how: PrivateFormat) -> None:
    lock = BestAvailableEncryption(b"correct horse")
    pem = written(make(kind), Encoding.PEM, how, lock)
    compiled = matcher(pem)
    body = base64.b64decode(
        "".join(line for line in pem.decode().splitlines() if line and "-" not in line and ":" not in line)
    )
    for data in (pem, body, base64.b64encode(body), textwrap.indent(pem.decode(), "   ").encode()):
        assert search(compiled, data)
    for data in (*public(make(kind)).values(), written(make(kind, 1), Encoding.PEM, how, lock)):
        assert search(compiled, data) == []


def test_certificates_and_public_keys_are_never_hunted() -> None:
    for kind in ("rsa", "p256", "ed25519"):
        for name, data in public(make(kind)).items():
            hunted = hunt([SecretValue("ca", data)], AuditPolicy())
            assert (hunted.targets, hunted.incomplete) == ([], False), name
            assert hunted.rows[None, "ca"].reason == "public by key", name
    bundle = pkcs12.serialize_key_and_certificates(b"ca", None, certificate(make("rsa")), None, NoEncryption())
    assert hunt([SecretValue("ca", bundle)], AuditPolicy()).targets == []


def test_a_bundle_with_its_comments_is_public_and_one_with_a_key_or_a_password_is_not(tmp_path: Path) -> None:
    chain = [certificate(make(kind)).public_bytes(Encoding.PEM) for kind in ("rsa", "p256")]
    bundle = b"# Issuer: CN=x\n\nGlobalSign Root CA\n==================\n" + b"\nCertum EC-384 CA\n===\n".join(chain)
    builder = Builder()
    base = {"etc/ssl/certs/ca-certificates.crt": bundle, "etc/hosts": b"127.0.0.1 localhost"}
    reference = builder.layout(builder.manifest([base]), tmp_path)
    report = audit(reference, {"ca": bundle})
    assert (report.verdict, report.findings) == (Verdict.CLEAN, ())
    assert [(row.name, row.reason) for row in report.secrets] == [
        ("ca", "public by key"),
        ("ca:CERTIFICATE (public)", "public by key"),
    ]
    assert "not searched for, as public: ca, ca:CERTIFICATE (public)" in FORMATS["text"](report)
    pem = written(make("p256"), Encoding.PEM, PrivateFormat.PKCS8)
    for more in (pem, b"PASSWORD=tok9aZ8bY7cX6dW5eV4f\n", b"tok9aZ8bY7cX6dW5eV4f\n"):
        report = audit(reference, {"tls": bundle + more})
        assert report.verdict is Verdict.CLEAN
        assert next(row for row in report.secrets if row.name == "tls").searched
        assert any(row.searched for row in report.secrets if row.name != "tls")


def service_account(key: Key) -> dict[str, str]:
    return {
        "type": "service_account",
        "project_id": "my-project-123456",
        "private_key_id": "0f3b9c1e7a5d2468ace013579bdf0246e8ca1357",
        "private_key": written(key, Encoding.PEM, PrivateFormat.PKCS8).decode(),
        "client_email": "builder-7@my-project-123456.iam.gserviceaccount.com",
        "client_id": "104857600123456789012",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/builder-7%40my-project-123456.iam",
        "universe_domain": "googleapis.com",
    }


def test_what_is_public_in_a_file_of_credentials_is_no_leak(tmp_path: Path) -> None:
    account = service_account(make("rsa"))
    ca = certificate(make("p256")).public_bytes(Encoding.PEM)
    kubeconfig = {
        "apiVersion": "v1",
        "clusters": [{"cluster": {"certificate-authority-data": base64.b64encode(ca).decode(), "server": "https://k.example.com:6443"}}],
        "users": [{"user": {"client-certificate-data": base64.b64encode(public(make("rsa"))["certificate"]).decode(), "token": "tok9aZ8bY7cX6dW5eV4f"}}],
    }  # fmt: skip
    given_secrets = {
        "gcp": json.dumps(account, indent=2),
        "netrc": "machine api.example.com\nlogin jane.doe1984@example.com\npassword Uvw3xY2zA1bC4dE5fG6h\n",
        "kubeconfig": json.dumps(kubeconfig),
        "ca": ca,
    }
    base = {
        "sdk/auth.json": json.dumps({**account, "private_key": containers(make("rsa", 1))["PKCS#8 PEM"].decode()}).encode(),
        "sdk/discovery.py": "".join(f"{name} = {account[name]!r}\n" for name in account if name != "private_key").encode(),
        "usr/share/doc/netrc": b"machine api.example.com login jane.doe1984@example.com password secret\nmachine\nlogin\n",
        "etc/ssl/certs/all.crt": ca + public(make("rsa"))["certificate"] + public(make("rsa"))["PEM"],
        "etc/kubernetes/ca": base64.b64encode(ca) + base64.b64encode(public(make("rsa"))["certificate"]),
        "etc/services": b"k.example.com 6443\n",
    }  # fmt: skip
    builder = Builder()
    report = audit(builder.layout(builder.manifest([base]), tmp_path / "clean"), given_secrets)
    assert (report.verdict, report.findings) == (Verdict.CLEAN, ())
    reasons = {row.name: row.reason for row in report.secrets}
    assert {name for name, reason in reasons.items() if reason is None} == {
        "gcp", "gcp:private_key", "gcp:private_key.RSA d", "gcp:private_key.RSA p", "gcp:private_key.RSA q",
        "gcp:private_key.PRIVATE KEY", "netrc", "netrc:password", "kubeconfig", "kubeconfig:users.user.token",
    }  # fmt: skip
    assert set(reasons.values()) == {None, "public by key"}
    leaking = {
        **base,
        "app/key.der": containers(make("rsa"))["traditional DER"],
        "app/curl.log": b"me:Uvw3xY2zA1bC4dE5fG6h",
    }
    builder = Builder()
    report = audit(builder.layout(builder.manifest([leaking]), tmp_path / "leaking"), given_secrets)
    assert {(item.secret, item.path) for item in report.findings} == {
        ("gcp:private_key.RSA d", "app/key.der"),
        ("gcp:private_key.RSA p", "app/key.der"),
        ("gcp:private_key.RSA q", "app/key.der"),
        ("netrc:password", "app/curl.log"),
    }


def test_too_many_values_are_said_and_make_the_verdict_incomplete() -> None:
    many = "".join(f"T{number}_TOKEN={random.Random(number).randbytes(12).hex()}\n" for number in range(400))
    hunted = hunt([SecretValue("many", many.encode())], AuditPolicy())
    assert hunted.incomplete
    assert hunted.rows[None, "many:more"].reason == "too many"
    accepted = hunt([SecretValue("many", many.encode())], AuditPolicy(accept_unsearchable=("many",)))
    assert not accepted.incomplete
    assert accepted.rows[None, "many:more"].accepted


def test_a_short_password_in_a_file_makes_the_verdict_incomplete() -> None:
    for text in (b"machine h.example.com login me password abc\n", b"A=https://me:abc@x.example.com\nB=1\n"):
        hunted = hunt([SecretValue("s", text)], AuditPolicy())
        assert hunted.incomplete
    for text in (
        b"PORT=5432\nAPI_TOKEN=tok9aZ8bY7cX6dW5eV4f\n",
        b"A=ssh://git@x.example.com/a\nTOKEN=tok9aZ8bY7cX6dW5eV4f\n",
    ):
        assert not hunt([SecretValue("s", text)], AuditPolicy()).incomplete


def test_a_key_in_a_layer_is_reported_by_its_number(tmp_path: Path) -> None:
    key = load_pem_private_key(written(make("p256"), Encoding.PEM, PrivateFormat.PKCS8), None)
    files = {
        "root/key.der": written(make("p256"), Encoding.DER, PrivateFormat.PKCS8),
        "id.pub": public(make("p256"))["PEM"],
    }
    builder = Builder()
    reference = builder.layout(builder.manifest([files]), tmp_path)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    report = audit(reference, {"id_ecdsa": secret})
    assert [(item.secret, item.form, item.path) for item in report.findings] == [
        ("id_ecdsa:EC d", "raw", "root/key.der")
    ]


def test_what_is_no_key_costs_no_import_of_cryptography() -> None:
    script = (
        "import sys, container_image.cli; from container_image.secrets import *\n"
        "for text in (b'tok9aZ8bY7cX6dW5eV4f', b'A_TOKEN=tok9aZ8bY7cX6dW5eV4f\\nPORT=1\\n', b'{\"password\": \"x\"}'):\n"
        "    inner_values(SecretValue('s', text))\n"
        "print('cryptography' in sys.modules, 'yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@given(
    st.binary(max_size=300),
    st.sampled_from(
        [
            b"\x30\x82\x01\x00",
            b"-----BEGIN PRIVATE KEY-----\n",
            b'{"kty": "EC", "d": "',
            b"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nPrivate-Lines: 1\n",
        ]
    ),
)
@settings(deadline=None)
def test_any_bytes_may_come_after_the_beginning_of_a_key(data: bytes, head: bytes) -> None:
    for item in inner_values(SecretValue("k", head + data)):
        assert item.value

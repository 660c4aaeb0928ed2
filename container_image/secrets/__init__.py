"""Secrets: where a value comes from (`Secret`), the value itself (`SecretValue`), and the values inside it."""

from container_image.secrets.inner import InnerValue, Inside, inner_values, look_inside
from container_image.secrets.sensitivity import is_plain, names_credential
from container_image.secrets.source import Secret, StoredName, as_secret, checked_scope, resolve_secrets, stored_names
from container_image.secrets.value import SecretValue, Stored

__all__ = [
    "InnerValue",
    "Inside",
    "Secret",
    "SecretValue",
    "Stored",
    "StoredName",
    "as_secret",
    "checked_scope",
    "inner_values",
    "is_plain",
    "look_inside",
    "names_credential",
    "resolve_secrets",
    "stored_names",
]

"""Secrets: where a value comes from (`Secret`), the value itself (`SecretValue`), and the values inside it."""

from container_image.secrets.inner import InnerValue, Inside, inner_values, look_inside
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
    "look_inside",
    "resolve_secrets",
    "stored_names",
]

"""Secrets: where a value comes from (`Secret`), the value itself (`SecretValue`), and the values inside it."""

from container_image.secrets.inner import InnerValue, Inside, inner_values, look_inside, values_at
from container_image.secrets.sensitivity import is_known_token, is_nothing, is_plain, looks_random, names_credential
from container_image.secrets.source import (
    Secret,
    StoredName,
    as_secret,
    as_written,
    checked_scope,
    named_secret,
    resolve_secrets,
    stored_names,
)
from container_image.secrets.value import SecretValue, Stored

__all__ = [
    "InnerValue",
    "Inside",
    "Secret",
    "SecretValue",
    "Stored",
    "StoredName",
    "as_secret",
    "as_written",
    "checked_scope",
    "inner_values",
    "is_known_token",
    "is_nothing",
    "is_plain",
    "look_inside",
    "looks_random",
    "named_secret",
    "names_credential",
    "resolve_secrets",
    "stored_names",
    "values_at",
]

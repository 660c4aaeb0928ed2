"""Secrets: where a value comes from (`Secret`), the value itself (`SecretValue`), and the values inside it."""

from container_image.secrets.inner import InnerValue, inner_values
from container_image.secrets.source import Secret, as_secret, resolve_secrets
from container_image.secrets.value import SecretValue

__all__ = ["InnerValue", "Secret", "SecretValue", "as_secret", "inner_values", "resolve_secrets"]

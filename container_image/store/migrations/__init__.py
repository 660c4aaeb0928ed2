"""The migrations of the store, for Alembic: `env.py` runs them, `versions/` has one file for each."""

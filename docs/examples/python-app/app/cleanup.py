"""Runs every minute."""
from store import store

print(f"cleanup: {store.llen('jobs')} jobs left", flush=True)

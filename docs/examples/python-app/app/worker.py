"""Does the jobs that the web part leaves."""
from store import store

while True:
    _, job = store.blpop("jobs")
    store.incr("done")
    print(f"job {job} done", flush=True)

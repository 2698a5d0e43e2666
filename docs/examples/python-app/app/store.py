"""Where the parts of the application meet."""
import os

import redis

store = redis.Redis(unix_socket_path=os.environ.get("REDIS_SOCKET", "/tmp/redis.sock"), decode_responses=True)

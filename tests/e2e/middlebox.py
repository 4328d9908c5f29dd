"""Other proxies, real ones, between the gateway and its upstream: what do they make of what it lets pass?"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

NAMES = ("nginx", "haproxy")

_NGINX = """\
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  # It would drop headers with names that it doesn't know.
  ignore_invalid_headers off;
  underscores_in_headers on;
  large_client_header_buffers 8 64k;
  client_max_body_size 0;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {upstream};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      # What it has understood so far goes on at once: also half of a body.
      proxy_request_buffering off;
    }}
  }}
}}
"""

_HAPROXY = """\
global
  nbthread 1
  tune.bufsize 65536
  tune.http.maxhdr 256
defaults
  mode http
  retries 0
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  server upstream {authority}
"""


def find(name: str) -> str | None:
    """The program, which Debian keeps where only root looks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


class Middlebox:
    """nginx or HAProxy by `name`, before `upstream`, one worker in the foreground."""

    def __init__(self, name: str, directory: Path, upstream: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        program, config = find(name), directory / f"{name}.conf"
        assert program is not None
        template = _NGINX if name == "nginx" else _HAPROXY
        config.write_text(
            template.format(directory=directory, port=port, upstream=upstream, authority=upstream.removeprefix("http://"))
        )
        options = ["-p", str(directory), "-c", str(config)] if name == "nginx" else ["-db", "-f", str(config)]
        with (directory / "output.txt").open("wb") as output:
            self._process = subprocess.Popen([program, *options], stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 20
        while not self._listens(port):
            assert self._process.poll() is None, (directory / "output.txt").read_text()
            assert time.monotonic() < deadline, f"{name} does not listen"
            time.sleep(0.02)

    @staticmethod
    def _listens(port: int) -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

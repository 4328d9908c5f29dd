# syntax=docker/dockerfile:1
# The gateway alone, for any Redis or Valkey. Everything it needs is in requirements.lock, by hash.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/tenantgate
COPY requirements.lock requirements-dev.lock ./
RUN /opt/tenantgate/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
# The build tools, by hash too, in an environment that stays behind.
RUN python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-dev.lock
COPY pyproject.toml README.md LICENSE gateway.yaml ./
COPY config config
COPY examples examples
COPY policies policies
COPY gateway gateway
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/tenantgate/bin/pip install --no-cache-dir --no-deps /dist/*.whl \
    && /opt/tenantgate/bin/pip uninstall --yes pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/tenantgate --create-home tenantgate
COPY --from=build /opt/tenantgate /opt/tenantgate
ENV PATH=/opt/tenantgate/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    TENANTGATE_CONFIG=/etc/tenantgate/gateway.yaml \
    TENANTGATE__LISTENERS__PUBLIC__HOST=0.0.0.0 \
    TENANTGATE__LISTENERS__PUBLIC__PORT=8080 \
    TENANTGATE__LISTENERS__ADMIN__PORT=9090 \
    TENANTGATE__STORE__DATA_DIR=/var/lib/tenantgate/store
USER 10001
WORKDIR /var/lib/tenantgate
# Only the embedded store and journals (on_store_failure: allow) are written, and only here; without, the root may be read-only.
VOLUME /var/lib/tenantgate
EXPOSE 8080
# The admin listener stays on the container's own loopback unless its host is set.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['TENANTGATE__LISTENERS__ADMIN__PORT'] + '/livez', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tenantgate"]
CMD ["serve"]

# The gateway as a container: docker build -t sluice . ; docs/deployment.md says how to run it.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/sluice
COPY pyproject.toml constraints.txt hatch_build.py README.md LICENSE ./
COPY router ./router
COPY serving ./serving
COPY training ./training
COPY models ./models
# An ordinary wheel: it carries the current artifact, and nothing of this folder is needed later.
RUN pip --disable-pip-version-check --python /opt/sluice/bin/python install --no-cache-dir \
        --constraint constraints.txt '.[postgres,redis,otel]'

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="A learned router for LLM calls" \
      org.opencontainers.image.licenses="MIT"
# Nothing installs anything in here any more.
RUN pip uninstall --yes --root-user-action=ignore pip \
    && groupadd --gid 10001 sluice \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /data \
        --shell /usr/sbin/nologin sluice \
    && install --directory --owner=10001 --group=10001 /data
COPY --from=build /opt/sluice /opt/sluice
ENV PATH=/opt/sluice/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SLUICE_HOST=0.0.0.0 \
    SLUICE_AUTH_MODE=keys \
    SLUICE_STORE_URL=sqlite:////data/sluice.db
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "serving.operations.health_check"]
ENTRYPOINT ["sluice"]
CMD ["serve"]

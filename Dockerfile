# The controller's image: two stages, so that pip and the sources stay behind. Runs as nobody, writes nothing but /tmp.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /src
RUN python -m venv /opt/nodesmith
COPY requirements/base.txt requirements/
RUN /opt/nodesmith/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/base.txt
COPY pyproject.toml LICENSE ./
COPY src src
RUN /opt/nodesmith/bin/pip install --no-cache-dir --no-build-isolation --no-deps . \
    && /opt/nodesmith/bin/python -m compileall -q /opt/nodesmith/lib

FROM python:${PYTHON}-slim
COPY --from=build /opt/nodesmith /opt/nodesmith
ENV PATH=/opt/nodesmith/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["nodesmith"]
CMD ["run"]

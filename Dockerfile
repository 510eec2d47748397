# spfem in a container:
#   docker build -t spfem .
#   docker run --rm --user "$(id -u)" -v "$PWD:/work" spfem edit talk.mp4 --emotion happy -o out.mp4
# No compiler, no root, no network when it runs; the weights are in the wheel. tests/distribution/test_dockerfile.py runs
# the steps where there is no Docker.
FROM python:3.11-slim AS wheel
WORKDIR /src
COPY . /src
RUN pip wheel --no-deps --wheel-dir /dist /src

FROM python:3.11-slim
# What the wheel of OpenCV links against.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=wheel /dist /dist
COPY constraints.txt /dist/constraints.txt
RUN pip install --no-cache-dir --only-binary :all: --constraint /dist/constraints.txt /dist/spfem-*.whl \
    && rm -rf /dist
RUN useradd --create-home --uid 1000 spfem
USER spfem
WORKDIR /work
ENTRYPOINT ["spfem"]
CMD ["--help"]

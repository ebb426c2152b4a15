# brainage on the CPU: docker build -t brainage . && docker run --rm -v "$PWD:/data" brainage --help
#
# Where pip finds a CPU build of torch is up to the builder:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=... -t brainage .
FROM python:3.11-slim

ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/data

WORKDIR /src
COPY pyproject.toml setup.py constraints.txt README.md LICENSE ./
COPY configs configs
COPY pipelines pipelines
COPY brainage brainage
RUN pip install -c constraints.txt . && rm -rf /src

WORKDIR /data
ENTRYPOINT ["brainage"]
CMD ["--help"]

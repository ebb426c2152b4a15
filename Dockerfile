# brainage in a container, for a CPU or for NVIDIA accelerators:
#
#   docker build -t brainage .
#   docker build -t brainage --build-arg DEVICE=cuda .
#   docker run --rm -v "$PWD:/data" brainage predict scans/ --out ages.csv
#   docker run --rm -v "$PWD:/data" --gpus all --shm-size 8g brainage train --config mylab.yaml
#
# Files belong to user 1000; with --user "$(id -u):$(id -g)" they are yours, whoever you are. The key
# that names subjects of DICOM scans and the list of evaluations live in /state: mount a folder of
# yours or a volume there (-v brainage:/state) to keep them from one run to the next.
#
# The build needs a package index, a running container needs no network. The index that pip uses by
# itself has a torch with CUDA's libraries, for either device; TORCH_INDEX names one with another build:
# for the CPU alone, or for another CUDA.

ARG DEVICE=cpu

FROM python:3.11.14-slim-bookworm AS python
ENV PATH=/opt/brainage/bin:$PATH \
    PYTHONUNBUFFERED=1

FROM python AS build
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml constraints.txt ./
# What brainage needs comes first: a change of its code leaves this layer as it is.
RUN python -m venv /opt/brainage \
    && python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt
ARG TORCH_INDEX=
RUN pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -c constraints.txt -r requirements.txt setuptools
ARG EXTRAS=dask,export
COPY setup.py README.md LICENSE ./
COPY configs configs
COPY pipelines pipelines
COPY brainage brainage
RUN pip install --no-build-isolation -c constraints.txt ".[$EXTRAS]"
ARG DEVICE
RUN python -c "import sys, torch; sys.exit('$DEVICE' == 'cuda' and not torch.version.cuda and 'this torch is for the CPU alone')"

FROM python AS cpu

FROM python AS cuda
# CUDA itself comes with torch; the driver is the host's.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM ${DEVICE}
COPY --from=build /opt/brainage /opt/brainage
# Any user may be the one who runs it: without an entry in /etc/passwd, a name is needed here.
RUN mkdir /state /data && chmod 1777 /state /data
ENV HOME=/state \
    USER=brainage
USER 1000:1000
WORKDIR /data
ENTRYPOINT ["brainage"]
CMD ["--help"]

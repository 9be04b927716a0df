# iarbench in a container; the CUDA build of torch by a build argument:
#   docker build -t iarbench .                                                                     CPU
#   docker build -t iarbench:cuda --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126 .  CUDA
#   docker run --rm -v "$PWD:/data" iarbench run --out /data/runs/mini
FROM python:3.11-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=slurm,ray

ENV PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 HF_HOME=/data/huggingface IARBENCH_CACHE=/data/cache

WORKDIR /src
# torch first and alone: it is large, and seldom changes
COPY constraints.txt ./
RUN version=$(sed -n 's/^torch==//p' constraints.txt) \
    && pip install --no-cache-dir --index-url "$TORCH_INDEX" "torch==$version"
COPY . .
# the local part of torch's version ("+cu126") must not be asked for again
RUN grep -v '^torch==' constraints.txt > /tmp/constraints.txt \
    && pip install --no-cache-dir --constraint /tmp/constraints.txt ".[$EXTRAS]" \
    && rm -rf /src/build

WORKDIR /data
ENTRYPOINT ["iarbench"]
CMD ["--help"]

#!/bin/bash
# Score the packaged task on a Ray cluster: run.sh OUT [ADDRESS] [JOBS]. The same command again goes on where it stopped.
set -e
out=${1:?run.sh OUT [ADDRESS] [JOBS]} address=${2:-auto} jobs=${3:-4}
iarbench run --launch ray --address "$address" --jobs "$jobs" --out "$out"

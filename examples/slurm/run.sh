#!/bin/bash
# Score the packaged task on a SLURM cluster: run.sh OUT [PARTITION] [JOBS]. The same command again goes on where it stopped.
set -e
out=${1:?run.sh OUT [PARTITION] [JOBS]} partition=${2:-} jobs=${3:-4}
options=timeout_min=60,cpus_per_task=1
[ -z "$partition" ] || options=$options,partition=$partition
iarbench run --launch slurm --jobs "$jobs" --slurm "$options" --out "$out"

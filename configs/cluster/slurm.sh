#!/usr/bin/env bash
# A training that Slurm may preempt, requeue or stop at its time limit: it saves, exits and resumes where it stopped.
#   sbatch --ntasks-per-node=4 --gpus-per-node=4 configs/cluster/slurm.sh --config RECIPE.yaml --config configs/cluster/ddp.yaml
# Options before the script are passed to Slurm, options after it to `seglight fit`. Each task uses one GPU.
#SBATCH --job-name=seglight
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -u

# A requeued job keeps its id, and therefore its folder.
run_dir=runs/slurm-$SLURM_JOB_ID

# Slurm sends SIGTERM to the tasks, and sometimes to this script, which must wait for them.
trap : TERM

# The tasks exit together. If one has died, the others would wait for it forever; Slurm ends them after a minute.
srun --wait=60 python -m seglight fit --run_dir "$run_dir" --resume \
  --trainer.num_nodes "$SLURM_NNODES" --trainer.devices "$SLURM_NTASKS_PER_NODE" "$@"
code=$?

# Exit code 75: saved before the end. Slurm has already set a job that it requeues itself to pending; a cancelled job must stay cancelled.
if [ $code -eq 75 ] && [ "$(squeue --noheader --jobs "$SLURM_JOB_ID" --format %T)" = RUNNING ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $code

#!/usr/bin/env bash
# A training that Slurm may preempt, requeue or stop at its time limit: it saves, leaves and goes on where it was.
#   sbatch --ntasks-per-node=4 --gpus-per-node=4 configs/cluster/slurm.sh --config RECIPE.yaml --config configs/cluster/ddp.yaml
# What stands before the script goes to Slurm, what stands behind it to `seglight fit`. One task is one GPU.
#SBATCH --job-name=seglight
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -u

# A requeued job keeps its id, and so its folder.
run_dir=runs/slurm-$SLURM_JOB_ID

# Slurm tells the tasks to leave, at times this script too: it waits for them.
trap : TERM

# The tasks leave together; one that died lets the others wait for it in vain, and Slurm ends them after a minute.
srun --wait=60 python -m seglight fit --run_dir "$run_dir" --resume \
  --trainer.num_nodes "$SLURM_NNODES" --trainer.devices "$SLURM_NTASKS_PER_NODE" "$@"
code=$?

# 75: saved before the end. A job that Slurm requeues by itself is pending again, one that was cancelled is to stay so.
if [ $code -eq 75 ] && [ "$(squeue --noheader --jobs "$SLURM_JOB_ID" --format %T)" = RUNNING ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $code

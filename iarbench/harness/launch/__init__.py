"""Carrying work to several processes and machines: `--launch local|slurm|ray` of the commands.

What is to be done, how far it is and what failed stands in one folder that all processes see (`order`, `journal`);
engines (`processes`, `slurm_arrays`, `ray_actors`) carry the keys of parts to processes (`worker`), and nothing else.
"""

"""AWS in a box: moto's server plus what it lacks, over real HTTP on 127.0.0.1.

`nodesmith.sim.aws.box.Box` runs it in this process, `nodesmith.sim.aws.process.BoxProcess` in its own, and
`nodesmith.sim.aws.control.Control` steers either. One box a process: moto keeps its state in module globals.
"""

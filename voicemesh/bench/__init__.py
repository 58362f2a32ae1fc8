"""Real-time load against a mesh, and what it costs: the machinery of `voicemesh bench`.

`clip`, `ear`, `caller`, `search` and `figures` do no I/O and take the time as an argument; `legs`
and `worker` place calls, `crew` starts the processes that do, `machine` and `mesh` look at what is
being measured, `run` puts one measurement together.
"""

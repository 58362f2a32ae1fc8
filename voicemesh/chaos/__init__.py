"""Calls whose every word is checked while their mesh is being broken: `voicemesh chaos`.

`plan` (which fault when, by the seed alone), `talk` (what is said and must be answered), `verdict`
(what was lost, repeated or wrong), `gaps` (what the caller had to wait for) and `outcome` do no
I/O. `tools` counts what the bots' tool really did, `mesh` starts the mesh and talks to its
supervisor, `faults` hurts it, `caller` holds calls, `run` puts one run together; `report` and
`picture` show it.
"""

"""From measured unit costs to processes, cores, memory, traffic and money.

`runs` reads what `voicemesh bench --json` wrote, `units` is what it adds up to, `world` is who
takes whose calls, `plan`, `traffic` and `bill` do the arithmetic, `report` shows it. No I/O but
reading files.
"""

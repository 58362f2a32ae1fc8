"""How a world of regions would fare: a discrete-event simulation (simpy) with the code's own rules.

`rules` is what the code does, `story` is what happens to it, `region` holds what one region has,
`model` moves calls in batches, `samples` is what was seen, `check` sets predictions beside what a
benchmark measured, `report` and `picture` show both. No I/O but the picture.
"""

"""The SQL console: one query of a person, in a process of its own, with limits.

The pages' server never runs a person's SQL: a query could take its memory and its time.

- `limits`: how much a query may use
- `console`: takes queries, at most two at a time; `supervising`: starts, ends and cleans up
- `program`: what runs in the process; `confinement`: what it gives up first
- `running`: runs the query; `answers`: what it sends back
- `environment`: the variables that it gets
"""

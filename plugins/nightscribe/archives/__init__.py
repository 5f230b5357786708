"""Archives: find the recordings in folders, buckets, zips and tars, and open them in place.

A scan is given a *collection*: a folder, an object-store prefix, a zip, a tar or a single file.
Zips and tars inside a folder or prefix are archives of their own. A recording's place is
(archive URI, member path).

- `kinds`: what a file name promises
- `entries`: what an archive holds, as data
- `listing`: every file of a collection, without opening any
- `opening`: many sources of many archives, each archive opened once
- `reading`: the members of one container, in one pass
- `container`, `zips`, `tars`, `spooling`: how a container is read safely

Nothing here writes to an archive or unpacks it. An input that cannot be used becomes a
`Rejection`, and the rest goes on.
"""

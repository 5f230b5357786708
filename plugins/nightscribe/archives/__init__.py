"""Archives: list the recordings in folders, buckets, zips and tars, and open them in place.

A scan is given a *collection*: a folder, an object-store prefix, a zip, a tar or a single file. A
zip or tar (a *container*) inside a folder or prefix is an archive too. The place of a recording is
(archive URI, member path).

- `kinds`, `names`: audio, container or manifest; hidden and unsafe names
- `entries`: files, members and rejections, as data
- `listing`: all files of a collection, without opening one
- `single`: whether a URI names one file that may be a recording
- `opening`: open many sources of many archives, each archive once
- `reading`: read the members of one container in one pass
- `container`, `zips`, `tars`, `spooling`: read containers within limits; `growing_copies`: copies
  for a reader who may not read to the end
- `zip_directory`, `zip_names`: the list of a zip's members, and their names
- `compression`: compressed streams, read to their end; `compressed`: one compressed recording

Nothing writes to an archive. A member that cannot be read in place is copied when its turn comes.
An input that cannot be used becomes a `Rejection`, and the other inputs are still read.
"""

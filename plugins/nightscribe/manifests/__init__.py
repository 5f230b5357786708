"""What is known about recordings before they are transcribed: manifests and lists of data sets.

- `manifest`: reads the manifest of an archive
- `annotate`: writes the content of manifests to the lake, beside the recordings
- `layouts`: reads evaluation data sets in the layouts in which they are distributed
"""

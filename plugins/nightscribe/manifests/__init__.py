"""What is known about recordings before they are transcribed: manifests and data sets' lists.

- `manifest`: the sidecar file of an archive, parsed
- `annotate`: what manifests say, put beside the recordings in the lake
- `layouts`: evaluation data sets in the layouts in which they are distributed
"""

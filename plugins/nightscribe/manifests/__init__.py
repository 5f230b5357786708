"""What is known about recordings before they are transcribed: manifests and lists of data sets.

- `manifest`: reads the manifest of an archive
- `annotate`: writes the content of manifests to the lake, beside the recordings
- `resolve`: puts together what all manifests say: hints, references, contradictions
- `spelling`: matches names that are written in other normal forms, and finds the nearest
- `layouts`: reads evaluation data sets in the layouts in which they are distributed
"""

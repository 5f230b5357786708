"""Audio: encoded bytes → 16 kHz mono samples, in isolated worker processes.

- `containers`: opens a file, selects its audio stream, reads its header
- `decode`: decodes a file in this process; `frames`: frame by frame, past its damage
- `parts`: what FFmpeg must decode apart: the links of an Ogg chain, what follows tags
- `samples`: decoded frames → 16-bit samples; `stored`: samples on disk;
  `wav`: samples as a WAV file
- `seeking`: begins in the middle, at a position that is known to the sample
- `pieces`: the samples for a listener who jumps; `piece_decoders`: processes that decode them;
  `piece_program`: their program
- `stated_length`: the size of a file beside its header
- `speech`: where somebody speaks
- `levels`: sound that the mono mix loses; `waveform`: loudness over time, for pages
- `damage`: the warning about a damaged recording
- `workers`: decodes files in worker processes; `worker_process`: starts one and talks to it
- `worker_program`: the program of a worker process, and its protocol
- `sandbox`: takes files, network and memory from a worker; `confinement`: says what it has
- `operations`: what a worker does with a recording; `contents`: how it gets the encoded bytes
- `cores`: how many workers to start
"""

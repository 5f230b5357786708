"""Whisper's network in a small shape, and its additional parts during training.

The network is openai-whisper's own. Three measures let it learn from little data:

- Attention heads are initialized to useful positions. Positions are sinusoids, so the score of a
  query and a key that keep some of the frequencies depends only on their distance. Encoder heads
  start with attention to the positions around their own, decoder heads to the previous tokens.
- Timestamps are initialized on the encoder's grid: the embedding of `<|t|>` is the sinusoid of
  position t, so that attention to a position gives its timestamp.
- During training, only tokens of the grammar have embeddings. All others are zero, so each of them
  adds exp(0) = 1 to the sum of the softmax. This is exact, and much cheaper.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn
from whisper.model import ModelDimensions, MultiHeadAttention, Whisper, sinusoids

VOCABULARY = 51_865
DIMENSIONS = ModelDimensions(
    n_mels=80,
    n_audio_ctx=1500,
    n_audio_state=192,
    n_audio_head=4,
    n_audio_layer=3,
    n_vocab=VOCABULARY,
    n_text_ctx=448,
    n_text_state=192,
    n_text_head=4,
    n_text_layer=3,
)
_EMBEDDING = 0.1  # standard deviation of the initial embeddings
_BRANCH = 0.15  # scale of the initial output weights, relative to the default


@dataclass
class Losses:
    """Mean losses in nats, and the accuracy."""

    text: Tensor
    phonemes: Tensor
    words: Tensor
    attention: Tensor
    accuracy: Tensor
    """Share of the target tokens with the highest logit."""

    def total(self) -> Tensor:
        """The weighted sum of the losses, to minimize."""
        return self.text + 0.5 * self.phonemes + 0.5 * self.words + 0.25 * self.attention


@dataclass
class Batch:
    """Windows and their rows. All windows have the same number of rows, which are in order."""

    features: Tensor  # (windows, 80, 2 × positions)
    offsets: Tensor  # (windows,)
    phonemes: Tensor  # (windows, positions), classes
    words: Tensor  # (windows, positions), classes
    tokens: Tensor  # (rows, length), indices into the used tokens, padded with 0
    targets: Tensor  # (rows, length), the same; -100 is ignored
    weights: Tensor  # (rows, length), of the targets in the loss
    spans: Tensor  # (rows, length, 2), positions of the audio of each target; -1 for none

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return Batch(*(value.to(device, non_blocking=True) for value in vars(self).values()))


class Learner(nn.Module):
    """The network with its parts for training: frame classifiers, embeddings of the used tokens."""

    def __init__(self, used_tokens: list[int], phonemes: int, words: int, timestamps: int) -> None:
        """The last `timestamps` of the `used_tokens` are the timestamps from 0.00 on."""
        super().__init__()
        self.whisper = Whisper(DIMENSIONS)
        width = DIMENSIONS.n_text_state
        self.register_buffer("used_tokens", torch.tensor(used_tokens))
        self.embeddings = nn.Parameter(torch.randn(len(used_tokens), width) * _EMBEDDING)
        self.phoneme_head = nn.Linear(width, phonemes + 1)
        self.word_head = nn.Linear(width, words + 1)
        with torch.no_grad():
            grid = sinusoids(timestamps, width) * (_EMBEDDING * math.sqrt(2))
            self.embeddings[-timestamps:] = grid
            self._init_attention()
        # `checkpoint` builds the embeddings of all tokens.
        self.whisper.decoder.token_embedding.weight.requires_grad_(False)
        self._unused = math.log(VOCABULARY - len(used_tokens))

    def _init_attention(self) -> None:
        """Scale down the outputs of all layers, and initialize some heads to positions."""
        width = DIMENSIONS.n_audio_state
        for blocks in (self.whisper.encoder.blocks, self.whisper.decoder.blocks):
            for block in blocks:
                block.attn.out.weight *= _BRANCH
                block.mlp[2].weight *= _BRANCH
                if block.cross_attn:
                    block.cross_attn.out.weight *= _BRANCH
        for layer, block in enumerate(self.whisper.encoder.blocks):
            reach = 2 + 2 * layer
            for head, shift in enumerate((0, -reach, reach)):
                _init_positional_head(block.attn, head, shift, torch.eye(width), sharpness=2.5)
        rotation = torch.linalg.qr(torch.randn(width, width))[0]
        positions = sinusoids(DIMENSIONS.n_text_ctx, width) @ rotation
        decoder = self.whisper.decoder
        decoder.positional_embedding.copy_(positions * (_EMBEDDING * math.sqrt(2)))
        for block in decoder.blocks:
            for head, shift in enumerate((-1, -2)):
                _init_positional_head(block.attn, head, shift, rotation, sharpness=4.0, pairs=48)
            # From a timestamp to its position of the encoder, and from the position to its time.
            _init_positional_head(block.cross_attn, 0, 0, torch.eye(width), sharpness=2.5)
            _init_copy_head(block.cross_attn, 0)

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Output of the encoder and of its second block, both (windows, positions, width)."""
        encoder = self.whisper.encoder
        x = F.gelu(encoder.conv1(batch.features))
        x = F.gelu(encoder.conv2(x)).transpose(1, 2)
        at = batch.offsets[:, None] + torch.arange(x.shape[1], device=x.device)
        x = x + encoder.positional_embedding[at]
        early = x
        for number, block in enumerate(encoder.blocks):
            x = block(x)
            early = x if number == 1 else early
        return encoder.ln_post(x), early

    def decode(self, audio: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits of the used tokens (rows, length, used), and the loss of the guided heads."""
        decoder = self.whisper.decoder
        rows, length = batch.tokens.shape
        windows, _, width = audio.shape
        x = F.embedding(batch.tokens, self.embeddings) + decoder.positional_embedding[:length]
        guided = []
        for number, block in enumerate(decoder.blocks):
            x = x + block.attn(block.attn_ln(x), mask=decoder.mask)[0]
            # The rows of a window share its keys and values, so they form one sequence.
            queries = block.cross_attn_ln(x).reshape(windows, -1, width)
            if number > 0:
                guided.append(self._attention_loss(block.cross_attn, queries, audio, batch))
            x = x + block.cross_attn(queries, audio)[0].reshape(rows, length, width)
            x = x + block.mlp(block.mlp_ln(x))
        return F.linear(decoder.ln(x), self.embeddings).float(), torch.stack(guided).mean()

    def _attention_loss(
        self, attention: MultiHeadAttention, queries: Tensor, audio: Tensor, batch: Batch
    ) -> Tensor:
        """-log of the first head's attention to the positions of the next token's audio.

        Only the first row of each window counts; the head does the same for the others.
        """
        size = DIMENSIONS.n_text_state // DIMENSIONS.n_text_head
        length = batch.tokens.shape[1]
        spans = batch.spans.reshape(len(audio), -1, 2)[:, :length]
        first, last = spans.unbind(-1)
        known = first >= 0
        window, place = known.nonzero(as_tuple=True)
        query = F.linear(
            queries[window, place], attention.query.weight[:size], attention.query.bias[:size]
        )
        key = F.linear(audio, attention.key.weight[:size])
        by_window = [query[window == number] @ key[number].T for number in range(len(audio))]
        scores = torch.cat(by_window).float() * size**-0.5
        at = torch.arange(audio.shape[1], device=audio.device)
        outside = (at < first[known][:, None]) | (at >= last[known][:, None])
        inside = scores.masked_fill(outside, -torch.inf).logsumexp(-1)
        return (scores.logsumexp(-1) - inside).clamp(max=9.0).mean()

    def losses(self, batch: Batch, *, decoder_only: bool = False) -> Losses:
        """The losses of a batch; with `decoder_only`, without gradients for the encoder."""
        zero = batch.features.new_zeros(())
        if decoder_only:
            with torch.no_grad():
                audio, _ = self.encode(batch)
            phonemes = words = zero
        else:
            audio, early = self.encode(batch)
            phonemes = F.cross_entropy(
                self.phoneme_head(early).float().flatten(0, 1), batch.phonemes.flatten()
            )
            words = F.cross_entropy(
                self.word_head(audio).float().flatten(0, 1), batch.words.flatten()
            )
        logits, attention = self.decode(audio, batch)
        wanted = batch.targets >= 0
        logits, targets = logits[wanted], batch.targets[wanted]
        log_sum = torch.logaddexp(logits.logsumexp(-1), torch.full_like(logits[:, 0], self._unused))
        negative_log_likelihood = log_sum - logits.gather(1, targets[:, None])[:, 0]
        text = (negative_log_likelihood * batch.weights[wanted]).mean()
        accuracy = (logits.argmax(-1) == targets).float().mean()
        return Losses(text, phonemes, words, attention, accuracy)

    def checkpoint(self) -> dict[str, object]:
        """Dimensions and float16 weights, in the format of `whisper.load_model`."""
        weights = {k: v.detach().cpu().half() for k, v in self.whisper.state_dict().items()}
        table = torch.zeros(VOCABULARY, DIMENSIONS.n_text_state, dtype=torch.float16)
        table[self.used_tokens.cpu()] = self.embeddings.detach().cpu().half()
        weights["decoder.token_embedding.weight"] = table
        return {"dims": vars(DIMENSIONS), "model_state_dict": weights}


def _init_positional_head(
    attention: MultiHeadAttention,
    head: int,
    shift: int,
    basis: Tensor,
    *,
    sharpness: float,
    pairs: int = DIMENSIONS.n_audio_state // 2,
) -> None:
    """Initialize a head to attend to the position `shift` after its own.

    Positions are sinusoids in the rows of `basis`: first the sines, then the cosines. The head
    reads as many as it has dimensions, spread over the `pairs` fastest.
    """
    half = basis.shape[0] // 2
    size = basis.shape[0] // attention.n_head
    chosen = torch.linspace(0, pairs - 1, size // 2).round().long()
    rate = torch.exp(-math.log(10_000) / (half - 1) * chosen)
    sine, cosine = basis[chosen], basis[chosen + half]
    angle = (rate * shift)[:, None]
    part = slice(head * size, (head + 1) * size)
    attention.key.weight[part] = torch.cat([sine, cosine]) * sharpness
    attention.query.weight[part] = sharpness * torch.cat(
        [sine * angle.cos() + cosine * angle.sin(), cosine * angle.cos() - sine * angle.sin()]
    )
    attention.query.bias[part] = 0


def _init_copy_head(attention: MultiHeadAttention, head: int) -> None:
    """Initialize a head to copy the sinusoids of the positions that it attends to.

    It copies as many frequencies as it has dimensions.
    """
    width = attention.value.weight.shape[0]
    size = width // attention.n_head
    chosen = torch.linspace(0, width // 2 - 1, size // 2).round().long()
    channels = torch.cat([chosen, chosen + width // 2])
    part = torch.arange(head * size, (head + 1) * size)
    attention.value.weight[part] = 0
    attention.value.weight[part, channels] = 1
    attention.value.bias[part] = 0
    attention.out.weight[:, part] = 0
    attention.out.weight[channels, part] = _EMBEDDING
